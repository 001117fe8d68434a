"""What went out by itself: digests, changes, the weekly form, and the line that proves that silence is good.

Each function is a part of the caller's transaction. A report and its card are written together, once: whoever
makes the same one again finds it there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, select, update

from runbooks.records import cards
from runbooks.records.cards import Card
from runbooks.records.database import scrubber_of
from runbooks.records.insert import insert_into
from runbooks.records.watch_tables import reports, ticks
from runbooks.scrub import scrubbed

#: Rows that one transaction removes.
BATCH = 1_000
_ID_LENGTH = 26


class Kind(StrEnum):
    """What a report is."""

    DIGEST = "digest"  #: everything
    CHANGES = "changes"  #: what is otherwise than at the look before
    WEEKLY = "weekly"  #: how the week was
    LINE = "line"  #: one a day, edited at every look that changed nothing


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One report. `source`: the tick or the request that it is from, or for a line its schedule and its day.
    `states`: by check, how it was found. `body`: what its card shows. Durations in milliseconds."""

    id: str
    source: str
    schedule: str
    runbook: str
    kind: str
    status: str
    counts: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    started: datetime
    duration_ms: float = 0.0
    posted_channel: str = ""
    posted_ts: str | None = None
    noted_at: datetime | None = None
    previous: str = ""
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """A tick whose digest is late."""

    tick: str
    schedule: str
    fire_at: datetime
    local: str


def report_id(source: str) -> str:
    """The id of the report from there: the same however often it is made."""
    return sha256(source.encode("utf-8", "replace")).hexdigest()[:_ID_LENGTH]


def add(connection: Connection, report: ReportRow, *, priority: int = 1) -> bool:
    """Adds a report, and the card that shows it when it has a channel. False when it is there already."""
    values = scrubbed(asdict(report), scrubber_of(connection))
    statement = insert_into(connection, reports).values(values).on_conflict_do_nothing()
    if connection.execute(statement.returning(reports.c.id)).first() is None:
        return False
    if report.posted_channel:
        card = Card(
            kind=cards.REPORT,
            correlation=report.id,
            channel=report.posted_channel,
            id=report.id,
            wanted=report.version,
            priority=priority,
        )
        cards.add(connection, card)
    return True


def renew(connection: Connection, report: ReportRow) -> None:
    """Writes the line of a day anew, and has its card drawn when nothing else is to be."""
    changed = {
        name: getattr(report, name)
        for name in ("status", "counts", "states", "body", "started", "duration_ms", "version")
    }
    values = scrubbed(changed, scrubber_of(connection))
    connection.execute(update(reports).where(reports.c.id == report.id).values(values))
    cards.want(connection, report.id, report.version, priority=0)


def by_id(connection: Connection, id_: str, *, lock: bool = False) -> ReportRow | None:
    """The report of that id; `lock`: nobody else changes it before this transaction ends."""
    query = select(reports).where(reports.c.id == id_)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return _report(row) if row else None


def newest(
    connection: Connection, kinds: Sequence[str], *, schedule: str = "", runbook: str = ""
) -> ReportRow | None:
    """The last report of those kinds: of a schedule, or of a runbook by whatever schedule."""
    query = select(reports).where(reports.c.kind.in_(tuple(kinds)))
    if schedule:
        query = query.where(reports.c.schedule == schedule)
    if runbook:
        query = query.where(reports.c.runbook == runbook, reports.c.schedule != "")
    row = connection.execute(query.order_by(reports.c.started.desc(), reports.c.id).limit(1)).first()
    return _report(row) if row else None


def posted(connection: Connection, id_: str, ts: str) -> None:
    """Notes where its card stands."""
    connection.execute(update(reports).where(reports.c.id == id_).values(posted_ts=ts))


def to_note(connection: Connection, limit: int = 20) -> tuple[str, ...]:
    """The reports that stand in Slack, and of which nobody has taken note."""
    query = select(reports.c.id).where(reports.c.posted_ts.is_not(None), reports.c.noted_at.is_(None))
    return tuple(connection.scalars(query.order_by(reports.c.started).limit(limit)))


def note(connection: Connection, id_: str, at: datetime) -> tuple[ReportRow, Awaited | None] | None:
    """Takes note of one; None when somebody else did. Nobody waits for its tick any more: it comes along when
    it was late and nobody had told yet."""
    statement = update(reports).where(
        reports.c.id == id_, reports.c.posted_ts.is_not(None), reports.c.noted_at.is_(None)
    )
    row = connection.execute(statement.values(noted_at=at).returning(*reports.c)).first()
    if row is None:
        return None
    late_tick = _take(connection, row.source, at)
    expect_nothing(connection, row.source)
    return _report(row), late_tick


def late(connection: Connection, now: datetime, limit: int = 20) -> tuple[str, ...]:
    """The ticks whose digests should be out, the longest due first."""
    query = select(ticks.c.id).where(ticks.c.out_by <= now)
    return tuple(connection.scalars(query.order_by(ticks.c.out_by).limit(limit)))


def take_late(connection: Connection, tick: str, now: datetime) -> Awaited | None:
    """The tick, if its digest is still awaited and late: nobody else tells. None when it is out."""
    stands = select(reports.c.id).where(reports.c.id == report_id(tick), reports.c.posted_ts.is_not(None))
    if connection.execute(stands).first():
        return None  # whoever takes note of it tells
    return _take(connection, tick, now)


def _take(connection: Connection, tick: str, now: datetime) -> Awaited | None:
    statement = update(ticks).where(ticks.c.id == tick, ticks.c.out_by <= now).values(out_by=None)
    row = connection.execute(statement.returning(*ticks.c)).first()
    if row is None:
        return None
    return Awaited(tick=row.id, schedule=row.schedule, fire_at=row.fire_at, local=row.local)


def expect_nothing(connection: Connection, tick: str) -> None:
    """Nobody waits for that tick's digest."""
    connection.execute(update(ticks).where(ticks.c.id == tick).values(out_by=None))


def _report(row: Row[Any]) -> ReportRow:
    return ReportRow(**{each.name: getattr(row, each.name) for each in fields(ReportRow)})
