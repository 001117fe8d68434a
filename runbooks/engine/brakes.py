"""What keeps a step from beginning although everybody may: a freeze, and the hours outside the window.

Only what is new is kept waiting: what is under way comes to its end, and the way back is never held up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from runbooks.engine.events import step_of
from runbooks.engine.hold import Hold
from runbooks.errors import MaintError, Refused
from runbooks.records import freezes, run_changes
from runbooks.records.runs import Phase, RunRow
from runbooks.spec.window import Window
from runbooks.steps.action import Risk
from runbooks.targets import TargetBase
from runbooks.watch.fire_times import opening
from runbooks.watch.freezes import in_the_way, is_frozen_risk, lasting, reason, touches

_FELT = frozenset[str]({Risk.MEDIUM, Risk.HIGH})
#: Somebody may end a freeze that has long to go: then the run is woken. If that is lost, it looks by itself.
LONGEST_WAIT = timedelta(hours=1)


def windowed(plan: Mapping[str, Any]) -> frozenset[str]:
    """The risks that a window keeps to its hours: what can be felt; in a plan that has nothing of that,
    whatever changes something, or its window would be for nothing."""
    risks = {step.get("risk", Risk.HIGH) for step in plan.get("steps") or ()}
    return _FELT if risks & _FELT else _FELT | {Risk.LOW}


class Held(MaintError):
    """The step does not begin before `until`. `cancels`: the run is to stop instead."""

    def __init__(self, text: str, until: datetime, *, cancels: bool = False) -> None:
        self.until = until
        self.cancels = cancels
        super().__init__(text)


def refuse_frozen(connection: Any, run: RunRow, now: datetime) -> None:
    """Raises Refused when a run like that may not begin at this moment."""
    if run.phase == Phase.ROLLBACK:
        return
    frozen = lasting(in_the_way(run.plan, run.requester_kind, freezes.active(connection, now)))
    if frozen is not None:
        raise Refused(f"Nothing was started: {reason(frozen)}. Checks and rollbacks go on.")


@dataclass(frozen=True, kw_only=True)
class Brakes:
    """Those of one run."""

    hold: Hold
    window: Window | None
    targets: Mapping[str, TargetBase]

    def check(self, connection: Any, path: str, target: str = "") -> None:
        """Raises Held when the step at that path may not begin now. `target`: the one that it acts on."""
        row, run = self.hold.row(path), self.hold.view.run
        if row is None or row.phase == Phase.ROLLBACK:
            return
        planned = step_of(run.plan, path)
        risk = str(planned.get("risk", Risk.HIGH))
        now = self.hold.now()
        if is_frozen_risk(risk, run.requester_kind):
            where = target or str(planned.get("target") or "")
            self._check_freezes(connection, where, now)
        if self.window is not None and risk in windowed(run.plan):
            self._check_window(self.window, path, now)

    def _check_freezes(self, connection: Any, target: str, now: datetime) -> None:
        environments = {name: each.environment for name, each in self.targets.items()}
        found = [each for each in freezes.active(connection, now) if touches(each, target, environments)]
        if (last := lasting(found)) is not None:
            raise Held(reason(last), min(last.until, now + LONGEST_WAIT))

    def _check_window(self, window: Window, path: str, now: datetime) -> None:
        opens, _ = opening(window, now)
        if opens <= now or (window.leave == "finish" and self._began(path)):
            return
        when = f"{opens.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        text = f"its window is {window.words}, and opens {when}"
        if window.leave == "cancel" and self._began(path):
            raise Held(text, opens, cancels=True)
        raise Held(f"{text}; then it goes on by itself, unless it is cancelled", opens)

    def _began(self, path: str) -> bool:
        """Whether a step of the run that its window is for has begun before this one."""
        plan = self.hold.view.run.plan
        risks = windowed(plan)
        return any(
            row.started_at is not None and row.path != path and row.phase == Phase.FORWARD
            for row in self.hold.rows()
            if str(step_of(plan, row.path).get("risk", Risk.READ)) in risks
        )


def cancel(connection: Any, run: str, why: str) -> None:
    """Has the run stop, as if somebody had cancelled it."""
    run_changes.stop(connection, run, "cancel", f"Maint: {why}")
