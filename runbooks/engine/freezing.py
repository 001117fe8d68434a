"""A freeze begins and ends: one transaction each, with its audit event, and every card that shows it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runbooks.engine.decided import Decided, Verdict
from runbooks.records import audit, freezes, run_changes
from runbooks.records.audit import Outcome, done_by
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
    event = done_by(
        by,
        "freeze.started",
        Outcome.OK,
        object=kept.where,
        targets=kept.targets,
        details=details,
        at=now,
    )
    audit.append(connection, event)
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
    targets = ended.targets if ended else ()
    details = {"reason": reason, "freeze": id_}
    event = done_by(by, "freeze.ended", outcome, object=what, targets=targets, details=details, at=now)
    audit.append(connection, event)
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
