"""Brings the schema up to date, once, however many processes start at the same time."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from runbooks.errors import RecordsError
from runbooks.records.audit import Event, Outcome, append, done_by
from runbooks.records.database import reading
from runbooks.records.person import Person
from runbooks.records.trouble import plain_errors, where

if TYPE_CHECKING:
    # Imported when there is something to migrate: most starts have nothing, and it costs 10 MB.
    from alembic.config import Config

#: The newest revision under migrations/versions; a test compares.
NEWEST = "0006"
#: A name of our own: another program's Alembic may use the same PostgreSQL database.
VERSION_TABLE = "maint_schema_version"
#: "maint" in ASCII: the advisory lock under which migrations run on PostgreSQL.
_LOCK = 0x6D61696E74


class SchemaState(StrEnum):
    """How the schema of a database stands to this version of Maint."""

    CURRENT = "current"  #: it is what this version needs
    BEHIND = "behind"  #: `migrate` has something to do; also an empty database
    NEWER = "newer"  #: a newer version migrated it; this one must not touch it


def schema_state(engine: Engine) -> SchemaState:
    """Looks, and changes nothing. Raises RecordsError when the database does not answer."""
    with plain_errors(engine.url), reading(engine) as connection:
        return _state(connection)


def migrate(engine: Engine, by: Person | None = None) -> tuple[str, ...]:
    """Applies what is missing, all of it or none; the revisions that it applied, oldest first.

    Who has it done, if that is told, stands in the audit log. There is no way back: restore a backup. Raises
    RecordsError when a newer Maint made the schema.
    """
    with plain_errors(engine.url), engine.begin() as connection:
        lock_schema(connection)
        state = _state(connection)
        if state is SchemaState.NEWER:
            raise RecordsError(
                f"{where(engine.url)} was made by a newer Maint. Start that version, or restore a backup "
                "from before the upgrade."
            )
        if state is SchemaState.CURRENT:
            return ()
        from alembic import command
        from alembic.script import ScriptDirectory

        config = _config()
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        newest_first = script.iterate_revisions("head", _current(connection) or "base")
        missing = tuple(reversed([revision.revision for revision in newest_first]))
        before = _current(connection) or ""
        command.upgrade(config, "head")
        if by is not None:
            append(connection, _migrated(by, before, missing))
        return missing


def lock_schema(connection: Connection) -> None:
    """Waits until nobody else changes the schema, and keeps it so until the transaction ends."""
    if connection.dialect.name == "postgresql":
        # Other replicas wait here, and a migration of much data takes its time.
        connection.execute(text("SET LOCAL statement_timeout = '15min'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    # On SQLite the transaction itself is the lock: it began IMMEDIATE.


def _migrated(by: Person, before: str, revisions: tuple[str, ...]) -> Event:
    details = {"from": before, "revisions": revisions}
    return done_by(by, "schema.migrated", Outcome.OK, object=revisions[-1], details=details)


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))  # % is special to configparser
    return config


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    current: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
    return current


def _state(connection: Connection) -> SchemaState:
    current = _current(connection)
    if current == NEWEST:
        return SchemaState.CURRENT
    if current is None:
        return SchemaState.BEHIND
    from alembic.script import ScriptDirectory

    known = {revision.revision for revision in ScriptDirectory.from_config(_config()).walk_revisions()}
    return SchemaState.BEHIND if current in known else SchemaState.NEWER
