"""Databases with the tables in them, copied from one that was migrated: all tests that need tables and not
their making. To migrate each took longer than most tests."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from runbooks.records.database import open_database
from runbooks.records.migrate import migrate


def _migrate(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SQLite file that is copied."""
    path = tmp_path_factory.mktemp("schema") / "maint.db"
    _migrate(f"sqlite:///{path}")
    # Its last connection has put the log into it.
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return path


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """The name of the PostgreSQL database that is copied."""
    name = f"schema{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    _migrate(postgres_server.replace("/postgres?", f"/{name}?"))
    return name


@contextmanager
def fresh_database(server: str, of: str = "") -> Iterator[str]:
    """The URL of a new PostgreSQL database, which is dropped afterwards. `of`: options of CREATE DATABASE."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} {of}")
        yield server.replace("/postgres?", f"/{name}?")
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def migrated_postgres_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with the tables in it."""
    with fresh_database(postgres_server, f"TEMPLATE {migrated_template} STRATEGY file_copy") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind with the tables in it: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_file"), tmp_path / "maint.db")
        return f"sqlite:///{tmp_path}/maint.db"
    return str(request.getfixturevalue("migrated_postgres_url"))
