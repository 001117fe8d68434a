"""One disruptive run per target. Who came first is served first; a lock outlives a crash."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, text

from runbooks.records.run_tables import locks, runs
from runbooks.records.runs import LockRow, RunState, WaitingOn, as_row

#: "lock" in ASCII: on PostgreSQL one at a time looks who comes first.
_TURNSTILE = 0x6C6F636B


def acquire(connection: Connection, run: str, targets: Sequence[str], reason: str, now: datetime) -> bool:
    """Takes all of them or none. False when one is held, or when an older run waits for one of them."""
    if not targets:
        return True
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _TURNSTILE})
    taken = {
        row.target: row.run for row in connection.execute(select(locks).where(locks.c.target.in_(targets)))
    }
    if any(holder != run for holder in taken.values()):
        return False
    missing = sorted(set(targets) - set(taken))
    if missing and _somebody_before(connection, run, set(missing)):
        return False
    if missing:
        rows = [{"target": target, "run": run, "since": now, "reason": reason} for target in missing]
        connection.execute(insert(locks), rows)
    return True


def _somebody_before(connection: Connection, run: str, targets: set[str]) -> bool:
    mine = select(runs.c.created_at).where(runs.c.id == run).scalar_subquery()
    # Whoever asked first and has not begun, or waits for a lock once more.
    queues = (runs.c.state == RunState.QUEUED) | (
        (runs.c.state == RunState.WAITING) & (runs.c.waiting_on == WaitingOn.LOCK)
    )
    before = (runs.c.created_at < mine) | ((runs.c.created_at == mine) & (runs.c.id < run))
    older = select(runs.c.locks).where(queues, before)
    return any(targets & set(wanted) for wanted in connection.scalars(older))


def release(connection: Connection, run: str) -> tuple[str, ...]:
    """Lets go of everything that the run holds; which targets these were."""
    return tuple(connection.scalars(delete(locks).where(locks.c.run == run).returning(locks.c.target)))


def take_away(connection: Connection, target: str) -> LockRow | None:
    """Frees a target whoever holds it; who did."""
    row = connection.execute(delete(locks).where(locks.c.target == target).returning(*locks.c)).first()
    return as_row(LockRow, row) if row else None


def held(connection: Connection) -> tuple[LockRow, ...]:
    """Every lock, the oldest first."""
    query = select(locks).order_by(locks.c.since, locks.c.target)
    return tuple(as_row(LockRow, row) for row in connection.execute(query))
