"""`postgres.explain_locks` with real sessions in each other's way."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from runbooks.errors import StepError
from runbooks.steps.postgres_locks import PostgresExplainLocks, conflicting
from runbooks.steps.step import Measured
from tests.steps.maintaining import execute
from tests.steps.postgres_servers import make_login, measure, session, until


@pytest.fixture
def shop(postgres_url: str) -> str:
    """A database with a table."""
    execute(postgres_url, "CREATE TABLE orders (id int)")
    return postgres_url


async def explain(url: str, **fields: str) -> Measured:
    return await measure(PostgresExplainLocks.model_validate(fields), url)


async def test_who_waits_stands_below_whom_they_wait_for(shop: str) -> None:
    """A tree: the reader is in the writer's way, the writer in the next reader's."""
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(session(shop, "BEGIN", "SELECT FROM orders"))
        writer = await stack.enter_async_context(session(shop))
        last = await stack.enter_async_context(session(shop))
        pids = [connection.info.backend_pid for connection in (reader, writer, last)]
        altering = asyncio.create_task(writer.execute("ALTER TABLE orders ADD note text"))
        await until(shop, "(SELECT count(*) = 1 FROM pg_locks WHERE NOT granted)")
        waiting = asyncio.create_task(last.execute("SELECT count(*) FROM orders"))
        await until(shop, "(SELECT count(*) = 2 FROM pg_locks WHERE NOT granted)")

        measured = await explain(shop)

        await reader.execute("COMMIT")
        await asyncio.gather(altering, waiting)

    assert measured.values["blocked"] == 2
    assert measured.values["blockers"] == 1
    assert [line.partition(",")[0] for line in measured.details] == [
        f"pid {pids[0]}",
        f"  └ pid {pids[1]}",
        f"    └ pid {pids[2]}",
    ]
    assert measured.summary == "by 1"


async def test_who_would_be_in_the_way_is_known_before(shop: str) -> None:
    """Of a lock on a table; who does not conflict with it is left out."""
    async with session(shop, "BEGIN", "SELECT FROM orders") as other:
        exclusive = await explain(shop, table="orders")
        beside = await explain(shop, table="orders", mode="SHARE UPDATE EXCLUSIVE")
        pid = other.info.backend_pid

    assert exclusive.values["in_the_way"] == 1
    assert beside.values["in_the_way"] == 0
    assert exclusive.summary == "1 in the way of ACCESS EXCLUSIVE on orders"
    (line,) = exclusive.details
    assert line.startswith(
        f"in the way: pid {pid} (postgres, shop) holds AccessShareLock: idle in transaction"
    )


async def test_a_quiet_server_has_nobody_in_the_way(shop: str) -> None:
    """Nothing is known of a lock that nobody asked about."""
    measured = await explain(shop)

    assert measured.values["blocked"] == 0
    assert measured.values["in_the_way"] is None
    assert measured.details == ()


async def test_a_login_that_sees_too_little_is_told(shop: str) -> None:
    """Without pg_monitor there would be nobody."""
    with make_login(shop, "nobody") as url, pytest.raises(StepError, match="GRANT pg_monitor"):
        await explain(url)


def test_locks_conflict_as_the_manual_says() -> None:
    """The table is symmetrical, and its ends are known."""
    modes = conflicting("ACCESS EXCLUSIVE")

    assert conflicting("ACCESS SHARE") == ("ACCESS EXCLUSIVE",)
    assert len(modes) == 8
    assert all(
        (mode in conflicting(other)) == (other in conflicting(mode)) for mode in modes for other in modes
    )
