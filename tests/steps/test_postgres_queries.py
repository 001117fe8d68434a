"""`postgres.long_queries` against real sessions that are slow, idle, and in each other's way."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import psycopg
import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps import CHECKS
from runbooks.steps.postgres import DETAIL_LINES
from runbooks.steps.postgres_queries import QUERY_LENGTH, PostgresLongQueries
from runbooks.steps.step import Measured
from tests.steps.postgres_servers import make_login, measure, running, session

SHORT = PostgresLongQueries.model_validate({"longer_than": "200ms"})


async def measure_until(url: str, enough: Callable[[Measured], bool]) -> Measured:
    """The first measurement that is enough; the last one after five seconds."""
    for _ in range(50):
        measured = await measure(SHORT, url)
        if enough(measured):
            break
        await asyncio.sleep(0.1)
    return measured


def counted(name: str, number: int) -> Callable[[Measured], bool]:
    """Whether that output has reached the number."""

    def check(measured: Measured) -> bool:
        value = measured.values[name]
        return isinstance(value, (int, float)) and value >= number

    return check


def test_the_kind_is_registered() -> None:
    """`postgres.long_queries` in a runbook is this step."""
    assert CHECKS["postgres.long_queries"] is PostgresLongQueries


def test_half_a_minute_is_long() -> None:
    """Without `longer_than` a query is long after 30 seconds."""
    assert PostgresLongQueries().longer_than.total_seconds() == 30


@pytest.mark.parametrize("value", ["30", 30, "-1s", "soon"])
def test_longer_than_is_a_duration(value: object) -> None:
    """A number without a unit is refused: nobody knows what it counts."""
    with pytest.raises(ValidationError):
        PostgresLongQueries.model_validate({"longer_than": value})


async def test_a_quiet_server_has_no_long_queries(postgres_url: str) -> None:
    """Where nothing runs every number is 0, our own query notwithstanding."""
    step = PostgresLongQueries.model_validate({"longer_than": "0s"})

    assert set((await measure(step, postgres_url)).values.values()) == {0}


async def test_a_long_query_is_counted(postgres_url: str) -> None:
    """A query that runs for longer than `longer_than` is counted, with its age, and shown without values."""
    async with running(postgres_url, "SELECT pg_sleep(30) -- secret") as pid:
        measured = await measure_until(postgres_url, counted("count", 1))

    assert measured.values["count"] == 1
    oldest = measured.values["oldest_s"]
    assert isinstance(oldest, float)
    assert 0.2 < oldest < 10
    (line,) = measured.details
    assert line.startswith(f"pid {pid}, postgres@")
    assert line.endswith(": SELECT pg_sleep(?)")


async def test_a_query_that_is_not_long_is_not_counted(postgres_url: str) -> None:
    """A query younger than `longer_than` counts only for the age of the oldest."""
    async with running(postgres_url, "SELECT pg_sleep(30)"):
        measured = await measure(PostgresLongQueries(), postgres_url)

    assert measured.values["count"] == 0
    assert measured.values["oldest_s"] != 0
    assert measured.details == ()


async def test_who_blocks_whom_is_told(postgres_url: str) -> None:
    """Of a session that waits for a lock it is told which one holds it, and what that one is about."""
    async with (
        session(postgres_url, "CREATE TABLE t (n int)", "BEGIN", "LOCK TABLE t") as holder,
        running(postgres_url, "UPDATE t SET n = 4711") as waiter,
    ):
        measured = await measure_until(postgres_url, counted("blocked", 1))
        pid = holder.info.backend_pid

    assert measured.values["blocked"] == 1
    assert "1 blocked" in measured.summary
    held, waits = measured.details
    assert held.startswith(f"pid {pid}, ")
    assert "idle in transaction for" in held
    assert held.endswith(": LOCK TABLE t")
    assert waits.startswith(f"pid {waiter}, ")
    assert f"waits for pid {pid}: UPDATE t SET n = ?" in waits


async def test_an_idle_session_that_blocks_is_shown(postgres_url: str) -> None:
    """Who holds an advisory lock and does nothing at all is shown beside the session that waits for it."""
    async with (
        session(postgres_url, "SELECT pg_advisory_lock(4711)") as holder,
        running(postgres_url, "SELECT pg_advisory_lock(4711)"),
    ):
        measured = await measure_until(postgres_url, counted("blocked", 1))
        pid = holder.info.backend_pid

    (line,) = (line for line in measured.details if line.startswith(f"pid {pid}, "))
    assert "shop, idle for" in line


async def test_a_forgotten_transaction_is_told(postgres_url: str) -> None:
    """A transaction that is left open for longer than `longer_than` is in the summary and the details."""
    async with session(postgres_url, "BEGIN", "SELECT 'secret'"):
        await asyncio.sleep(0.25)
        measured = await measure(SHORT, postgres_url)

    idle = measured.values["idle_in_transaction_oldest_s"]
    assert isinstance(idle, float)
    assert 0.2 < idle < 10
    assert "idle in transaction for" in measured.summary
    (line,) = measured.details
    assert line.endswith(": SELECT ?")


async def test_parallel_workers_are_not_counted(postgres_url: str) -> None:
    """A query that PostgreSQL runs with parallel workers is one query."""
    forced = (
        "SET parallel_setup_cost = 0",
        "SET parallel_tuple_cost = 0",
        "SET min_parallel_table_scan_size = 0",
        "CREATE TABLE t AS SELECT generate_series(1, 5000) AS n",
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE sql PARALLEL SAFE AS 'SELECT $1 FROM pg_sleep(0.01)'",
    )
    workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'"
    async with session(postgres_url, *forced) as other:
        task = asyncio.create_task(other.execute("SELECT sum(slow(n)) FROM t"))
        measured = await measure_until(postgres_url, counted("count", 1))
        with psycopg.connect(postgres_url) as admin:
            (number,) = admin.execute(workers).fetchone() or (0,)
        await other.cancel_safe()
        await asyncio.gather(task, return_exceptions=True)

    assert number > 0
    assert measured.values["count"] == 1


async def test_a_query_is_cut(postgres_url: str) -> None:
    """A long statement is shown only from its beginning."""
    async with running(postgres_url, "SELECT pg_sleep(30), " + "current_user, " * 50 + "1"):
        measured = await measure_until(postgres_url, counted("count", 1))

    (line,) = measured.details
    text = line.partition(": ")[2]
    assert text.startswith("SELECT pg_sleep(?), current_user")
    assert len(text) <= QUERY_LENGTH + 2


async def test_what_sessions_call_themselves_cannot_make_lines(postgres_url: str) -> None:
    """A client that names itself with line feeds and terminal codes gets them written out."""
    forged = "SET application_name = E'a\\nok\\x1b[31m'"
    async with session(postgres_url, forged) as other:
        task = asyncio.create_task(other.execute("SELECT pg_sleep(30)"))
        measured = await measure_until(postgres_url, counted("count", 1))
        await other.cancel_safe()
        await asyncio.gather(task, return_exceptions=True)

    assert all(line.isprintable() for line in measured.details)


async def test_many_lines_are_cut(postgres_url: str) -> None:
    """More sessions than fit are counted, not listed."""
    async with AsyncExitStack() as sessions:
        for _ in range(DETAIL_LINES + 2):
            await sessions.enter_async_context(session(postgres_url, "BEGIN"))
        await asyncio.sleep(0.25)
        measured = await measure(SHORT, postgres_url)

    assert len(measured.details) == DETAIL_LINES + 1
    assert measured.details[-1] == "and 2 more"


async def test_pg_monitor_is_enough(postgres_url: str) -> None:
    """A login in pg_monitor, and in nothing else, sees other people's queries."""
    with make_login(postgres_url, "monitor", "IN ROLE pg_monitor") as url:
        async with running(postgres_url, "SELECT pg_sleep(30)"):
            measured = await measure_until(url, counted("count", 1))

    (line,) = measured.details
    assert line.endswith("SELECT pg_sleep(?)")


async def test_without_pg_monitor_nothing_is_claimed(postgres_url: str) -> None:
    """A login that sees only itself does not report that nothing runs."""
    with (
        make_login(postgres_url, "plain") as url,
        pytest.raises(StepError, match="GRANT pg_monitor TO plain"),
    ):
        await measure(SHORT, url)
