"""Times that have come become rows: what is to begin, and what is left out and why."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from runbooks.records import audit
from runbooks.records import schedules as records
from runbooks.records.audit import Event, Outcome, done_by
from runbooks.records.schedules import ScheduleRow, TickRow, TickState
from runbooks.watch.entries import Entry, only_looks
from runbooks.watch.fire_times import Fire, delay, next_fire

#: So late a tick still is on time: a restart, or another replica that takes over.
GRACE = timedelta(minutes=5)
#: Missed times that `all` makes up for, and those that are kept each by itself; older ones are only counted.
MOST_MADE_UP, MOST_KEPT = 100, 20
#: Why a time is left out.
PAUSED, _MISSED, _ASKED = "paused", "missed", "asked"


@dataclass(frozen=True)
class _Choice:
    """What becomes of the times that have come: some begin, of the others it is written down why not."""

    begin: tuple[Fire, ...] = ()
    skipped: tuple[tuple[str, int, tuple[Fire, ...]], ...] = ()  # why, how many, the last of them


def come(connection: Any, entry: Entry, now: datetime) -> None:
    """One transaction: the times that have come are rows, and the schedule waits for its next one."""
    row = records.locked(connection, entry.id)
    if row is None or row.digest != entry.digest or row.next_fire is None or row.next_fire > now:
        return  # another replica was quicker, or has a newer file
    choice, last = _choose(entry, row, now)
    following = next_fire(entry.times, now)
    values: dict[str, Any] = {"last_fire": last, "next_fire": following.at if following else None}
    if row.skip_next and any(why == _ASKED for why, _, _ in choice.skipped):
        values["skip_next"] = False
    records.change(connection, entry.id, **values)
    for why, count, fires in choice.skipped:
        for fire in fires:
            missed, note = why == _MISSED, because(why, row)
            skipped = _tick(entry, fire, now, state=TickState.SKIPPED, note=note, wakes=False, awaited=missed)
            records.add_tick(connection, skipped)
        audit.append(connection, tick_event(entry, Outcome.LATE, now, _told(fires, count, because(why, row))))
    before = ""
    for fire in choice.begin:
        tick = _tick(entry, fire, now, queued_after=before)
        records.add_tick(connection, tick)
        before = tick.id


def tick_event(
    entry: Entry, outcome: Outcome, at: datetime, details: Mapping[str, Any], run: str = ""
) -> Event:
    """What the log has of a time that came."""
    return done_by(
        entry.person,
        "schedule.tick",
        outcome,
        object=entry.id,
        runbook=entry.runbook.name,
        correlation=run,
        details=details,
        at=at,
    )


def because(why: str, row: ScheduleRow) -> str:
    """Why it is skipped, for people."""
    match why:
        case "paused":
            reason = f": {row.paused_reason}" if row.paused_reason else ""
            return f"paused by {row.paused_by}{reason}"
        case "missed":
            return "missed: Maint was not there, or a later time took its place"
        case _:
            return "somebody asked to leave this one out"


def _choose(entry: Entry, row: ScheduleRow, now: datetime) -> tuple[_Choice, datetime]:
    """What becomes of every time since the row's next one; and the last of them."""
    assert row.next_fire is not None
    since = row.next_fire - timedelta(microseconds=1)
    count = 0
    last: deque[Fire] = deque(maxlen=MOST_MADE_UP)
    for fire in takewhile(lambda fire: fire.at <= now, entry.times.after(since)):
        count += 1
        last.append(fire)
    fires = tuple(last)
    if not fires:  # the zone's rules have changed since the row was written
        return _Choice(), row.next_fire
    if row.paused_at is not None:
        return _Choice(skipped=((PAUSED, count, fires[-MOST_KEPT:]),)), fires[-1].at
    on_time = now - fires[-1].at <= GRACE
    match entry.schedule.missed:
        case "all":
            begin = fires
        case "latest":
            begin = fires[-1:]
        case _:
            begin = fires[-1:] if on_time else ()
    skipped = []
    if missed := count - len(begin):
        older = fires[: len(fires) - len(begin)]
        skipped.append((_MISSED, missed, older[-MOST_KEPT:]))
    if row.skip_next and begin:
        skipped.append((_ASKED, 1, begin[:1]))
        begin = begin[1:]
    return _Choice(begin=begin, skipped=tuple(skipped)), fires[-1].at


def _tick(
    entry: Entry,
    fire: Fire,
    now: datetime,
    *,
    state: TickState = TickState.WAITING,
    note: str = "",
    queued_after: str = "",
    wakes: bool = True,
    awaited: bool = True,
) -> TickRow:
    """`awaited`: people wait for its digest, if it is one; not for one that they left out."""
    id_ = f"schedule:{entry.id}:{fire.local}"
    looks = entry.schedule.report != "none" and only_looks(entry.runbook.steps)
    begins = fire.at + delay(id_, entry.schedule.jitter)
    posted = awaited and looks and entry.schedule.report != "changes"
    return TickRow(
        id=id_,
        schedule=entry.id,
        fire_at=fire.at,
        local=fire.local,
        state=state,
        kind="report" if looks else "run",
        queued_after=queued_after,
        note=note,
        wake_at=begins if wakes else None,
        out_by=begins + entry.schedule.grace if posted else None,
        at=now,
    )


def _told(fires: tuple[Fire, ...], count: int, why: str) -> dict[str, Any]:
    """What the log says of times that were left out."""
    named = {"last": fires[-1].local} if fires else {}
    return {"reason": why, "count": count, **named}
