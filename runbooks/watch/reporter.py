"""Makes what goes out on a schedule: digests, changes with the line that proves silence, the weekly form.

A tick's report and its card are one transaction, under an id that is made from the tick: however often it is
begun, by whichever replica, it stands there once, and is posted once by whoever draws cards.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from runbooks.engine.checks import Report
from runbooks.errors import RecordsError, Refused
from runbooks.records import outbox
from runbooks.records import reports as rows
from runbooks.records.asks import Transaction
from runbooks.records.reports import Kind, ReportRow, report_id
from runbooks.records.schedules import TickRow
from runbooks.spec.head import Schedule
from runbooks.spec.runbook import Runbook
from runbooks.status import Status
from runbooks.steps.chart import Panel, chart_letter
from runbooks.watch.coming import GRACE
from runbooks.watch.desk import Desk
from runbooks.watch.digest import (
    Changed,
    Digest,
    Line,
    changed,
    digest_body,
    line_body,
    read_line,
    read_states,
    states_body,
    states_of,
)
from runbooks.watch.found import in_full, name_of
from runbooks.watch.weekly import weekly, weekly_body

#: How urgent a card is among all that wait: trouble that began comes before a digest, the line last.
_TROUBLE, _NEWS, _QUIET = 3, 2, 0
#: Checks that a line names of those that are not well.
_MOST_BAD = 3


class Heart(Protocol):
    """What something outside listens to. Nothing of it waits, or fails."""

    def start(self) -> None: ...
    def success(self) -> None: ...
    def fail(self) -> None: ...


class Silence:
    """Where nobody listens."""

    def start(self) -> None:
        """Says nothing."""

    def success(self) -> None:
        """Says nothing."""

    def fail(self) -> None:
        """Says nothing."""


@dataclass(frozen=True)
class _Made:
    """A report as it is to be kept, with what goes into the thread of its card."""

    row: ReportRow
    listing: str = ""
    panels: tuple[Panel, ...] = ()


class DigestReporter:
    """One for each process. Every method raises RecordsError; then the tick is begun again."""

    def __init__(
        self,
        desk: Desk,
        *,
        told: Callable[[], None],
        heart: Heart | None = None,
        charts: bool = False,
    ) -> None:
        """`told`: there is a card to be drawn. `charts`: pictures can be drawn here."""
        self._desk = desk
        self._told = told
        self._heart = heart or Silence()
        self._charts = charts

    async def report(self, tick: TickRow, runbook: Runbook, schedule: Schedule) -> None:
        """Makes the report of a tick. Raises Refused when it has no channel to go to."""
        channel = schedule.channel or runbook.channel
        if not channel:
            raise Refused(f"{tick.schedule} has no channel to report to: give it `channel:`.")
        if await self._desk.database.read(partial(rows.by_id, id_=report_id(tick.id))):
            return
        self._heart.start()
        try:
            match schedule.report:
                case "digest":
                    await self._digest(tick, runbook, schedule, channel)
                case "weekly":
                    await self._weekly(tick, runbook, channel)
                case _:
                    await self._changes(tick, runbook, schedule, channel)
        except Exception:
            self._heart.fail()
            raise
        self._told()
        if schedule.report == "changes":
            self._heart.success()  # of what is posted, success is when it stands in Slack

    async def post(self, runbook: Runbook, report: Report, channel: str, source: str) -> str:
        """Has a digest posted that somebody asked for; its id."""
        made = await self._made_digest(runbook, report, channel, source=source)
        await self._desk.database.write(partial(_keep, made=made))
        self._told()
        return made.row.id

    async def post_weekly(self, runbook: Runbook, channel: str, source: str) -> str:
        """The same of the weekly form."""
        made = await self._made_weekly(runbook, channel, source=source)
        await self._desk.database.write(partial(_keep, made=made))
        self._told()
        return made.row.id

    async def _digest(self, tick: TickRow, runbook: Runbook, schedule: Schedule, channel: str) -> None:
        report = _kept(await self._desk.look(runbook, report_id(tick.id)))
        late = tick.fire_at if self._desk.now() - tick.fire_at > GRACE else None
        made = await self._made_digest(
            runbook,
            report,
            channel,
            source=tick.id,
            schedule=tick.schedule,
            timezone=schedule.timezone,
            late_for=late,
        )
        await self._desk.database.write(partial(_keep, made=made))

    async def _made_digest(
        self,
        runbook: Runbook,
        report: Report,
        channel: str,
        *,
        source: str,
        schedule: str = "",
        timezone: str = "UTC",
        late_for: datetime | None = None,
    ) -> _Made:
        before = await self.before(runbook, schedule)
        digest = await self._desk.digest(runbook, report, before=before, timezone=timezone, late_for=late_for)
        row = ReportRow(
            id=report_id(source),
            source=source,
            schedule=schedule,
            runbook=runbook.name,
            kind=Kind.DIGEST,
            status=digest.status,
            counts=_counts(report),
            states=states_body(states_of(report)),
            body=digest_body(digest),
            started=report.started,
            duration_ms=digest.duration_ms,
            posted_channel=channel,
            previous=before.id if before else "",
        )
        drawn = await self._desk.panels(report) if self._charts else []
        listing = "\n\n".join(in_full(result) for result in report.results)
        return _Made(row, listing=listing, panels=tuple(drawn))

    async def before(self, runbook: Runbook, schedule: str) -> ReportRow | None:
        """What a digest is held against: the last one of its schedule, or of any of the runbook's."""
        find = partial(rows.newest, kinds=(Kind.DIGEST,), schedule=schedule, runbook=runbook.name)
        found: ReportRow | None = await self._desk.database.read(find)
        return found

    async def _weekly(self, tick: TickRow, runbook: Runbook, channel: str) -> None:
        made = await self._made_weekly(runbook, channel, source=tick.id, schedule=tick.schedule)
        await self._desk.database.write(partial(_keep, made=made))

    async def _made_weekly(self, runbook: Runbook, channel: str, *, source: str, schedule: str = "") -> _Made:
        now = self._desk.now()
        form = await self._desk.database.read(partial(weekly, runbook=runbook, now=now))
        row = ReportRow(
            id=report_id(source),
            source=source,
            schedule=schedule,
            runbook=runbook.name,
            kind=Kind.WEEKLY,
            status=str(form.status or ""),
            body=weekly_body(form),
            started=now,
            posted_channel=channel,
        )
        return _Made(row)

    async def _changes(self, tick: TickRow, runbook: Runbook, schedule: Schedule, channel: str) -> None:
        report = _kept(await self._desk.look(runbook, report_id(tick.id)))
        digest = await self._desk.digest(runbook, report, before=None, timezone=schedule.timezone)
        day = tick.fire_at.astimezone(ZoneInfo(schedule.timezone)).date().isoformat()
        keep = partial(
            _keep_changes, tick=tick, runbook=runbook, channel=channel, report=report, digest=digest, day=day
        )
        await self._desk.database.write(keep)


def _keep(connection: Transaction, made: _Made) -> bool:
    """Writes a report with its card, and what goes into the thread; False when it is there already."""
    row = made.row
    if not rows.add(connection, row, priority=_NEWS):
        return False
    if made.listing:
        outbox.put(connection, row.id, "output", {"name": "digest.txt", "text": made.listing})
    if made.panels:
        outbox.put(connection, row.id, "chart", chart_letter(made.panels))
    return True


def _keep_changes(
    connection: Transaction,
    tick: TickRow,
    runbook: Runbook,
    channel: str,
    report: Report,
    digest: Digest,
    day: str,
) -> None:
    """Writes what became of a look: a message when something changed, and the line of the day in any case."""
    source = f"{tick.schedule} {day}"
    line = rows.by_id(connection, report_id(source), lock=True)
    before = line or rows.newest(connection, (Kind.LINE,), schedule=tick.schedule)
    found = states_of(report)
    # At the very first look nobody knows how it was before: what is bad then is news, and nothing else.
    news = changed(read_states(before.states), found, values=False) if before else _bad_news(report)
    row = ReportRow(
        id=report_id(tick.id),
        source=tick.id,
        schedule=tick.schedule,
        runbook=runbook.name,
        kind=Kind.CHANGES,
        status=digest.status,
        counts=_counts(report),
        body=digest_body(replace(digest, changes=news)) if news else {},
        started=report.started,
        duration_ms=digest.duration_ms,
        posted_channel=channel if news else "",
        previous=before.id if before else "",
    )
    if not rows.add(connection, row, priority=_TROUBLE if _is_bad(news) else _NEWS):
        return
    shown = read_line(line.body) if line else None
    now_shown = Line(
        title=runbook.title,
        day=day,
        status=digest.status,
        at=report.started,
        looks=(shown.looks if shown else 0) + 1,
        checks=digest.checks,
        ran=digest.ran,
        bad=tuple(name_of(each) for each in report.results if each.status not in _WELL)[:_MOST_BAD],
        changed_at=report.started if news else shown.changed_at if shown else None,
        changes=(shown.changes if shown else 0) + len(news),
    )
    renewed = replace(
        row,
        id=report_id(source),
        source=source,
        kind=Kind.LINE,
        states=states_body(found),
        body=line_body(now_shown),
        posted_channel=channel,
        version=(line.version if line else 0) + 1,
    )
    if line is None:
        rows.add(connection, renewed, priority=_QUIET)
    else:
        rows.renew(connection, renewed)


_WELL = (Status.OK, Status.SKIPPED)


def _bad_news(report: Report) -> tuple[Changed, ...]:
    return tuple(
        Changed(name=name_of(each), before="", after=str(each.status))
        for each in report.results
        if each.status not in _WELL
    )


def _is_bad(news: tuple[Changed, ...]) -> bool:
    return any(each.after == Status.CRITICAL for each in news)


def _counts(report: Report) -> dict[str, int]:
    counts: dict[str, Any] = {}
    for result in report.results:
        counts[str(result.status)] = counts.get(str(result.status), 0) + 1
    return counts


def _kept(report: Report) -> Report:
    """The report, when the database has it: what is not kept cannot be compared tomorrow."""
    if report.unkept:
        raise RecordsError(report.unkept)
    return report
