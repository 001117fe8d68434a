"""What a report's rows say of troubles: each row is one, told apart by its runbook, step, target and kind."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from runbooks.engine.checks import Report, Result
from runbooks.records.alerts import Severity
from runbooks.records.measurements import Series
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.status import Status
from runbooks.steps.step import Check
from runbooks.steps.units import show
from runbooks.watch.damping import Damping
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.fire_times import FireTimes, fire_times
from runbooks.watch.signal import Seen, Signal

#: The source of alerts that our own checks open.
CHECK = "check"
#: Characters of an output that an alert keeps.
_LONGEST_OUTPUT = 200
#: So many times of its schedule may pass before an alert says that nobody looks; and a report takes a while.
CYCLES, GRACE = 3, timedelta(minutes=1)

_SEVERITY = {
    Status.CRITICAL: Severity.CRITICAL,
    Status.WARNING: Severity.WARNING,
    Status.UNKNOWN: Severity.WARNING,
}


def labels_of(series: Series) -> dict[str, str]:
    """What tells the alerts of checks apart."""
    return {"runbook": series.runbook, "step": series.step, "target": series.target, "kind": series.kind}


class FromChecks:
    """Knows the runbooks: how long something must be bad, and what it takes to be well."""

    def __init__(self, runbooks: Mapping[str, Runbook], stale: timedelta = timedelta(days=1)) -> None:
        """`stale`: how long what a runbook without a schedule found is worth something."""
        self._runbooks = runbooks
        self._stale = stale
        self._times = {
            name: [fire_times(each) for each in runbook.schedule] for name, runbook in runbooks.items()
        }
        self._checks = {
            (runbook.name, step.id): step.sample
            for runbook in runbooks.values()
            for step in _all(runbook.steps)
            if isinstance(step.sample, Check)
        }

    def signals(self, report: Report) -> Iterator[Signal]:
        """One of each row; none of a row in which there was nothing to judge."""
        runbook = self._runbooks.get(report.runbook)
        expected_by = self._expected_by(report)
        for result in report.results:
            if result.status is Status.SKIPPED:
                continue
            check = self._checks.get((result.key.runbook, result.key.step))
            yield _signal(result, runbook, check, expected_by)

    def has(self, runbook: str, step: str) -> bool:
        """Whether there is such a check."""
        return (runbook, step) in self._checks

    def _expected_by(self, report: Report) -> datetime:
        """When the next report should have been made at the latest."""
        times = self._times.get(report.runbook)
        return _third(times, report.started) if times else report.started + self._stale


def _third(times: Iterable[FireTimes], after: datetime) -> datetime:
    fires = islice(merge(*(each.after(after) for each in times)), CYCLES)
    return max((fire.at for fire in fires), default=after) + GRACE


def _signal(
    result: Result, runbook: Runbook | None, check: Check[Any] | None, expected_by: datetime
) -> Signal:
    key = result.key
    numeric = isinstance(result.value, (int, float))
    return Signal(
        fingerprint=fingerprint(CHECK, labels_of(key)),
        source=CHECK,
        seen=_seen(result, check),
        at=result.at,
        severity=_SEVERITY.get(result.status, Severity.INFO),
        title=f"{key.target} {result.title}",
        summary=_summary(result),
        value=float(result.value) if isinstance(result.value, (int, float)) else None,
        unit=result.headline.unit if numeric else "",
        runbook=key.runbook,
        step=key.step,
        target=key.target,
        environment=result.environment,
        owner=runbook.owner if runbook else "",
        channel=runbook.alerts.channel if runbook else "",
        labels=labels_of(key),
        annotations=_outputs(result),
        expected_by=expected_by,
        damping=_damping(runbook, check),
    )


def _seen(result: Result, check: Check[Any] | None) -> Seen:
    if result.status is Status.UNKNOWN:
        return Seen.UNKNOWN
    if result.status is not Status.OK:
        return Seen.BAD
    return Seen.WELL if check is None or check.may_clear(result.values) else Seen.HOLD


def _summary(result: Result) -> str:
    if result.status is Status.UNKNOWN:
        return f"could not be measured: {'; '.join(result.reasons)}"
    said = "; ".join(result.reasons) or result.summary
    if said or result.value is None:
        return said
    return f"{result.headline.title} {show(result.value, result.headline.unit)}"


def _outputs(result: Result) -> dict[str, str]:
    """What the check measured, for who decides by it whom to call."""
    shown = {
        name: str(value) for name, value in result.values.items() if isinstance(value, int | float | str)
    }
    return {name: text for name, text in shown.items() if len(text) <= _LONGEST_OUTPUT}


def _damping(runbook: Runbook | None, check: Check[Any] | None) -> Damping:
    if runbook is None:
        return Damping()
    rules, own = runbook.alerts, check.for_ if check is not None else None
    return Damping(
        wait=own or rules.for_ or timedelta(0),
        clear=rules.clear or timedelta(0),
        changes=rules.flapping.changes,
        within=rules.flapping.within,
    )


def _all(steps: Iterable[RunbookStep]) -> Iterator[RunbookStep]:
    for step in steps:
        yield step
        yield from _all(step.steps)
