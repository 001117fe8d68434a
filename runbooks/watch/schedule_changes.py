"""What people say of schedules: one transaction each, with its audit event."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from runbooks.records import audit
from runbooks.records import schedules as records
from runbooks.records.audit import Outcome, done_by
from runbooks.records.person import Person
from runbooks.watch.coming import come
from runbooks.watch.entries import Entry


def pause(
    connection: Any,
    entries: Mapping[str, Entry],
    chosen: Sequence[Entry],
    by: Person,
    reason: str,
    now: datetime,
) -> tuple[str, ...]:
    """Its times pass and nothing begins, until somebody resumes it. Which of them were not paused before.

    `entries`: all that is on a schedule, as the files have it: a schedule may be new since Maint last served.
    """
    _know(connection, entries, chosen, now)
    paused = records.pause(connection, [each.id for each in chosen], by, reason, now)
    _note(connection, "schedule.paused", chosen, paused, by, now, {"reason": reason})
    return paused


def resume(
    connection: Any, entries: Mapping[str, Entry], chosen: Sequence[Entry], by: Person, now: datetime
) -> tuple[str, ...]:
    """It goes on with its next time; what passed is not made up for. Which of them were paused."""
    _know(connection, entries, chosen, now)
    resumed = records.resume(connection, [each.id for each in chosen])
    _note(connection, "schedule.resumed", chosen, resumed, by, now, {})
    return resumed


def skip(connection: Any, entries: Mapping[str, Entry], chosen: Entry, by: Person, now: datetime) -> bool:
    """Its next time is left out. False when somebody has said so already."""
    _know(connection, entries, [chosen], now)
    first = records.skip(connection, chosen.id)
    _note(connection, "schedule.skipped", [chosen], (chosen.id,) if first else (), by, now, {})
    return first


def ran(connection: Any, chosen: Entry, by: Person, run: str, now: datetime) -> None:
    """Somebody had it run beside its times."""
    _note(connection, "schedule.run", [chosen], (chosen.id,), by, now, {"run": run})


def _know(connection: Any, entries: Mapping[str, Entry], chosen: Sequence[Entry], now: datetime) -> None:
    names = {each.runbook.name for each in chosen}
    wanted = [each.as_wanted(now) for each in entries.values() if each.runbook.name in names]
    records.keep(connection, wanted, names)
    for each in chosen:  # what has come before it is said, though nobody has looked since, is as it was then
        come(connection, each, now)


def _note(
    connection: Any,
    action: str,
    chosen: Sequence[Entry],
    changed: Sequence[str],
    by: Person,
    now: datetime,
    details: Mapping[str, Any],
) -> None:
    for each in chosen:
        outcome = Outcome.OK if each.id in changed else Outcome.LATE
        runbook = each.runbook.name
        event = done_by(by, action, outcome, object=each.id, runbook=runbook, details=details, at=now)
        audit.append(connection, event)
