"""Who stands in for whom in a rotation, as people said with `/maint oncall override`."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from runbooks.ids import new_id
from runbooks.records.database import scrubber_of
from runbooks.records.person import Person
from runbooks.records.watch_tables import rotations_overrides as rows
from runbooks.watch.rotations import Override


def add(
    connection: Connection, rotation: str, person: str, since: datetime, until: datetime, by: Person
) -> str:
    """Somebody stands in; returns the id of that."""
    id_ = new_id()
    name = scrubber_of(connection)(by.name)
    connection.execute(
        insert(rows).values(
            id=id_, rotation=rotation, person=person, since=since, until=until, by_id=by.id, by_name=name
        )
    )
    return id_


def remove(connection: Connection, rotation: str, id_: str) -> bool:
    """Nobody stands in any more. False when there was no such override."""
    statement = delete(rows).where(rows.c.id == id_, rows.c.rotation == rotation)
    return connection.execute(statement.returning(rows.c.id)).first() is not None


def coming(connection: Connection, now: datetime) -> Mapping[str, tuple[Override, ...]]:
    """Those that are not over, by rotation, in the order in which they were said."""
    query = select(rows).where(rows.c.until > now).order_by(rows.c.id)
    found: dict[str, tuple[Override, ...]] = {}
    for row in connection.execute(query):
        override = Override(
            person=row.person, since=row.since, until=row.until, by=row.by_name or row.by_id, id=row.id
        )
        found[row.rotation] = (*found.get(row.rotation, ()), override)
    return found
