"""Schedules and their ticks: when each fires next, and what became of each time that it did.

Each function is a part of the caller's transaction. A tick's row is the claim on it: whoever inserts it is
the one whose word counts, and whoever begins with it holds it for a while.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from runbooks.records.insert import insert_into
from runbooks.records.person import Person
from runbooks.records.run_tables import runs
from runbooks.records.runs import OVER
from runbooks.records.watch_tables import schedules, ticks


class TickState(StrEnum):
    """Where a tick stands."""

    WAITING = "waiting"  #: its time has come, or its jitter is not over, or it is queued
    CLAIMED = "claimed"  #: a replica is about to begin with it
    DONE = "done"  #: it was begun: `run` says what came of it
    SKIPPED = "skipped"  #: `note` says why
    FAILED = "failed"  #: it could not be begun: `note` says why


#: What is left to do.
OPEN = (TickState.WAITING, TickState.CLAIMED)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One entry under a runbook's `schedule:`, as a file has it now. `next_fire`: the first from now on."""

    id: str
    runbook: str
    n: int
    digest: str
    next_fire: datetime | None


@dataclass(frozen=True, kw_only=True)
class ScheduleRow(Schedule):
    """The same as it stands in the database, with what people said of it."""

    paused_by: str = ""
    paused_reason: str = ""
    paused_at: datetime | None = None
    skip_next: bool = False
    last_fire: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TickRow:
    """One time of a schedule. `queued_after`: the tick that it waits for; then it does not skip. `out_by`:
    when its digest is late, while somebody waits for one."""

    id: str
    schedule: str
    fire_at: datetime
    local: str
    state: str
    kind: str
    at: datetime
    run: str = ""
    queued_after: str = ""
    note: str = ""
    claimed_until: datetime | None = None
    wake_at: datetime | None = None
    out_by: datetime | None = None


def keep(connection: Connection, wanted: Sequence[Schedule], runbooks: Iterable[str] | None = None) -> None:
    """Makes the rows be those of the files. One whose text is the same goes on where it stood, also when it
    moved to another place in its file; any other begins anew. `runbooks`: only those are looked at."""
    query = select(schedules).order_by(schedules.c.id).with_for_update()
    if runbooks is not None:
        query = query.where(schedules.c.runbook.in_(tuple(runbooks)))
    there = {row.id: _schedule(row) for row in connection.execute(query)}
    before = {(row.runbook, row.digest): row for row in reversed(there.values())}
    for each in wanted:
        old = there.get(each.id)
        if old is not None and old.digest == each.digest:
            continue
        moved = before.get((each.runbook, each.digest))
        row = ScheduleRow(**asdict(each))
        if moved is not None:
            row = ScheduleRow(**{**asdict(moved), "id": each.id, "n": each.n})
        elif old is not None:  # who edits a paused one has not resumed it
            kept = ("paused_by", "paused_reason", "paused_at")
            row = ScheduleRow(**{**asdict(row), **{name: getattr(old, name) for name in kept}})
        statement = insert_into(connection, schedules).values(**asdict(row))
        connection.execute(
            statement.on_conflict_do_update(index_elements=[schedules.c.id], set_=_but_id(asdict(row)))
        )
    gone = there.keys() - {each.id for each in wanted}
    if gone:
        connection.execute(delete(schedules).where(schedules.c.id.in_(gone)))


def _but_id(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "id"}


def rows(connection: Connection) -> dict[str, ScheduleRow]:
    """Every schedule by its id."""
    return {row.id: _schedule(row) for row in connection.execute(select(schedules).order_by(schedules.c.id))}


def due(connection: Connection, now: datetime) -> tuple[str, ...]:
    """The schedules whose time has come, the longest due first."""
    query = select(schedules.c.id).where(schedules.c.next_fire <= now)
    return tuple(connection.scalars(query.order_by(schedules.c.next_fire, schedules.c.id)))


def locked(connection: Connection, id_: str) -> ScheduleRow | None:
    """A schedule, which nobody else changes before this transaction ends."""
    row = connection.execute(select(schedules).where(schedules.c.id == id_).with_for_update()).first()
    return _schedule(row) if row else None


def change(connection: Connection, id_: str, **values: Any) -> None:
    """Changes a schedule's row."""
    connection.execute(update(schedules).where(schedules.c.id == id_).values(**values))


def pause(
    connection: Connection, ids: Iterable[str], by: Person, reason: str, at: datetime
) -> tuple[str, ...]:
    """Those of them that were not paused, and are now."""
    statement = (
        update(schedules)
        .where(schedules.c.id.in_(tuple(ids)), schedules.c.paused_at.is_(None))
        .values(paused_by=by.name, paused_reason=reason, paused_at=at)
    )
    return tuple(sorted(connection.scalars(statement.returning(schedules.c.id))))


def resume(connection: Connection, ids: Iterable[str]) -> tuple[str, ...]:
    """Those of them that were paused, and are no more."""
    statement = (
        update(schedules)
        .where(schedules.c.id.in_(tuple(ids)), schedules.c.paused_at.is_not(None))
        .values(paused_by="", paused_reason="", paused_at=None)
    )
    return tuple(sorted(connection.scalars(statement.returning(schedules.c.id))))


def skip(connection: Connection, id_: str) -> bool:
    """The next time is left out. False when somebody has said so already."""
    statement = update(schedules).where(schedules.c.id == id_, schedules.c.skip_next.is_(False))
    return connection.execute(statement.values(skip_next=True).returning(schedules.c.id)).first() is not None


def add_tick(connection: Connection, tick: TickRow) -> bool:
    """False when there is that tick already: somebody else was quicker, or its time came twice."""
    statement = insert_into(connection, ticks).values(**asdict(tick)).on_conflict_do_nothing()
    return connection.execute(statement.returning(ticks.c.id)).first() is not None


def due_ticks(connection: Connection, now: datetime, limit: int = 100) -> tuple[TickRow, ...]:
    """The ticks with which to begin now, and those that somebody began with and did not come back to."""
    query = select(ticks).where(ticks.c.wake_at <= now).order_by(ticks.c.fire_at, ticks.c.id).limit(limit)
    return tuple(map(_tick, connection.execute(query)))


def claim(connection: Connection, tick: str, now: datetime, until: datetime) -> TickRow | None:
    """The tick, which is ours until then; None when it is somebody else's, or nothing is left to do."""
    statement = (
        update(ticks)
        .where(ticks.c.id == tick, ticks.c.state.in_(OPEN), ticks.c.wake_at <= now)
        .values(state=TickState.CLAIMED, claimed_until=until, wake_at=until)
    )
    row = connection.execute(statement.returning(*ticks.c)).first()
    return _tick(row) if row else None


def wait(connection: Connection, tick: str, until: datetime, after: str) -> None:
    """Puts a claimed tick back: its turn comes when that other one is over."""
    values = {"state": TickState.WAITING, "claimed_until": None, "wake_at": until, "queued_after": after}
    connection.execute(update(ticks).where(ticks.c.id == tick).values(**values))


def hold_on(connection: Connection, tick: TickRow, until: datetime) -> TickRow | None:
    """A claimed tick stays ours until then; None when the claim was over."""
    mine = (
        ticks.c.id == tick.id,
        ticks.c.state == TickState.CLAIMED,
        ticks.c.claimed_until == tick.claimed_until,
    )
    statement = update(ticks).where(*mine).values(claimed_until=until, wake_at=until)
    row = connection.execute(statement.returning(*ticks.c)).first()
    return _tick(row) if row else None


def close(connection: Connection, tick: TickRow, state: TickState, *, run: str = "", note: str = "") -> bool:
    """What became of a claimed tick. False when the claim was over: somebody else has it, or closed it."""
    mine = (
        ticks.c.id == tick.id,
        ticks.c.state == TickState.CLAIMED,
        ticks.c.claimed_until == tick.claimed_until,
    )
    values = {"state": state, "run": run, "note": note, "wake_at": None, "claimed_until": None}
    statement = update(ticks).where(*mine).values(**values)
    return connection.execute(statement.returning(ticks.c.id)).first() is not None


def run_of_key(connection: Connection, key: str) -> str:
    """The run with that key; empty when there is none."""
    return connection.scalar(select(runs.c.id).where(runs.c.key == key)) or ""


def earlier_open(connection: Connection, tick: TickRow) -> str:
    """An earlier tick of the same schedule with which nobody is done: it waits, or its run is not over."""
    before = (ticks.c.schedule == tick.schedule, ticks.c.fire_at < tick.fire_at)
    query = select(ticks.c.id).where(*before, ticks.c.wake_at.is_not(None))
    newest = query.order_by(ticks.c.fire_at.desc()).limit(1)
    if found := connection.scalar(newest):
        return str(found)
    open_runs = (
        select(ticks.c.id)
        .join(runs, runs.c.id == ticks.c.run)
        .where(*before, runs.c.state.not_in(tuple(OVER)))
        .order_by(ticks.c.fire_at.desc())
        .limit(1)
    )
    return str(connection.scalar(open_runs) or "")


def newest_ticks(connection: Connection, schedule: str, limit: int = 10) -> tuple[TickRow, ...]:
    """The last ticks of a schedule, newest first."""
    query = select(ticks).where(ticks.c.schedule == schedule).order_by(ticks.c.fire_at.desc()).limit(limit)
    return tuple(map(_tick, connection.execute(query)))


def _schedule(row: Row[Any]) -> ScheduleRow:
    return ScheduleRow(**{each.name: getattr(row, each.name) for each in fields(ScheduleRow)})


def _tick(row: Row[Any]) -> TickRow:
    return TickRow(**{each.name: getattr(row, each.name) for each in fields(TickRow)})
