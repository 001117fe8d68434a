"""Each trouble of a database is one sentence that says what to do."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from runbooks.errors import RecordsError
from runbooks.records.audit import append
from runbooks.records.database import open_database, parse_url
from runbooks.records.migrate import migrate
from runbooks.records.schema import deliveries
from runbooks.records.trouble import explain, plain_errors
from tests.records.conftest import make_event


@contextmanager
def talking(engine: Engine) -> Iterator[Connection]:
    """A transaction, with its errors in plain words."""
    with plain_errors(engine.url), engine.begin() as connection:
        yield connection


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """A migrated SQLite database."""
    engine = open_database(f"sqlite:///{tmp_path}/maint.db")
    migrate(engine)
    yield engine
    engine.dispose()


def test_a_full_disk_is_said(sqlite: Engine, tmp_path: Path) -> None:
    """When the file cannot grow, nothing is recorded, and that is said."""
    with sqlite.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        now = datetime.now(UTC)
        with (
            pytest.raises(RecordsError, match=rf"{tmp_path}/maint\.db cannot grow: the disk is full"),
            plain_errors(sqlite.url),
        ):
            connection.execute(insert(deliveries), [{"digest": f"{n:064}", "at": now} for n in range(2_000)])


def test_a_locked_file_is_said(sqlite: Engine) -> None:
    """When another holds the lock for longer than the wait, that is said."""
    with sqlite.connect() as impatient:
        impatient.exec_driver_sql("PRAGMA busy_timeout = 0")
        impatient.rollback()
        with (
            sqlite.begin(),
            pytest.raises(RecordsError, match="was locked by another process"),
            plain_errors(sqlite.url),
        ):
            impatient.begin()


def test_a_damaged_file_is_said(sqlite: Engine, tmp_path: Path) -> None:
    """A file whose pages are overwritten asks for the backup."""
    with sqlite.begin() as connection:
        append(connection, *(make_event() for _ in range(200)))
    sqlite.dispose()
    path = tmp_path / "maint.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))

    with (
        pytest.raises(RecordsError, match="is damaged: restore the last backup"),
        talking(sqlite) as connection,
    ):
        connection.execute(text("SELECT count(*) FROM audit_events WHERE object = ''"))


def test_a_statement_that_takes_too_long_is_said(postgres_url: str) -> None:
    """When PostgreSQL ends a statement at its time limit, that is said."""
    engine = open_database(f"{postgres_url}&options=-c%20statement_timeout%3D50ms")

    with pytest.raises(RecordsError, match="did not finish a statement"), talking(engine) as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    engine.dispose()


def test_a_standby_is_said(postgres_url: str) -> None:
    """A PostgreSQL that only reads is told from one that is down."""
    engine = open_database(f"{postgres_url}&options=-c%20default_transaction_read_only%3Don")

    with pytest.raises(RecordsError, match="is read-only: is it a standby"):
        migrate(engine)
    engine.dispose()


def test_a_server_that_does_not_answer_is_said() -> None:
    """A port that takes the connection and says nothing is given up after the time limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RecordsError, match=f"maint at 127.0.0.1:{port} does not answer"):
            open_database(f"postgresql://u@127.0.0.1:{port}/maint?connect_timeout=2")


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example"])
def test_a_host_that_cannot_be_is_said(host: str) -> None:
    """A host name that no name can be is said as such."""
    with pytest.raises(RecordsError, match="has no possible host"):
        open_database(f"postgresql://u@{host}/maint")


def test_a_busy_pool_is_said() -> None:
    """When no connection came free in time, that is said."""
    error = explain(PoolTimeout(), parse_url("postgresql://u:s3cret@h/maint"))

    assert str(error) == "The PostgreSQL database maint at h is too slow: every connection was busy for 10 s."


def test_a_fault_of_ours_is_not_blamed_on_the_database(sqlite: Engine) -> None:
    """An event that is there already is no trouble of the database: the error stays what it is."""
    event = make_event()

    with pytest.raises(IntegrityError), talking(sqlite) as connection:
        append(connection, event, event)


def test_what_was_recorded_is_not_in_the_error(engine: Engine) -> None:
    """The text of an error has no words of the event that caused it."""
    event = make_event(object="between you and me")

    with pytest.raises(IntegrityError) as failed, engine.begin() as connection:
        append(connection, event, event)

    assert "between you" not in str(failed.value)
