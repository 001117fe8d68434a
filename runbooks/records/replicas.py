"""The processes that carry runs, and until when each has proved that it lives: by the database's clock."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, select, text, update

from runbooks.records.columns import UtcTime
from runbooks.records.insert import insert_into
from runbooks.records.run_tables import replicas

#: "reap" in ASCII: one replica at a time takes over what the dead ones left.
_REAPER = 0x72656170


def database_now(connection: Connection) -> datetime:
    """The time by the clock that all replicas share."""
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)  # a SQLite file and its one process are on one machine
    return connection.execute(select(func.clock_timestamp(type_=UtcTime))).scalar_one()


def enrol(connection: Connection, replica: str, host: str, pid: int, version: str, lease: timedelta) -> bool:
    """A new replica, from now on. False when its old row still stands: it is to be buried first."""
    now = database_now(connection)
    row = {
        "id": replica,
        "host": host,
        "pid": pid,
        "version": version,
        "started_at": now,
        "lease_until": now + lease,
    }
    statement = insert_into(connection, replicas).values(row).on_conflict_do_nothing()
    return connection.execute(statement.returning(replicas.c.id)).first() is not None


def renew(connection: Connection, replica: str, lease: timedelta) -> bool:
    """Proves that the replica lives. False when the others have given it up: what it carried is theirs."""
    now = database_now(connection)
    statement = update(replicas).where(replicas.c.id == replica, replicas.c.lease_until > now)
    return (
        connection.execute(statement.values(lease_until=now + lease).returning(replicas.c.id)).first()
        is not None
    )


def any_dead(connection: Connection) -> bool:
    """Whether there is one to bury."""
    return connection.execute(select(replicas.c.id).where(_dead(connection)).limit(1)).first() is not None


def _dead(connection: Connection) -> ColumnElement[bool]:
    return replicas.c.lease_until <= database_now(connection)


def bury(connection: Connection) -> tuple[str, ...]:
    """Removes the replicas whose lease is over; which they were. Nothing while another replica does so."""
    if connection.dialect.name == "postgresql" and not connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _REAPER}
    ):
        return ()
    dead = delete(replicas).where(_dead(connection))
    return tuple(connection.scalars(dead.returning(replicas.c.id)))


def leave(connection: Connection, replica: str) -> None:
    """The replica ends in good order."""
    connection.execute(delete(replicas).where(replicas.c.id == replica))


def enrolled(connection: Connection) -> tuple[str, ...]:
    """The replicas that have not been buried."""
    return tuple(connection.scalars(select(replicas.c.id)))


def alive(connection: Connection) -> tuple[str, ...]:
    """The replicas whose lease runs."""
    return tuple(
        connection.scalars(select(replicas.c.id).where(replicas.c.lease_until > database_now(connection)))
    )
