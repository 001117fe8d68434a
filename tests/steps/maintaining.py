"""What the tests of the steps that change a PostgreSQL do again and again."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg

from runbooks.records.step_memory import Remembered
from runbooks.steps import ACTIONS
from runbooks.steps.action import Done
from runbooks.steps.memory import History
from runbooks.steps.reach import Connections
from tests.steps.acting import a_call
from tests.steps.postgres_servers import at, until


class Notebook:
    """A memory for one test."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], list[Remembered]] = {}
        self.history: dict[tuple[str, str], History] = {}

    async def remember(self, kind: str, target: str, name: str, value: Any) -> None:
        """Keeps it."""
        self.kept.setdefault((kind, target, name), []).insert(0, Remembered(datetime.now(UTC), value))

    async def last(
        self,
        kind: str,
        target: str,
        name: str,
        before: datetime | None = None,
    ) -> Remembered | None:
        """The newest one."""
        kept = self.kept.get((kind, target, name), [])
        return next((each for each in kept if before is None or each.at < before), None)

    async def recent(self, kind: str, target: str, name: str, limit: int) -> Sequence[Remembered]:
        """The newest ones."""
        return self.kept.get((kind, target, name), [])[:limit]

    async def measured(self, kind: str, target: str, since: datetime) -> History:
        """What the test says."""
        return self.history.get((kind, target), History())


async def do(
    kind: str,
    url: str,
    fields: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda _: None,
    memory: Notebook | None = None,
) -> Done:
    """Does what a step of that kind says, with connections of its own."""
    target = at(url)
    action = ACTIONS[kind].model_validate({"target": target.name, **(fields or {})})
    async with Connections() as connections:
        call = replace(a_call(connections, target, tell), memory=memory or Notebook())
        return await action.act(target, call)


@asynccontextmanager
async def under_way(
    kind: str, url: str, fields: Mapping[str, Any] | None = None, *, statement: str
) -> AsyncIterator["asyncio.Task[Done]"]:
    """The step, while its statement runs in the server; whoever leaves it to itself ends it."""
    task = asyncio.create_task(do(kind, url, fields))
    try:
        await until(url, f"EXISTS ({running_in(statement)})")  # type: ignore[arg-type]
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def running_in(statement: str) -> str:
    """A query for the sessions of ours that carry out such a statement."""
    return (
        "SELECT FROM pg_stat_activity WHERE application_name = 'maint' AND state = 'active'"
        f" AND query LIKE '{statement}%'"
    )


def execute(url: str, *queries: str) -> None:
    """Runs them, each by itself, and waits for the statistics of it."""
    with psycopg.connect(url, autocommit=True) as connection:
        for query in queries:
            connection.execute(query)  # type: ignore[call-overload]
        connection.execute("SELECT pg_stat_force_next_flush()")


def one(url: str, query: str) -> Any:
    """The first value of the first row."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
        return row and row[0]


async def soon(happens: Callable[[], bool]) -> None:
    """Returns as soon as it does. Raises TimeoutError after ten seconds."""
    for _ in range(200):
        if happens():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


if __name__ == "__main__":  # a process to be killed
    asyncio.run(do("postgres.vacuum", sys.argv[1], {"tables": ["orders"], "lock_timeout": "1h"}))
