"""What leaves the audit log, and how the chain holds all the same: events for their age, whole beginnings of
the log at a time; names of people, on request. A hold keeps every event where it is."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, or_, select, text, update

from runbooks.errors import UsageError
from runbooks.proof.checkpoint import Checkpoint, Kind
from runbooks.proof.signing import PublicKey, SigningKey
from runbooks.proof.trail import why_not
from runbooks.records import audit, checkpoints
from runbooks.records.audit import Outcome, done_by
from runbooks.records.audit_tables import audit_events, audit_names, audit_targets
from runbooks.records.chain import pseudonym
from runbooks.records.checkpoints import PRUNED
from runbooks.records.person import Person
from runbooks.records.run_tables import asks, runs, switches, votes
from runbooks.records.switches import switch_off, switch_on
from runbooks.records.verify import FORGOTTEN

#: The switch that stops every removal, and its action.
HOLD = "audit.hold"
#: The database itself refuses to let younger events go.
SHORTEST_KEEP = timedelta(days=30)
#: Events that one transaction removes.
BATCH = 1_000

_PRUNE = text("SELECT maint_prune_events(:limit)")
_FORGET = text("SELECT maint_forget_names(:actor_id, :at)")


def held(connection: Connection) -> str:
    """Who holds the log, and why; empty when nobody does."""
    row = connection.execute(select(switches).where(switches.c.name == HOLD)).first()
    return f"{row.by_name} since {row.at:%Y-%m-%d}: {row.reason}" if row else ""


def hold(connection: Connection, on: bool, by: Person, reason: str, now: datetime) -> bool:
    """Holds the log, or lets it go. False when it is so already; that is an event too."""
    changed = switch_on(connection, HOLD, by, reason, now) if on else switch_off(connection, HOLD)
    outcome = Outcome.OK if changed else Outcome.LATE
    details = {"on": on, "reason": reason}
    event = done_by(by, HOLD, outcome, object="on" if on else "off", details=details, at=now)
    audit.append(connection, event)
    return changed


def begin_removal(
    connection: Connection,
    key: SigningKey,
    keys: tuple[PublicKey, ...],
    keep: timedelta,
    now: datetime,
    by: Person,
) -> Checkpoint | None:
    """Signs off that everything up to the newest anchor that is older than `keep` may go, and says so in the
    log. None when there is no such anchor. Raises UsageError while the log is held."""
    if reason := held(connection):
        raise UsageError(f"The audit log is held, and nothing is removed from it. {reason}")
    checkpoints.lock(connection)
    done = checkpoints.pruned_up_to(connection)
    before = now - max(keep, SHORTEST_KEEP)
    good = [
        each.checkpoint
        for each in checkpoints.all_stored(connection)
        if each.is_whole and each.checkpoint is not None and why_not(each.checkpoint, keys) is None
    ]
    old = [each for each in good if each.kind == Kind.ANCHOR and each.at < before and each.seq > done]
    if not old:
        return None
    newest = max(old, key=lambda each: each.seq)
    first = connection.execute(
        select(audit_events.c.seq, audit_events.c.hash).order_by(audit_events.c.seq).limit(1)
    ).one()
    last = connection.scalar(select(audit_events.c.hash).where(audit_events.c.seq == newest.seq))
    if last != newest.hash:
        raise UsageError(
            f"Event {newest.seq} is not the one that was anchored, so nothing is removed: see audit verify."
        )
    removal = checkpoints.follow(connection, Kind.PRUNE, newest.seq, newest.hash, now).signed(key)
    checkpoints.add(connection, removal, f"prune-{newest.seq}")
    details = {"first": first.seq, "first_hash": first.hash, "last": newest.seq, "count": removal.count}
    checkpoints.announce(connection, PRUNED, removal, now, by, **details)
    return removal


def remove_batch(connection: Connection, limit: int = BATCH) -> int:
    """Removes some of what was signed off, the oldest first; how many. After the last, names go that nobody
    has any more."""
    if held(connection):
        return 0
    if connection.dialect.name == "postgresql":
        return int(connection.scalar(_PRUNE, {"limit": limit}) or 0)
    upto = checkpoints.pruned_up_to(connection)
    some = select(audit_events.c.seq).where(audit_events.c.seq <= upto).order_by(audit_events.c.seq)
    last = connection.scalar(select(func.max(some.limit(limit).subquery().c.seq)))
    if last is None:
        used = select(audit_events.c.seq).where(
            audit_events.c.actor_id == audit_names.c.actor_id,
            audit_events.c.actor_mark == audit_names.c.mark,
        )
        connection.execute(delete(audit_names).where(~used.exists()))
        return 0
    removed = delete(audit_events).where(audit_events.c.seq <= last).returning(audit_events.c.seq)
    count = len(connection.execute(removed).all())
    connection.execute(delete(audit_targets).where(audit_targets.c.seq <= last))
    return count


def people_called(connection: Connection, name: str) -> tuple[str, ...]:
    """The ids of the actors who are, or were, called so; or that have this very id."""
    query = select(audit_names.c.actor_id).where(
        or_(audit_names.c.name == name, audit_names.c.actor_id == name), audit_names.c.removed_at.is_(None)
    )
    return tuple(connection.scalars(query.distinct().order_by(audit_names.c.actor_id)))


def forget(connection: Connection, actor_id: str, by: Person, reason: str, now: datetime) -> int:
    """Removes every name that the actor had from the log and from runs; how many. Their id stays, and the
    chain holds: it never had the name in it."""
    if connection.dialect.name == "postgresql":
        marks = tuple(connection.scalars(_FORGET, {"actor_id": actor_id, "at": now}))
    else:
        statement = (
            update(audit_names)
            .where(audit_names.c.actor_id == actor_id, audit_names.c.removed_at.is_(None))
            .values(name="", salt="", removed_at=now)
        )
        marks = tuple(connection.scalars(statement.returning(audit_names.c.mark)))
    if marks:
        called = pseudonym(max(marks))
        for table, id_, name in (
            (runs, "requester_id", "requester_name"),
            (asks, "answered_by", "answered_name"),
            (votes, "person", "name"),
            (switches, "by_id", "by_name"),
        ):
            # The table of switches is small; the others have no index for what is done once in years.
            connection.execute(update(table).where(table.c[id_] == actor_id).values({name: called}))
    outcome = Outcome.OK if marks else Outcome.INVALID
    details = {"marks": sorted(marks), "reason": reason}
    audit.append(connection, done_by(by, FORGOTTEN, outcome, object=actor_id, details=details, at=now))
    return len(marks)
