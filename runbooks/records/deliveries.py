"""What Slack delivers twice has one effect."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from runbooks.ids import new_id
from runbooks.records.audit import Event, Outcome, append
from runbooks.records.insert import insert_into
from runbooks.records.schema import deliveries


@dataclass(frozen=True)
class Entry:
    """An event to record, and the key of the delivery that brought it, if Slack brought it."""

    event: Event
    delivery_key: str | None = None


def record(connection: Connection, entries: Sequence[Entry]) -> list[bool]:
    """Adds the events within the caller's transaction; for each, whether its delivery is the first.

    A later delivery of the same key is recorded as a `duplicate`.
    """
    digests = [None if entry.delivery_key is None else _digest(entry.delivery_key) for entry in entries]
    unclaimed = _claim(connection, {digest for digest in digests if digest is not None})
    firsts = []
    for digest in digests:
        firsts.append(digest is None or digest in unclaimed)
        unclaimed.discard(digest or "")
    append(
        connection,
        *(
            entry.event if first else replace(entry.event, outcome=Outcome.DUPLICATE, id=new_id())
            for entry, first in zip(entries, firsts, strict=True)
        ),
    )
    return firsts


def _claim(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Those of the digests that nobody had claimed before."""
    # In one order everywhere: two replicas that each wait for the other's row would be a deadlock.
    now = datetime.now(UTC)
    rows = [{"digest": digest, "at": now} for digest in sorted(digests)]
    if not rows:
        return set()
    statement = insert_into(connection, deliveries).values(rows).on_conflict_do_nothing()
    return set(connection.scalars(statement.returning(deliveries.c.digest)))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
