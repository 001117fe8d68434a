"""`measured.trend`: what the checks on a schedule have seen over days, in place of one look."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from runbooks.errors import StepError
from runbooks.steps.action import Action, Call, Done, Risk
from runbooks.steps.chart import panel
from runbooks.steps.host import HostLoad, HostMemory
from runbooks.steps.postgres import PostgresConnections
from runbooks.steps.redis import RedisHitRate
from runbooks.steps.step import Check, Output
from runbooks.steps.units import show
from runbooks.targets import TargetBase

#: The checks whose headline is about the target as a whole, whichever runbook measures it.
_CHECKS: Mapping[str, type[Check[Any]]] = {
    check.kind: check for check in (HostLoad, HostMemory, PostgresConnections, RedisHitRate)
}
#: Fewer readings are no trend: a review that nobody measures between has seen one a week.
LEAST = 12


class MeasuredTrend(Action[TargetBase]):
    """Mean and spread of what a check has measured on a target lately; without that, the reading of now."""

    kind: ClassVar[str] = "measured.trend"
    title: ClassVar[str] = "Trend of what was measured"
    needs: ClassVar[type[TargetBase]] = TargetBase
    risk: ClassVar[Risk] = Risk.READ
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "mean": Output(title="mean"),
        "p95": Output(title="p95"),
        "low": Output(title="lowest"),
        "high": Output(title="highest"),
        "readings": Output(title="readings"),
    }

    target: str
    check: Literal["host.load", "host.memory", "postgres.connections", "redis.hit_rate"]
    days: int = Field(default=7, ge=1, le=31)
    now: float

    def lines(self, target: TargetBase) -> tuple[str, ...]:
        """What is looked up."""
        return (
            f"what {self.check} has measured on {target.name} in the last {self.days} d, from the records",
        )

    async def act(self, target: TargetBase, call: Call) -> Done:
        """Looks it up. Raises StepError for a target of another type."""
        check = _CHECKS[self.check]
        if not isinstance(target, check.needs):
            raise StepError(f"{self.check} measures nothing on {target.name}, which is of another type")
        output = check.outputs[check.headline]
        since = call.now() - timedelta(days=self.days)
        found = await call.memory.measured(self.check, target.name, since)
        lately = f"in the last {self.days} d"
        if found.count < LEAST:
            few = f"{found.count} readings" if found.count else "no reading"
            alone = dict.fromkeys(("mean", "p95", "low", "high"), self.now)
            said = f"{show(self.now, output.unit)}, the reading of now: {few} {lately}, {LEAST} are a trend"
            return Done(values={**alone, "readings": 1}, summary=said)
        drawn = panel(f"{check.title} of {target.name}", output.unit, {"measured": found.points}, since)
        shown = {name: show(getattr(found, name), output.unit) for name in ("mean", "p95", "low", "high")}
        return Done(
            values={
                "mean": found.mean,
                "p95": found.p95,
                "low": found.low,
                "high": found.high,
                "readings": found.count,
            },
            summary=(
                f"mean {shown['mean']}, p95 {shown['p95']}, {shown['low']} to {shown['high']}, "
                f"of {found.count:,} readings {lately}"
            ),
            drawn=(drawn,) if drawn else (),
        )
