"""Opens the database: one engine, set up so that what was acknowledged is on the disk."""

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from runbooks.errors import RecordsError
from runbooks.libpq import tls_arguments
from runbooks.records import chain
from runbooks.records.trouble import plain_errors
from runbooks.scrub import Scrubber

#: Connections that the engine keeps, and how many more it opens when all are busy.
POOL_SIZE, POOL_EXTRA = 8, 8
#: Seconds to wait for a free connection of the pool, and for PostgreSQL to take a new one.
POOL_TIMEOUT, CONNECT_TIMEOUT = 10, 5
#: Seconds for one statement on PostgreSQL, and for the lock on SQLite.
STATEMENT_TIMEOUT = 30
#: Seconds that processes which open a new SQLite file together may stand in each other's way.
LONGEST_SWITCH = 10.0

_READING = {"maint_reading": True, "postgresql_readonly": True}
_EXAMPLES = "sqlite:////var/lib/maint/maint.db or postgresql://user:${PASSWORD}@host:5432/maint"


def parse_url(url: str) -> URL:
    """The URL as SQLAlchemy has it, with psycopg 3 for PostgreSQL. Raises RecordsError, without the URL."""
    # In neither case the cause: it quotes parts of the URL, and with them perhaps of the password.
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise RecordsError(f"The database URL cannot be read. It looks like {_EXAMPLES}.") from None
    try:
        (parsed.host or "").encode("idna")  # psycopg does so too, and lets the UnicodeError out
    except UnicodeError:
        raise RecordsError(f"The database URL has no possible host. It looks like {_EXAMPLES}.") from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        if "@" in (parsed.host or ""):
            raise RecordsError(
                "The password in the database URL has an @: write special characters as %40 and the like."
            )
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise RecordsError(f"Maint keeps records in SQLite or PostgreSQL. The URL looks like {_EXAMPLES}.")
    if not parsed.database or ":memory:" in parsed.database:
        raise RecordsError(f"A database in memory forgets every record: name a file, like {_EXAMPLES}.")
    return parsed


def open_database(url: str, scrub: Scrubber | None = None) -> Engine:
    """The one engine of the process, after a first connection; a SQLite file is made when there is none.

    Texts go through `scrub` before they are stored. Raises RecordsError when the database cannot be used.
    """
    parsed = parse_url(url)
    options: dict[str, Any] = {
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_EXTRA,
        "pool_timeout": POOL_TIMEOUT,
        "hide_parameters": True,  # people's words and ours stay out of error texts
        "execution_options": {"scrub": scrub or Scrubber(), "connections": WeakSet()},
    }
    if parsed.get_backend_name() == "sqlite":
        _make_file(Path(parsed.database or ""))
        engine = create_engine(parsed, **options)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(
            parsed,
            pool_pre_ping=True,
            # Under REPEATABLE READ a statement that waited for a lock would still see what was before.
            isolation_level="READ COMMITTED",
            connect_args=_postgres_arguments(parsed),
            **options,
        )
        opened: WeakSet[psycopg.Connection] = engine.get_execution_options()["connections"]
        event.listen(engine, "connect", lambda connection, _: opened.add(connection))
    chain.listen(engine)
    try:
        with plain_errors(parsed), engine.begin() as connection:
            connection.execute(text("SELECT 1"))
    except BaseException:
        engine.dispose()
        raise
    return engine


def cut_off(engine: Engine) -> None:
    """Ends every wait for a PostgreSQL server that does not answer, for good: who waited gets an error."""
    event.listen(engine, "do_connect", _refuse)
    for connection in list(engine.get_execution_options()["connections"]):
        # Not close(): that is not for a connection on which another thread is waiting.
        with (
            suppress(OSError, psycopg.Error),  # it is closed already
            socket.socket(fileno=os.dup(connection.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)


def _refuse(*_: object) -> None:
    raise psycopg.OperationalError("Maint is closing the database")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and on SQLite holds up no writer."""
    with engine.connect().execution_options(**_READING) as connection:
        yield connection


def scrubber_of(connection: Connection) -> Scrubber:
    """What removes secrets from the texts that are stored through this connection."""
    scrub = connection.get_execution_options()["scrub"]
    assert isinstance(scrub, Scrubber)
    return scrub


def _make_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise RecordsError(f"There is no folder {path.parent} for the database {path.name}: make it first.")
    if path.is_dir():
        raise RecordsError(f"The database {path} is a folder: name a file in it.")
    try:
        # The records say who did what: only the user that runs Maint may read them.
        path.touch(mode=0o600)
    except OSError as error:
        raise RecordsError(f"The SQLite file {path} cannot be written: {error.strerror}.") from error


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin a transaction late, and none for DDL: `_begin_sqlite` begins them all.
    connection.isolation_level = None
    # First, so that the others wait as well.
    connection.execute(f"PRAGMA busy_timeout = {STATEMENT_TIMEOUT * 1000}")
    _switch_to_wal(connection)
    # NORMAL is 2-3 times as fast, and loses acknowledged commits when the power fails.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _switch_to_wal(connection: Any) -> None:
    # Two processes that open a new file at the same time refuse each other at once, busy_timeout or not:
    # to change the journal a reader would have to become a writer, which SQLite takes for a deadlock.
    deadline = time.monotonic() + LONGEST_SWITCH
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once, without waiting, when another wrote
    # in between. So everybody takes the write lock at the start, except who declares to read only.
    kind = "DEFERRED" if connection.get_execution_options().get("maint_reading") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {kind}")


def _postgres_arguments(url: URL) -> dict[str, Any]:
    own = url.query.get("options", "")
    defaults = {
        "application_name": "maint",
        # Whatever the database's own encoding is: an SQL_ASCII one would give us bytes.
        "client_encoding": "utf8",
        "connect_timeout": CONNECT_TIMEOUT,
        # A network that swallows packets is noticed in 25 s, not in hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
    }
    arguments: dict[str, Any] = {name: value for name, value in defaults.items() if name not in url.query}
    arguments |= tls_arguments({"host": url.host or "", **url.query})
    arguments["options"] = f"-c statement_timeout={STATEMENT_TIMEOUT}s -c timezone=UTC {own}".strip()
    return arguments
