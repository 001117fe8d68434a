"""The chain of audit events: each holds the hash of the one before it, so that no change goes unseen.

Events wait until their transaction is about to commit, and are written then, last of all. So the lock under
which the chain grows is held for as short as can be, and who holds it waits for nobody's rows.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

#: What the first event has as the hash of the one before it.
GENESIS = "0" * 64
#: The columns that an event's hash is made of, in this order; `prev` comes before them.
HASHED = (
    "seq",
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_mark",
    "team",
    "action",
    "object",
    "outcome",
    "channel",
    "channel_name",
    "correlation",
    "permalink",
    "runbook",
    "targets",
    "details",
)
#: All of them, as rows are written and read.
COLUMNS = (*HASHED, "prev", "hash")
_GIVEN = tuple(name for name in HASHED if name not in ("seq", "actor_mark"))

_PENDING = "maint_audit_events"
# Straight to the driver: SQLAlchemy takes ten times as long for each of these as SQLite.
_HEAD = "SELECT seq, at, hash FROM audit_events ORDER BY seq DESC LIMIT 1"
_THERE = "SELECT 1 FROM audit_events WHERE id = :id"
_NAMED = (
    "SELECT mark FROM audit_names WHERE actor_kind = :actor_kind AND actor_id = :actor_id "
    "AND name = :actor_name AND removed_at IS NULL"
)
_ADD = (
    f"INSERT INTO audit_events ({', '.join(COLUMNS)}) "  # noqa: S608 - constants
    f"VALUES ({', '.join(f':{name}' for name in COLUMNS)})"
)
_ADD_NAME = (
    "INSERT INTO audit_names (mark, salt, actor_kind, actor_id, name) "
    "VALUES (:mark, :salt, :actor_kind, :actor_id, :actor_name)"
)
_ADD_TARGET = "INSERT INTO audit_targets (target, seq) VALUES (?, ?)"
# The commit that ends the lock does not wait for the disk; a second one, of nothing but a line in the WAL,
# does: it comes back when all that stands before it is there. Many of those share a wait, as commits do.
_HURRY = "SET LOCAL synchronous_commit = off"
_FLUSH = "SELECT pg_logical_emit_message(true, 'maint', '')"
_APPEND = (
    "SELECT maint_append_event(" + ", ".join(f"%({name})s" for name in (*_GIVEN, "actor_name", "once")) + ")"
)


def hash_of(values: Mapping[str, Any]) -> str:
    """The hash of an event with these columns, `at` as a moment or as `written`."""
    return digest(values["prev"], *(_as_text(values[name]) for name in HASHED))


def digest(*values: str) -> str:
    """SHA-256 over every value with its length in bytes before it, so that no two lists look alike."""
    made = hashlib.sha256()
    for value in values:
        raw = value.encode()
        made.update(b"%d:%b" % (len(raw), raw))
    return made.hexdigest()


def written(moment: datetime) -> str:
    """A moment as it is hashed: `2026-11-22T01:02:03.000004Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def mark_of(salt: str, name: str) -> str:
    """What the chain holds in place of a name; of no name, nothing."""
    return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest() if name else ""


def pseudonym(mark: str) -> str:
    """What somebody is called whose name was forgotten."""
    return f"person-{mark[:8]}"


def wait_for_commit(connection: Connection, row: dict[str, Any]) -> None:
    """Has the event written when the transaction commits. The row: the columns, `actor_name`, and `once`,
    with which an event of that id that stands already is left as it is."""
    # Outside of one, nothing would ever write it.
    assert connection.in_transaction(), "audit events are appended within a transaction"
    connection.info.setdefault(_PENDING, []).append(row)


def listen(engine: Engine) -> None:
    """From now on the engine's transactions write their waiting events before they commit."""
    event.listen(engine, "begin", _forget)
    event.listen(engine, "commit", _write)


def _forget(connection: Connection) -> None:
    # What a transaction that was rolled back had waiting happened as little as the rest of it.
    connection.info.pop(_PENDING, None)


def _write(connection: Connection) -> None:
    rows = connection.info.pop(_PENDING, None)
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _write_on_postgres(connection, rows)
    else:
        _write_on_sqlite(connection, rows)


def _write_on_postgres(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Writes and commits in one round trip: the lock is held while the server works, and neither while it
    waits for this process to get its turn nor while it waits for the disk (docs/adr/0011). SQLAlchemy's own
    COMMIT finds nothing left to do."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        with driver.pipeline():
            driver.execute(_HURRY)
            driver.cursor().executemany(_APPEND, rows)
            driver.commit()
            driver.execute(_FLUSH)
            driver.commit()
    except psycopg.Error as error:
        lost = driver.closed
        if lost:
            connection.invalidate(error)
        raise _as_sqlalchemy(connection, error, psycopg.Error, lost) from error


def _write_on_sqlite(connection: Connection, rows: list[dict[str, Any]]) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    try:
        _chain_on_sqlite(driver, rows)
    except sqlite3.Error as error:
        raise _as_sqlalchemy(connection, error, sqlite3.Error) from error


def _chain_on_sqlite(driver: sqlite3.Connection, rows: list[dict[str, Any]]) -> None:
    """The transaction began IMMEDIATE: between reading the head and writing the next nobody else writes."""
    seq, latest, prev = driver.execute(_HEAD).fetchone() or (0, "", GENESIS)
    for row in rows:
        if row["once"] and driver.execute(_THERE, row).fetchone() is not None:
            continue
        at: datetime = row["at"]
        # As SQLAlchemy stores moments there; so written they sort by time.
        stored = at.replace(tzinfo=None).isoformat(" ", "microseconds")
        seq, latest = seq + 1, max(latest, stored)
        values = {name: row[name] for name in _GIVEN}
        values |= {"seq": seq, "at": f"{latest.replace(' ', 'T')}Z", "prev": prev}
        values["actor_mark"] = _mark(driver, row)
        values["hash"] = prev = hash_of(values)
        driver.execute(_ADD, {**values, "at": latest})
        if row["targets"]:
            driver.executemany(_ADD_TARGET, [(name, seq) for name in dict.fromkeys(row["targets"].split())])


def _mark(driver: sqlite3.Connection, row: Mapping[str, Any]) -> str:
    name: str = row["actor_name"]
    if not name:
        return ""
    found = driver.execute(_NAMED, row).fetchone()
    if found is not None:
        return str(found[0])
    salt = secrets.token_hex(16)
    mark = mark_of(salt, name)
    driver.execute(_ADD_NAME, {**row, "salt": salt, "mark": mark})
    return mark


def _as_sqlalchemy(
    connection: Connection, error: Exception, base: type[Exception], lost: bool = False
) -> BaseException:
    """As every other error of the database: it is told apart by its code, and quotes no parameters."""
    return DBAPIError.instance(
        "an audit event",
        None,
        error,
        base,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=connection.dialect,
    )


def _as_text(value: object) -> str:
    return written(value) if isinstance(value, datetime) else str(value)
