"""What a step remembers of its last time: sizes, statements, durations. One row is one thing at one time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from runbooks.records.backup_tables import step_memory as rows
from runbooks.records.database import scrubber_of
from runbooks.scrub import scrubbed

#: Rows that one transaction removes.
_BATCH = 1_000


@dataclass(frozen=True)
class Remembered:
    """A value of JSON's types, and when it was so (UTC)."""

    at: datetime
    value: Any


def remember(connection: Connection, kind: str, target: str, name: str, value: Any, at: datetime) -> None:
    """Keeps what a step of that kind saw there; `name` says of what."""
    row = {"kind": kind, "target": target, "name": name, "at": at}
    connection.execute(insert(rows).values(**row, value=scrubbed(value, scrubber_of(connection))))


def recent(
    connection: Connection, kind: str, target: str, name: str, before: datetime | None = None, limit: int = 1
) -> Sequence[Remembered]:
    """The newest, the newest first; only what is from before that time, if one is given."""
    query = select(rows.c.at, rows.c.value).where(
        rows.c.kind == kind, rows.c.target == target, rows.c.name == name
    )
    if before is not None:
        query = query.where(rows.c.at < before)
    found = connection.execute(query.order_by(rows.c.at.desc(), rows.c.id.desc()).limit(limit))
    return [Remembered(row.at, row.value) for row in found]


def last(
    connection: Connection, kind: str, target: str, name: str, before: datetime | None = None
) -> Remembered | None:
    """The newest one, if there is any."""
    return next(iter(recent(connection, kind, target, name, before)), None)


def prune(connection: Connection, before: datetime) -> int:
    """Forgets one batch of what is older; how many there were."""
    old = select(rows.c.id).where(rows.c.at < before).order_by(rows.c.at).limit(_BATCH)
    statement = delete(rows).where(rows.c.id.in_(old.scalar_subquery()))
    return len(connection.execute(statement.returning(rows.c.id)).all())
