"""A freeze begins and ends: one transaction each, with its audit event, and every card that shows it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runbooks.engine.decided import Decided, Verdict
from runbooks.engine.events import of_person
from runbooks.records import audit, freezes, run_changes
from runbooks.records.audit import Outcome
from runbooks.records.freezes import Freeze
from runbooks.records.person import Person
from runbooks.records.runs import WaitingOn


def freeze(connection: Any, *, by: Person, reason: str, now: datetime, what: Freeze, **_: object) -> Decided:
    """From now on nothing risky begins there."""
    if not reason:
        return Decided(outcome=Verdict.REASON_NEEDED, text="Say why: … because launch")
    kept = replace(what, reason=reason)
    freezes.add(connection, kept)
    details = {"reason": reason, "until": kept.until.isoformat(), "freeze": kept.id}
    event = of_person(by, "freeze.started", kept.where, Outcome.OK, now, details)
    audit.append(connection, replace(event, targets=kept.targets))
    run_changes.redraw_open(connection)
    text = f"{kept.where} is frozen until {kept.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
    return Decided(outcome=Verdict.CLOSED, text=text)


def unfreeze(
    connection: Any, *, by: Person, reason: str, now: datetime, enqueue: run_changes.Enqueue, id_: str
) -> Decided:
    """Ends one before its time; what it held goes on."""
    ended = freezes.end(connection, id_, now, by.name)
    outcome = Outcome.OK if ended else Outcome.LATE
    what = ended.where if ended else id_
    event = of_person(by, "freeze.ended", what, outcome, now, {"reason": reason, "freeze": id_})
    audit.append(connection, replace(event, targets=ended.targets if ended else ()))
    if ended is None:
        return Decided(outcome=Verdict.LATE, text="It has ended already.")
    run_changes.wake_held_up(connection, WaitingOn.WINDOW, now, enqueue)
    run_changes.redraw_open(connection)
    return Decided(outcome=Verdict.CLOSED, text=f"{ended.where} is not frozen any more.")


def expire(
    connection: Any, *, by: Person, reason: str, now: datetime, enqueue: run_changes.Enqueue
) -> Decided:
    """Ends those whose time is over."""
    over = freezes.over(connection, now)
    for id_ in over:
        unfreeze(connection, by=by, reason=reason, now=now, enqueue=enqueue, id_=id_)
    return Decided(outcome=Verdict.CLOSED if over else Verdict.LATE, text=", ".join(over))
