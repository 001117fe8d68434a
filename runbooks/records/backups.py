"""The backups that were taken: a row each, also of those that were removed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, Row, select, update

from runbooks.backups.backup import Backup
from runbooks.records.audit import Outcome, append, done_by
from runbooks.records.backup_tables import backups as rows
from runbooks.records.insert import insert_into
from runbooks.records.person import Person


def add(connection: Connection, backup: Backup) -> None:
    """Remembers it; one of that id that is there already stays as it is."""
    values = {**asdict(backup), "places": [dict(place) for place in backup.places]}
    connection.execute(insert_into(connection, rows).values(values).on_conflict_do_nothing())


def get(connection: Connection, id_: str) -> Backup | None:
    """The one of that id."""
    row = connection.execute(select(rows).where(rows.c.id == id_)).first()
    return _backup(row) if row else None


def present(connection: Connection, target: str | None = None) -> Sequence[Backup]:
    """Those that were not removed, newest first."""
    query = select(rows).where(rows.c.removed_at.is_(None))
    if target is not None:
        query = query.where(rows.c.target == target)
    return [_backup(row) for row in connection.execute(query.order_by(rows.c.taken_at.desc(), rows.c.id))]


def stored(connection: Connection, id_: str, places: Sequence[Mapping[str, str]]) -> None:
    """It is in these places now."""
    listed = [dict(place) for place in places]
    connection.execute(update(rows).where(rows.c.id == id_).values(places=listed))


def proven(connection: Connection, id_: str, at: datetime) -> None:
    """It was restored then, and was what its snapshot had."""
    connection.execute(update(rows).where(rows.c.id == id_).values(proven_at=at))


def restored(connection: Connection, id_: str, at: datetime) -> None:
    """People restored it then."""
    connection.execute(update(rows).where(rows.c.id == id_).values(restored_at=at))


def removed(connection: Connection, id_: str, at: datetime) -> None:
    """It is in no place any more since then."""
    still_there = rows.c.removed_at.is_(None)
    connection.execute(update(rows).where(rows.c.id == id_, still_there).values(removed_at=at))


def hold(connection: Connection, id_: str, reason: str) -> bool:
    """Keeps it, or with no reason lets go of it; whether that changed anything."""
    other = rows.c.hold != reason
    changed = update(rows).where(rows.c.id == id_, rows.c.removed_at.is_(None), other)
    return connection.execute(changed.values(hold=reason).returning(rows.c.id)).first() is not None


def hold_by(
    connection: Connection, backup: Backup, by: Person, *, on: bool, reason: str, at: datetime
) -> bool:
    """A person keeps it, or lets go of it, and says why; whether that changed anything. It is an event."""
    if not hold(connection, backup.id, f"{reason} ({by.name})" if on else ""):
        return False
    event = done_by(
        by,
        "backup.held" if on else "backup.released",
        Outcome.OK,
        object=backup.name,
        at=at,
        details={"backup": backup.id, "reason": reason},
        targets=(backup.target,),
    )
    append(connection, event)
    return True


def _backup(row: Row[tuple[object, ...]]) -> Backup:
    return Backup(**{**row._mapping, "places": tuple(row.places)})
