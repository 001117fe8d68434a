"""The signed heads of the chain, as they stand in the database: each names the one before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from runbooks.ids import new_id
from runbooks.proof.checkpoint import FIRST, Checkpoint, Kind, read_document
from runbooks.proof.signing import SigningKey
from runbooks.records import audit
from runbooks.records.audit import Outcome, done_by
from runbooks.records.audit_tables import audit_checkpoints, audit_events
from runbooks.records.insert import insert_into
from runbooks.records.person import Person

#: The actions under which the log itself tells of its checkpoints.
ANCHORED, PRUNED = "audit.anchored", "audit.pruned"
#: What Maint does by itself is done by this actor.
MAINT = Person(kind="maint", id="maint", name="Maint")

#: "mainta" in ASCII, and one: two checkpoints at the same time would both name the same one before them.
_LOCK = text("SELECT pg_advisory_xact_lock(x'6D61696E7462'::bigint)")
_HEAD = (
    select(audit_events.c.seq, audit_events.c.hash, audit_events.c.at)
    .order_by(audit_events.c.seq.desc())
    .limit(1)
)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A row: what it says of itself, and the checkpoint that its document is, if it is one."""

    id: str
    slot: str
    seq: int
    hash: str
    kind: str
    checkpoint: Checkpoint | None

    @property
    def is_whole(self) -> bool:
        """Whether the columns, by which it is found, say what was signed."""
        made = self.checkpoint
        return made is not None and (made.kind, made.seq, made.hash) == (self.kind, self.seq, self.hash)


def all_stored(connection: Connection) -> tuple[Stored, ...]:
    """Every checkpoint, oldest first."""
    rows = connection.execute(select(audit_checkpoints).order_by(audit_checkpoints.c.id))
    return tuple(_stored(row) for row in rows)


def pruned_up_to(connection: Connection) -> int:
    """The last event that was to be removed; 0 when none ever was."""
    newest = select(func.max(audit_checkpoints.c.seq)).where(audit_checkpoints.c.kind == Kind.PRUNE)
    return connection.scalar(newest) or 0


def add_anchor(
    connection: Connection, key: SigningKey, now: datetime, slot: str, by: Person = MAINT
) -> Checkpoint | None:
    """Signs the chain's head as it is now, and says so in the log. None when that was done for this slot
    before, or nothing is in the log."""
    found = select(audit_checkpoints.c.id).where(audit_checkpoints.c.slot == slot)
    if connection.scalar(found) is not None:  # looked at first: most times there is nothing to do
        return None
    lock(connection)
    head = connection.execute(_HEAD).first()
    if head is None:
        return None
    # Who set the clock back must not make an anchor that is older than what it anchors.
    anchor = follow(connection, Kind.ANCHOR, head.seq, head.hash, max(now, head.at)).signed(key)
    if not add(connection, anchor, slot):
        return None
    announce(connection, ANCHORED, anchor, now, by, slot=slot)
    return anchor


def lock(connection: Connection) -> None:
    """From now to the end of the transaction nobody else makes a checkpoint."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)


def follow(connection: Connection, kind: Kind, seq: int, hash_: str, at: datetime) -> Checkpoint:
    """A checkpoint that names the newest there is. Whoever calls it holds the lock."""
    made = [each.checkpoint for each in all_stored(connection) if each.checkpoint is not None]
    named = {each.previous for each in made}
    last = next((each for each in reversed(made) if each.digest not in named), None)
    return Checkpoint(
        kind=kind,
        seq=seq,
        hash=hash_,
        count=seq - pruned_up_to(connection),
        at=max(at, last.at) if last else at,
        previous=last.digest if last else FIRST,
        key="",
    )


def add(connection: Connection, checkpoint: Checkpoint, slot: str) -> bool:
    """False when there is one of that slot."""
    values = {
        "id": new_id(),
        "kind": checkpoint.kind,
        "slot": slot,
        "seq": checkpoint.seq,
        "hash": checkpoint.hash,
        "count": checkpoint.count,
        "at": checkpoint.at,
        "key_id": checkpoint.key,
        "signature": checkpoint.signature,
        "previous": checkpoint.previous,
        "document": checkpoint.document,
    }
    statement = insert_into(connection, audit_checkpoints).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(audit_checkpoints.c.id)).first() is not None


def announce(
    connection: Connection, action: str, checkpoint: Checkpoint, now: datetime, by: Person, **details: Any
) -> None:
    """Tells of it in the log: from then on it cannot be removed without a trace."""
    told = {"seq": checkpoint.seq, "hash": checkpoint.hash, "document": checkpoint.digest}
    subject = str(checkpoint.seq)
    audit.append(
        connection, done_by(by, action, Outcome.OK, object=subject, details={**told, **details}, at=now)
    )


def in_order(checkpoints: Iterable[Checkpoint]) -> tuple[Checkpoint, ...]:
    """From the first on, each after the one that it names. Those to which no way leads are left out."""
    after: dict[str, Checkpoint] = {}
    for each in checkpoints:
        after.setdefault(each.previous, each)
    found, at = [], FIRST
    while (following := after.pop(at, None)) is not None:
        found.append(following)
        at = following.digest
    return tuple(found)


def _stored(row: Row[Any]) -> Stored:
    read = read_document(row.document, row.signature)
    columns = (row._mapping["count"], row.at, row.key_id, row.previous)
    if read is not None and columns != (read.count, read.at, read.key, read.previous):
        read = None
    return Stored(id=row.id, slot=row.slot, seq=row.seq, hash=row.hash, kind=row.kind, checkpoint=read)
