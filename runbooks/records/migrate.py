"""Brings the schema up to date, once, however many processes start at the same time."""

from enum import StrEnum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from runbooks.errors import RecordsError
from runbooks.records.database import reading
from runbooks.records.trouble import plain_errors, where

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


def migrate(engine: Engine) -> tuple[str, ...]:
    """Applies what is missing, all of it or none; the revisions that it applied, oldest first.

    There is no way back: restore a backup. Raises RecordsError when a newer Maint made the schema.
    """
    with plain_errors(engine.url), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Other replicas wait here, and a migration of much data takes its time.
            connection.execute(text("SET LOCAL statement_timeout = '15min'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        # On SQLite the transaction itself is the lock: it began IMMEDIATE.
        state = _state(connection)
        if state is SchemaState.NEWER:
            raise RecordsError(
                f"{where(engine.url)} was made by a newer Maint. Start that version, or restore a backup "
                "from before the upgrade."
            )
        if state is SchemaState.CURRENT:
            return ()
        config = _config()
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        newest_first = script.iterate_revisions("head", _current(connection) or "base")
        missing = tuple(reversed([revision.revision for revision in newest_first]))
        command.upgrade(config, "head")
        return missing


def _config() -> Config:
    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))  # % is special to configparser
    return config


def _current(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _state(connection: Connection) -> SchemaState:
    current = _current(connection)
    script = ScriptDirectory.from_config(_config())
    if current == script.get_current_head():
        return SchemaState.CURRENT
    known = {revision.revision for revision in script.walk_revisions()}
    return SchemaState.BEHIND if current is None or current in known else SchemaState.NEWER
