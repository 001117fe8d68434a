"""`baseline.compare` and `baseline.set`: numbers held against what people once agreed is normal."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeGuard

from pydantic import Field

from runbooks.spec.model import Name, Spec
from runbooks.steps.action import Action, Call, Done, Preview, Risk
from runbooks.steps.chart import Panel, panel
from runbooks.steps.memory import Memory
from runbooks.steps.reach import Reach
from runbooks.steps.step import Output, Value
from runbooks.steps.units import show
from runbooks.targets import TargetBase

#: Under what it is remembered: what is agreed, and what each comparison saw.
KIND, AGREED, SEEN = "baseline", "agreed", "seen"
#: Comparisons that are looked through for when a regression began: two years of weeks.
MOST_SEEN = 104
#: Metrics that are drawn.
MOST_DRAWN = 6


#: What one comparison saw, and when.
Seen = tuple[datetime, Mapping[str, Any]]


class Metric(Spec):
    """A number, and which way it gets worse. A difference of at most `least` does not matter."""

    value: float
    unit: Literal["", "ms", "s", "%", "bytes", "days", "/s"] = ""
    worse: Literal["above", "below"] = "above"
    least: float = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A metric beside what is agreed. `percent`: how much worse it is, negative when it is better."""

    name: str
    metric: Metric
    agreed: float | None
    percent: float
    regressed: bool
    since: datetime | None = None

    def line(self) -> str:
        """For people."""
        now = show(self.metric.value, self.metric.unit)
        if self.agreed is None:
            return f"{self.name}: {now}, nothing agreed"
        was = show(self.agreed, self.metric.unit)
        how = "as agreed" if not self.percent else f"{abs(self.percent):.0f} % {self._word()}"
        if math.isinf(self.percent):
            how = self._word()
        since = f", since {self.since:%Y-%m-%d}" if self.since else ""
        return f"{self.name}: {now}, agreed {was}, {how}{since}"

    def _word(self) -> str:
        return "worse" if self.percent > 0 else "better"


def percent_worse(metric: Metric, agreed: float) -> float:
    """How much worse it is than agreed, in percent of that; infinite when nothing is what was agreed."""
    difference = metric.value - agreed if metric.worse == "above" else agreed - metric.value
    if not difference:
        return 0.0
    return 100 * difference / abs(agreed) if agreed else math.copysign(math.inf, difference)


def has_regressed(metric: Metric, agreed: float, tolerance: float) -> bool:
    """Whether it is worse by more than the tolerance (percent), and by more than what matters."""
    return percent_worse(metric, agreed) > tolerance and abs(metric.value - agreed) > metric.least


def began(
    name: str,
    metric: Metric,
    agreed: float,
    tolerance: float,
    seen: Sequence[tuple[datetime, Mapping[str, Any]]],
) -> datetime | None:
    """When it was first as bad as that without a break, of what was seen before, newest first."""
    since = None
    for at, values in seen:
        value = values.get(name)
        if not _is_number(value):
            continue  # not measured then: neither good nor bad
        if not has_regressed(metric.model_copy(update={"value": float(value)}), agreed, tolerance):
            break
        since = at
    return since


async def agreed_of(memory: Memory, name: str) -> tuple[Mapping[str, float], datetime | None]:
    """What is agreed, and since when; nothing when nobody has agreed on anything."""
    found = await memory.last(KIND, name, AGREED)
    return (found.value, found.at) if found and found.value else ({}, None)


class _OfBaseline(Action[TargetBase]):
    """What both have. They act on no target: the numbers are outputs of earlier steps."""

    needs: ClassVar[None] = None
    safe_to_repeat: ClassVar[bool] = True

    baseline: Name
    metrics: dict[Name, Metric] = Field(min_length=1, max_length=100)


class BaselineCompare(_OfBaseline):
    """Holds numbers against the baseline, and remembers them: a regression is told with when it began."""

    kind: ClassVar[str] = "baseline.compare"
    title: ClassVar[str] = "Compare with the baseline"
    risk: ClassVar[Risk] = Risk.READ
    outputs: ClassVar[Mapping[str, Output]] = {
        "regressions": Output(title="metrics that got worse"),
        "compared": Output(title="metrics compared"),
        "worst_percent": Output(title="worst metric, worse by", unit="%"),
        "worst": Output(title="worst metric", number=False),
    }

    tolerance: float = Field(default=20, ge=0, le=10_000)

    def lines(self, target: Any) -> tuple[str, ...]:  # noqa: ARG002 - it has none
        """What is compared with what."""
        names = ", ".join(self.metrics)
        return (f"compares {names} with the baseline {self.baseline}; worse is beyond {self.tolerance:g} %",)

    async def act(self, target: Any, call: Call) -> Done:  # noqa: ARG002
        """Compares. A regression is a warning: people decide what it means."""
        agreed, since = await agreed_of(call.memory, self.baseline)
        remembered = await call.memory.recent(KIND, self.baseline, SEEN, MOST_SEEN)
        # A repetition after a crash has seen itself.
        seen = [(each.at, each.value["values"]) for each in remembered if each.value.get("run") != call.run]
        compared = [
            self._compared(name, metric, agreed, seen, call.now()) for name, metric in self.metrics.items()
        ]
        values = {name: metric.value for name, metric in self.metrics.items()}
        await call.memory.remember(KIND, self.baseline, SEEN, {"run": call.run, "values": values})
        worse = sorted((each for each in compared if each.regressed), key=lambda each: -each.percent)
        known = [each for each in compared if each.agreed is not None]
        outputs: dict[str, Value] = {
            "regressions": len(worse),
            "compared": len(known),
            "worst_percent": worse[0].percent if worse and math.isfinite(worse[0].percent) else 0.0,
            "worst": worse[0].name if worse else "none",
        }
        head = f"against the baseline of {since:%Y-%m-%d}" if since else "nobody has agreed on a baseline yet"
        return Done(
            values=outputs,
            summary=f"{len(worse)} of {len(known)} worse, {head}" if since else head,
            output="\n".join([head, *(each.line() for each in compared)]),
            warnings=tuple(each.line() for each in worse),
            drawn=self._drawn(agreed, seen, call.now()),
        )

    def _drawn(self, agreed: Mapping[str, float], seen: Sequence[Seen], now: datetime) -> tuple[Panel, ...]:
        """How each metric went beside what is agreed."""
        drawn = []
        for name, metric in self.metrics.items():
            before = [(at, found) for at, values in reversed(seen) if _is_number(found := values.get(name))]
            points = [(at, float(found)) for at, found in before] + [(now, metric.value)]
            lines = {"measured": points}
            if name in agreed:
                lines["agreed"] = [(at, agreed[name]) for at, _ in points]
            drawn.append(panel(name, metric.unit, lines, points[0][0]))
        return tuple(each for each in drawn if each is not None)[:MOST_DRAWN]

    def _compared(
        self,
        name: str,
        metric: Metric,
        agreed: Mapping[str, float],
        seen: Sequence[Seen],
        now: datetime,
    ) -> Compared:
        normal = agreed.get(name)
        if normal is None:
            return Compared(name=name, metric=metric, agreed=None, percent=0.0, regressed=False)
        regressed = has_regressed(metric, normal, self.tolerance)
        return Compared(
            name=name,
            metric=metric,
            agreed=normal,
            percent=percent_worse(metric, normal),
            regressed=regressed,
            since=(began(name, metric, normal, self.tolerance, seen) or now) if regressed else None,
        )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float)


class BaselineSet(_OfBaseline):
    """These numbers are normal from now on. `undo` puts back what was agreed before."""

    kind: ClassVar[str] = "baseline.set"
    title: ClassVar[str] = "Update the baseline"
    risk: ClassVar[Risk] = Risk.MEDIUM
    reversible: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {"metrics": Output(title="metrics agreed on")}

    def lines(self, target: Any) -> tuple[str, ...]:  # noqa: ARG002 - it has none
        """What becomes normal."""
        return (
            f"from now on this is normal in {self.baseline}:",
            *(f"{name}: {show(metric.value, metric.unit)}" for name, metric in self.metrics.items()),
        )

    async def foresee(self, target: Any, reach: Reach) -> Preview:  # noqa: ARG002
        """What was agreed, and what it becomes."""
        agreed, _ = await agreed_of(reach.memory, self.baseline)
        return Preview(
            lines=tuple(
                f"{name}: {show(agreed.get(name), metric.unit)} → {show(metric.value, metric.unit)}"
                for name, metric in self.metrics.items()
            )
        )

    async def record(self, target: Any, call: Call) -> Mapping[str, Any]:  # noqa: ARG002
        """What is agreed."""
        return {"agreed": dict((await agreed_of(call.memory, self.baseline))[0])}

    async def act(self, target: Any, call: Call) -> Done:  # noqa: ARG002
        """Agrees on them; metrics that are not named stay as they were."""
        before, _ = await agreed_of(call.memory, self.baseline)
        agreed = {**before, **{name: metric.value for name, metric in self.metrics.items()}}
        await call.memory.remember(KIND, self.baseline, AGREED, agreed)
        return Done(values={"metrics": len(self.metrics)}, summary=f"{len(self.metrics)} agreed on")

    async def undo(self, target: Any, call: Call) -> Done:  # noqa: ARG002
        """What was agreed before is agreed again."""
        await call.memory.remember(KIND, self.baseline, AGREED, dict(call.before["agreed"]))
        return Done(summary="as before")

    async def changed_since(
        self,
        target: Any,  # noqa: ARG002
        call: Call,
        after: Mapping[str, Any],
    ) -> tuple[str, ...]:
        """Whether somebody agreed on something else since."""
        now, _ = await agreed_of(call.memory, self.baseline)
        return () if dict(now) == after["agreed"] else (f"the baseline {self.baseline} was changed since",)
