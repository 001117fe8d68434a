"""What is switched for everybody: while `paused` stands, no run starts and no step begins."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from runbooks.records.insert import insert_into
from runbooks.records.person import Person
from runbooks.records.run_tables import switches

PAUSED = "paused"
_PAUSE = select(switches.c.by_name, switches.c.reason).where(switches.c.name == PAUSED)


def switch_on(connection: Connection, name: str, by: Person, reason: str, at: datetime) -> bool:
    """False when it is on already: the first reason stands."""
    row = {"name": name, "by_id": by.id, "by_name": by.name, "reason": reason, "at": at}
    statement = insert_into(connection, switches).values(row).on_conflict_do_nothing()
    return connection.execute(statement.returning(switches.c.name)).first() is not None


def switch_off(connection: Connection, name: str) -> bool:
    """False when it was not on."""
    statement = delete(switches).where(switches.c.name == name)
    return connection.execute(statement.returning(switches.c.name)).first() is not None


def paused_reason(connection: Connection) -> str:
    """Who stopped everything, and why; empty when nobody did."""
    row = connection.execute(_PAUSE).first()
    return f"{row.by_name}: {row.reason}" if row else ""
