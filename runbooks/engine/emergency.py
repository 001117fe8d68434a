"""What is done in an emergency: a lock taken away, everything stopped, everything let go on. One transaction
each, with its audit event."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from runbooks.engine.decided import Decided, Verdict
from runbooks.records import audit, locks, run_changes
from runbooks.records.audit import Outcome, done_by
from runbooks.records.person import Person
from runbooks.records.runs import WaitingOn
from runbooks.records.switches import PAUSED, paused_reason, switch_off, switch_on


def unlock(
    connection: Any, *, by: Person, reason: str, now: datetime, enqueue: run_changes.Enqueue, target: str
) -> Decided:
    """Frees a target whoever holds it."""
    if not reason:
        return Decided(outcome=Verdict.REASON_NEEDED, text="Say why the lock may go.")
    lock = locks.take_away(connection, target)
    outcome = Outcome.OK if lock else Outcome.INVALID
    details = {"reason": reason, "held_by": lock.run if lock else ""}
    event = done_by(by, "lock.removed", outcome, object=target, details=details, at=now)
    # The run, so that who looks it up sees why it stands.
    event = replace(event, targets=(target,), correlation=lock.run if lock else "")
    audit.append(connection, event)
    if lock is None:
        return Decided(outcome=Verdict.UNKNOWN, text=f"Nobody holds {target}.")
    run_changes.redraw(connection, lock.run, 2)
    run_changes.wake_held_up(connection, WaitingOn.LOCK, now, enqueue)
    text = (
        f"{target} is free. Run {lock.run[-8:]} held it since {lock.since:%Y-%m-%d %H:%M} UTC; what it has "
        "under way goes on, and when it wakes the next time it waits for the lock again."
    )
    return Decided(outcome=Verdict.CLOSED, text=text, run=lock.run)


def stop_everything(connection: Any, *, by: Person, reason: str, now: datetime, **_: object) -> Decided:
    """From now on nothing new starts: steps under way finish, gates and soaks hold."""
    if not reason:
        return Decided(outcome=Verdict.REASON_NEEDED, text="Say why everything is to stop.")
    first = switch_on(connection, PAUSED, by, reason, now)
    outcome = Outcome.OK if first else Outcome.LATE
    audit.append(connection, done_by(by, "everything.stopped", outcome, details={"reason": reason}, at=now))
    if not first:
        text = f"Everything is stopped already: {paused_reason(connection)}."
        return Decided(outcome=Verdict.LATE, text=text)
    run_changes.redraw_open(connection)
    text = "Everything is stopped: nothing new starts, steps under way finish, gates hold."
    return Decided(outcome=Verdict.CLOSED, text=text)


def resume_everything(
    connection: Any, *, by: Person, reason: str, now: datetime, enqueue: run_changes.Enqueue
) -> Decided:
    """Runs go on where they stood."""
    was_on = switch_off(connection, PAUSED)
    outcome = Outcome.OK if was_on else Outcome.LATE
    audit.append(connection, done_by(by, "everything.resumed", outcome, details={"reason": reason}, at=now))
    if not was_on:
        return Decided(outcome=Verdict.LATE, text="Nothing was stopped.")
    run_changes.wake_held_up(connection, WaitingOn.PAUSE, now, enqueue)
    run_changes.redraw_open(connection)
    return Decided(outcome=Verdict.CLOSED, text="Runs go on where they stood.")
