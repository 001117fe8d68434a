"""Where digests are made: has the checks run, and gathers what there is beside them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from runbooks.engine.checks import CheckRunner, Report, Result, expand
from runbooks.engine.hold import Database
from runbooks.errors import MaintError, UsageError
from runbooks.records import alerts as alert_rows
from runbooks.records import measurements, overrides, trends
from runbooks.records import schedules as schedule_rows
from runbooks.records.alerts import RANK, Alert, Severity, Wanted
from runbooks.records.asks import open_asks
from runbooks.records.reports import ReportRow
from runbooks.records.runs import AskRow
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.chart import Panel
from runbooks.targets import TargetBase
from runbooks.watch import panels
from runbooks.watch.digest import (
    Around,
    Coming,
    Digest,
    OnCall,
    OpenAlert,
    Question,
    Section,
    Unmeasured,
    changed,
    read_states,
    states_of,
)
from runbooks.watch.entries import entries, upcoming
from runbooks.watch.fire_times import moment_of
from runbooks.watch.found import found_of, in_brief, name_of, together
from runbooks.watch.rotations import Rotation, on_call

#: What a digest names of each kind; the rest is counted.
MOST_ALERTS, MOST_QUESTIONS, MOST_COMING = 10, 10, 12
#: Alerts that are looked through.
_MANY = 1_000
#: What comes oftener on one day is no news.
OFTEN = 6

#: Another source of what a digest says, at that moment; None when it has nothing to say.
Source = Callable[[datetime], Awaitable[Section | None]]


async def as_written(person: str) -> str:
    """What people are called where nobody can be looked up: as maint.yaml has it."""
    return person


def plain_checks(steps: Sequence[RunbookStep]) -> Iterator[RunbookStep]:
    """The checks among the steps, those in groups as well, in their order."""
    for step in steps:
        if step.steps:
            yield from plain_checks(step.steps)
        elif step.kind in CHECKS:
            yield step


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What whoever reads it may see: everything, in a channel that the files name."""

    targets: Callable[[TargetBase], bool] = lambda _: True
    alerts: Callable[[Alert], bool] = lambda _: True
    questions: bool = True


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What digests are made from. `runbooks`: those that can be run. `names`: what somebody is called."""

    database: Database
    checks: CheckRunner
    targets: Mapping[str, TargetBase]
    runbooks: Mapping[str, Runbook]
    rotations: Mapping[str, Rotation]
    now: Callable[[], datetime]
    names: Callable[[str], Awaitable[str]] = as_written
    sources: Sequence[Source] = ()

    async def look(
        self,
        runbook: Runbook,
        correlation: str,
        sight: Sight = Sight(),
        on_result: Callable[[Result], None] = lambda _: None,
    ) -> Report:
        """What the runbook's checks find. Raises UsageError when it has none for any target, RecordsError."""
        seen = frozenset(name for name, target in self.targets.items() if sight.targets(target))
        items = expand(runbook.name, tuple(plain_checks(runbook.steps)), self.targets, seen)
        if not items:
            raise UsageError(f"The runbook {runbook.name} has no check for any target in maint.yaml.")
        return await self.checks.run(runbook.name, items, correlation, on_result)

    async def digest(
        self,
        runbook: Runbook,
        report: Report,
        *,
        before: ReportRow | None,
        timezone: str = "UTC",
        sight: Sight = Sight(),
        late_for: datetime | None = None,
    ) -> Digest:
        """What is said of a report. `before`: what it is held against; `timezone`: whose today it is."""
        results = report.results
        fine = [each for each in results if each.status is Status.OK]
        quiet = [each for each in results if each.status is Status.SKIPPED]
        return Digest(
            title=runbook.title,
            status=str(report.status),
            at=report.started,
            duration_ms=report.duration.total_seconds() * 1000,
            checks=len(results),
            ran=sum(1 for each in results if each.status not in (Status.UNKNOWN, Status.SKIPPED)),
            troubles=tuple(together(r for r in results if r.status not in (Status.OK, Status.SKIPPED))),
            changes=changed(read_states(before.states), states_of(report), values=True) if before else (),
            fine=tuple(in_brief(fine)),
            fine_count=len(fine),
            quiet=tuple(found_of(each) for each in quiet),
            oldest=await self._oldest(results),
            previous=before.started if before else None,
            late_for=late_for,
            around=await self._around(timezone, sight),
        )

    async def panels(self, report: Report) -> list[Panel]:
        """The trends that are drawn beside it."""
        by_step = panels.charted(report)
        keys = [result.key for results in by_step.values() for result in results]
        since = self.now() - panels.SPAN
        found = await self.database.read(partial(trends.points, series=keys, since=since))
        return panels.panels(by_step, found, since)

    async def _oldest(self, results: Sequence[Result]) -> Unmeasured | None:
        """The check that has not measured anything for the longest time, of those that could not now."""
        silent = {each.key: each for each in results if each.status in (Status.UNKNOWN, Status.SKIPPED)}
        if not silent:
            return None
        last = await self.database.read(partial(measurements.previous, series=list(silent)))
        never = next((each for key, each in silent.items() if key not in last), None)
        if never is not None:
            return Unmeasured(name=name_of(never), since=None)
        key = min(last, key=lambda series: last[series].at)
        return Unmeasured(name=name_of(silent[key]), since=last[key].at)

    async def _around(self, timezone: str, sight: Sight) -> Around:
        now = self.now()

        def gathered(connection: Any) -> tuple[Any, ...]:
            questions = open_asks(connection, ("gate",), MOST_QUESTIONS) if sight.questions else ()
            return (
                alert_rows.listed(connection, Wanted(limit=_MANY)),
                questions,
                schedule_rows.rows(connection),
                overrides.coming(connection, now),
            )

        found, questions, rows, coming = await self.database.read(gathered)
        seen = [alert for alert in found if sight.alerts(alert) and not alert.storm]
        seen.sort(key=lambda alert: -RANK.index(Severity(alert.severity)))
        said = [await source(now) for source in self.sources]
        return Around(
            alerts=tuple(_open(alert) for alert in seen[:MOST_ALERTS]),
            more_alerts=max(0, len(seen) - MOST_ALERTS),
            questions=tuple(_question(ask) for ask in questions),
            today=tuple(self._today(rows, now, ZoneInfo(timezone)))[:MOST_COMING],
            on_call=tuple([each async for each in self._on_call(coming, now)]),
            sections=tuple(each for each in said if each is not None),
        )

    def _today(self, rows: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> list[Coming]:
        """What comes by itself until midnight there, but not what comes all the time, or is paused."""
        tomorrow = moment_of(datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(0)), zone)
        found: list[Coming] = []
        for id_, entry in entries(self.runbooks).items():
            row = rows.get(id_)
            if row is not None and row.paused_at is not None:
                continue
            left = takewhile(lambda fire: fire.at < tomorrow, upcoming(entry, row, now))
            fires = list(islice(left, OFTEN + 1))
            if len(fires) <= OFTEN:
                title = entry.runbook.title
                found += [Coming(at=fire.at, name=entry.runbook.name, title=title) for fire in fires]
        return sorted(found, key=lambda each: (each.at, each.name))

    async def _on_call(self, coming: Mapping[str, Any], now: datetime) -> AsyncIterator[OnCall]:
        for name, rotation in sorted(self.rotations.items()):
            shift = on_call(rotation, now, coming.get(name, ()))
            try:
                person = shift.person if "@" in shift.person else await self.names(shift.person)
            except MaintError:
                person = shift.person  # the id is as good
            yield OnCall(rotation=name, person=person or shift.person, until=shift.until)


def _open(alert: Alert) -> OpenAlert:
    who = f" by {alert.acked_by_name}" if alert.acked_by_name and alert.status == "acknowledged" else ""
    return OpenAlert(
        title=alert.title,
        severity=str(alert.severity),
        state=f"{alert.status}{who}",
        since=alert.opened_at,
    )


def _question(ask: AskRow) -> Question:
    approvers = ask.spec.get("approvers") or ()
    return Question(
        run=ask.run,
        title=ask.title,
        asked=", ".join(str(each) for each in approvers),
        since=ask.opened_at,
    )
