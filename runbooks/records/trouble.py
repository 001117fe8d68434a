"""The database's own errors, as sentences for a person on call."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from runbooks.errors import RecordsError
from runbooks.libpq import ADVICE, REFUSAL

#: By the start of SQLite's error name (https://sqlite.org/rescode.html).
_SQLITE = {
    "SQLITE_NOTADB": "is not a SQLite database: point `database:` at another file, or move this one away",
    "SQLITE_READONLY": "cannot be written: give the user that runs Maint write access to it and its folder",
    "SQLITE_CANTOPEN": "cannot be opened: give the user that runs Maint write access to it and its folder",
    "SQLITE_BUSY": "was locked by another process for 30 s: find out what holds it (`fuser` names it)",
    "SQLITE_FULL": "cannot grow: the disk is full. Nothing is recorded until there is room",
    "SQLITE_CORRUPT": "is damaged: restore the last backup (docs/database.md)",
    "SQLITE_IOERR": "cannot be read or written: the disk reports errors. Look at the system log",
}

#: By PostgreSQL's SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRES = {
    "40001": "had two transactions in each other's way, and undid one of them: try again",
    "40P01": "had two transactions in each other's way, and undid one of them: try again",
    "42P01": "has no tables of Maint, or old ones: run `maint migrate`",
    "42883": "has no tables of Maint, or old ones: run `maint migrate`",
    "42501": "does not let Maint's role do that: `maint migrate --harden` grants it (docs/database.md)",
    "25006": "is read-only: is it a standby? Point `database:` at the primary",
    "53100": "cannot grow: its disk is full. Nothing is recorded until there is room",
    "53300": "has no connection left: raise max_connections, or run fewer replicas",
    "57014": "did not finish a statement in 30 s: it is overloaded, or something holds a lock",
    "57P01": "was shut down. Maint connects again by itself",
    "57P02": "crashed. Maint connects again by itself",
    "57P03": "is starting or stopping. Maint connects again by itself",
}

#: What libpq says when there is no connection: it gives no code then. In English, or the last resort is used.
_LOGIN = (
    r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not exist"
    r"|permission denied"
)
_CONNECT = {
    r'database ".*" does not exist': "does not exist: make it with `createdb`, or correct `database:`",
    _LOGIN: "does not let Maint log in: check the user and the password in `database:` ({reason})",
    r"failed to resolve host|could not translate": "is nowhere: check the host in `database:` ({reason})",
    r"timeout expired": "does not answer: is the server up, and does a firewall stand between?",
    r"too many clients|connection slots": _POSTGRES["53300"],
    r"is starting up|is shutting down|recovery mode": _POSTGRES["57P03"],
    REFUSAL: f"offers no TLS that can be verified: {ADVICE} ({{reason}})",
    r"refused|No such file": "refuses connections: is the server up, and are host and port right?",
}


def where(url: URL) -> str:
    """Which database that is, for people: never the password."""
    if url.get_backend_name() == "sqlite":
        return f"The SQLite file {url.database}"
    host = url.host or url.query.get("host") or "localhost"
    host = host if isinstance(host, str) else ",".join(host)
    return f"The PostgreSQL database {url.database or ''} at {host}{f':{url.port}' if url.port else ''}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _sqlite_sentence(error: BaseException) -> str | None:
    name = getattr(error, "sqlite_errorname", "")
    for start, sentence in _SQLITE.items():
        if name.startswith(start):
            return sentence
    return _POSTGRES["42P01"] if "no such table" in str(error) else None


def _postgres_sentence(error: BaseException, lost: bool) -> str | None:
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return _POSTGRES.get(state)
    for pattern, sentence in _CONNECT.items():
        if re.search(pattern, str(error)):
            # libpq names user, host and database there, never the password.
            return sentence.format(reason=_first_line(error).rpartition("failed: ")[2])
    return "broke the connection. Maint connects again by itself" if lost else None


def explain(error: Exception, url: URL) -> RecordsError | None:
    """What a person should read of a database error; None when the fault is Maint's own."""
    if isinstance(error, PoolTimeout):
        sentence: str | None = "is too slow: every connection was busy for 10 s"
    else:
        original = getattr(error, "orig", None) or error
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        sentence = (
            _sqlite_sentence(original)
            if isinstance(original, sqlite3.Error)
            else _postgres_sentence(original, lost)
        )
        if sentence is None and type(original).__name__ in ("OperationalError", "InterfaceError"):
            sentence = f"does not work: {_first_line(original)}"
    if sentence is None:
        return None
    return RecordsError(f"{where(url)} {sentence}{'' if sentence.endswith('?') else '.'}")


@contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Turns the errors of the database into RecordsError; errors of our own statements pass through."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        if plain := explain(error, url):
            raise plain from error
        raise
