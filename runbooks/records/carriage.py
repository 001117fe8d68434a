"""DBOS's own tables, in the database that Maint has: made and brought up to date by one process at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from runbooks.errors import RecordsError
from runbooks.records.trouble import plain_errors, where

#: Where the tables are on PostgreSQL. Not `dbos`: another program that uses DBOS may share the database.
SCHEMA = "maint_dbos"
#: Seconds that another process may take to make the tables.
LONGEST_WAIT = 900.0
#: "maintd" in ASCII: the advisory lock under which that is done on PostgreSQL.
_LOCK = 0x6D61696E7464


def prepare_carriage(engine: Engine) -> None:
    """Makes what is missing of DBOS's tables; does nothing when all is there. Raises RecordsError."""
    # Imported here: it costs 0.5 s and 30 MB, and most commands at the terminal start no run.
    from dbos import DBOS, DBOSClient

    with plain_errors(engine.url):
        if engine.dialect.name == "sqlite":
            # With connections of its own: it begins its transaction, IMMEDIATE, by hand, and ours have
            # begun already. That transaction is the lock.
            DBOS.migrate(engine.url.render_as_string(hide_password=False))
            return
        client = DBOSClient(
            system_database_engine=engine, dbos_system_schema=SCHEMA, lazy=True, retry_connection_errors=False
        )
        with _alone(engine):
            # DBOS.migrate() would connect with a URL only, and so without our demands on TLS.
            client._sys_db.run_migrations()


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    # DBOS has a lock of its own, but after 30 s it goes on without. Asking again and again, because who
    # waits inside a statement holds up CREATE INDEX CONCURRENTLY, which the holder of the lock may be at.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + LONGEST_WAIT
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
            if time.monotonic() > deadline:
                raise RecordsError(
                    f"{where(engine.url)} is being prepared by another maint since {LONGEST_WAIT / 60:g} "
                    "minutes. End that process if it hangs, and start again."
                )
            time.sleep(0.1)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
