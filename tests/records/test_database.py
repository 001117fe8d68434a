"""Opening a database: set up to be durable, or refused in a sentence that says what to do."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from runbooks.errors import RecordsError
from runbooks.records.database import open_database, parse_url, reading

PASSWORD = "a!b@c$d()e*_,/:;=?@ff[]22"
QUOTED = "a%21b%40c%24d%28%29e%2A_%2C%2F%3A%3B%3D%3F%40ff%5B%5D22"


def refusal(url: str) -> str:
    """What opening that database answers."""
    with pytest.raises(RecordsError) as refused:
        open_database(url)
    return str(refused.value)


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's rights: root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30_000)],
)
def test_sqlite_is_durable_and_strict_on_every_connection(
    tmp_path: Path, pragma: str, expected: str | int
) -> None:
    """Two connections at the same time both have the pragma that the records rely on."""
    engine = open_database(f"sqlite:///{tmp_path}/maint.db")
    with reading(engine) as first, reading(engine) as second:
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for connection in (first, second)]
    engine.dispose()

    assert found == [expected, expected]


def test_only_its_user_may_read_a_new_sqlite_file(tmp_path: Path) -> None:
    """A SQLite file that Maint makes has mode 600."""
    open_database(f"sqlite:///{tmp_path}/maint.db").dispose()

    assert (tmp_path / "maint.db").stat().st_mode & 0o777 == 0o600


def test_postgres_sessions_have_limits_and_a_name(postgres_url: str) -> None:
    """A session on PostgreSQL is called maint, is in UTC and ends a statement after 30 s."""
    engine = open_database(postgres_url)
    with reading(engine) as connection:
        found = [
            connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("application_name", "timezone", "statement_timeout", "transaction_isolation")
        ]
    engine.dispose()

    assert found == ["maint", "UTC", "30s", "read committed"]


def test_options_in_the_url_win(postgres_url: str) -> None:
    """What the URL of a PostgreSQL database sets is not overridden."""
    url = f"{postgres_url}&application_name=ops&options=-c%20statement_timeout%3D5s"
    engine = open_database(url)
    with reading(engine) as connection:
        found = [
            connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("application_name", "statement_timeout")
        ]
    engine.dispose()

    assert found == ["ops", "5s"]


def test_a_reading_transaction_cannot_write_on_postgres(postgres_url: str) -> None:
    """PostgreSQL refuses a write inside a reading transaction."""
    engine = open_database(postgres_url)
    with reading(engine) as connection, pytest.raises(SQLAlchemyError, match="read-only"):
        connection.execute(text("CREATE TABLE t (x int)"))
    engine.dispose()


def test_a_reader_is_not_held_up_by_a_writer(engine: Engine) -> None:
    """While one transaction writes, another reads what was committed before."""
    with engine.begin() as writer:
        writer.execute(text("INSERT INTO deliveries VALUES ('x', '2026-03-01 12:00:00')"))
        with reading(engine) as reader:
            assert reader.execute(text("SELECT count(*) FROM deliveries")).scalar() == 0


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A SQLite file in a folder that is not there is refused with the folder's name."""
    assert f"no folder {tmp_path}/absent" in refusal(f"sqlite:///{tmp_path}/absent/maint.db")


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A folder in the place of the SQLite file is refused."""
    assert refusal(f"sqlite:///{tmp_path}") == f"The database {tmp_path} is a folder: name a file in it."


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """A file of something else is refused, and stays as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and longer than a header of SQLite. " * 20)
    before = path.read_bytes()

    assert "is not a SQLite database" in refusal(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_file_that_may_not_be_made_is_refused(tmp_path: Path) -> None:
    """A folder without write permission is refused, with the system's reason."""
    with nobody():
        message = refusal("sqlite:////etc/maint-test.db")

    assert message == "The SQLite file /etc/maint-test.db cannot be written: Permission denied."


def test_a_file_that_may_only_be_read_is_refused() -> None:
    """An existing SQLite file without write permission is refused before anything starts."""
    # Not tmp_path: nobody may go in there.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "maint.db")
        sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        with nobody():
            message = refusal(f"sqlite:///{path}")
        Path(folder).chmod(0o755)

    assert f"The SQLite file {path} cannot be written" in message


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    """Records that would be forgotten at once are refused."""
    assert "forgets every record" in refusal(url)


@pytest.mark.parametrize(
    "url", ["mysql://u:s3cret@h/d", "postgresql+asyncpg://u:s3cret@h/d", "sqlite+aio:///x"]
)
def test_other_databases_are_refused(url: str) -> None:
    """A database that Maint does not support is refused, without the password."""
    message = refusal(url)

    assert "SQLite or PostgreSQL" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "postgresql://u:p@h:s3cret/d",
        "postgresql://u:p@s3cret@h/d",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    """A malformed URL is refused without a word of it, and without a cause that has one."""
    with pytest.raises(RecordsError) as refused:
        open_database(url)

    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_people_write_postgresql_in_three_ways(scheme: str) -> None:
    """Every usual scheme of a PostgreSQL URL means psycopg 3."""
    assert parse_url(f"{scheme}://u@h/d").drivername == "postgresql+psycopg"


def test_a_port_where_nobody_listens_is_refused() -> None:
    """A refused connection is said as such, with the database's place."""
    assert refusal("postgresql://u:s3cret@127.0.0.1:1/maint") == (
        "The PostgreSQL database maint at 127.0.0.1:1 refuses connections: "
        "is the server up, and are host and port right?"
    )


def test_a_missing_postgres_database_is_named(postgres_server: str) -> None:
    """A database that is not there is refused with what makes it."""
    message = refusal(postgres_server.replace("/postgres?", "/absent?"))

    assert "database absent at" in message
    assert "createdb" in message


@pytest.fixture(scope="module")
def with_password(own_postgres: Any) -> str:
    """The URL of a role that needs a password, `{password}` in its place."""
    with psycopg.connect(own_postgres.get_uri(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
        rules = own_postgres.pgdata / "pg_hba.conf"
        rules.write_text("local all locked scram-sha-256\n" + rules.read_text())
        admin.execute("SELECT pg_reload_conf()")
    return str(own_postgres.get_uri()).replace("//postgres:@", "//locked:{password}@")


def test_a_password_of_any_characters_is_understood(with_password: str) -> None:
    """A password full of punctuation, percent-encoded in the URL, logs in."""
    engine = open_database(with_password.format(password=QUOTED))

    with reading(engine) as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == "locked"
    engine.dispose()


def test_a_wrong_password_is_said_and_not_shown(with_password: str) -> None:
    """A refused login names the user, and neither the error nor its cause has the password."""
    with pytest.raises(RecordsError) as refused:
        open_database(with_password.format(password="wr0ng"))

    assert "does not let Maint log in" in str(refused.value)
    assert '"locked"' in str(refused.value)
    assert "wr0ng" not in str(refused.value) + repr(refused.value.__cause__)


def test_an_engine_does_not_show_its_password(with_password: str) -> None:
    """The repr of the engine has no password."""
    engine = open_database(with_password.format(password=QUOTED))
    engine.dispose()

    assert PASSWORD not in repr(engine)
    assert QUOTED not in repr(engine)
