"""`postgres.reindex` on a real server: what it rebuilds, and what it leaves behind when it is broken off."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.action import Doubtful, Failed, Risk
from runbooks.steps.postgres_indexes import left_overs
from runbooks.steps.postgres_reindex import PostgresReindex
from runbooks.steps.postgres_work import working
from runbooks.steps.reach import Reach
from tests.steps.maintaining import Notebook, do, execute, one, running_in, under_way
from tests.steps.postgres_servers import at, make_login, session, until

TABLE = (
    "CREATE TABLE orders (id int PRIMARY KEY, email text) WITH (autovacuum_enabled = off)",
    "CREATE INDEX by_email ON orders (email)",
    "INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 30000) AS n",
    "ANALYZE orders",
)
BLOAT = ("DELETE FROM orders WHERE id % 10 <> 0", "VACUUM ANALYZE orders")
INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"


@pytest.fixture
def shop(postgres_url: str) -> str:
    """A database with two indexes."""
    execute(postgres_url, *TABLE)
    return postgres_url


async def test_a_bloated_index_is_rebuilt_and_a_lean_one_is_not(shop: str) -> None:
    """By an estimate from the planner's statistics."""
    lean = await do("postgres.reindex", shop, {"bloated_above": 30, "at_least_mib": 0.1})
    execute(shop, *BLOAT)
    memory = Notebook()

    done = await do("postgres.reindex", shop, {"bloated_above": 30, "at_least_mib": 0.1}, memory=memory)

    assert lean.values["indexes"] == 0
    assert lean.summary == "no index had to be rebuilt"
    assert done.values["indexes"] == 2
    before, after = done.values["bytes_before"], done.values["bytes_after"]
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert after < before / 4
    assert "% air" in done.output
    assert ("postgres.reindex:took", "db", "public.by_email") in memory.kept


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"index": "by_email"}, 1),
        ({"tables": ["orders"]}, 2),
        ({"schema": "public"}, 2),
        ({"database": True}, 2),
        ({"index": "by_email", "concurrently": False, "lock_timeout": "1s"}, 1),
    ],
)
async def test_what_is_named_is_rebuilt(shop: str, fields: Mapping[str, Any], number: int) -> None:
    """Whatever its bloat; every index is still valid afterwards."""
    done = await do("postgres.reindex", shop, fields)

    assert done.values["indexes"] == number
    assert one(shop, INVALID) == 0


@pytest.mark.parametrize("fields", [{"index": "none"}, {"tables": ["none"]}, {"schema": "none"}])
async def test_what_is_not_there_is_named(shop: str, fields: Mapping[str, Any]) -> None:
    """Nothing is rebuilt then."""
    with pytest.raises(StepError, match=r"has no .*none"):
        await do("postgres.reindex", shop, fields)


async def test_a_cancelled_rebuild_leaves_nothing(shop: str) -> None:
    """It is ended in the server, and the invalid index that it had begun is dropped."""
    async with session(shop, "CREATE TABLE other ()", "BEGIN ISOLATION LEVEL REPEATABLE READ") as other:
        await other.execute("SELECT FROM other")
        step = asyncio.create_task(do("postgres.reindex", shop, {"index": "by_email"}))
        # It is built beside the old one, and waits for who may still use that.
        await until(shop, "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid)")
        step.cancel()
        await other.execute("COMMIT")
        with pytest.raises(asyncio.CancelledError):
            await step

    assert one(shop, f"SELECT NOT EXISTS ({running_in('REINDEX')})")
    assert one(shop, INVALID) == 0


async def test_what_cannot_be_dropped_is_told_and_dropped_the_next_time(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old transaction that uses the table is in the way of both."""
    monkeypatch.setattr("runbooks.steps.postgres_reindex.CLEANING", 1.0)
    async with session(shop, "BEGIN", "SELECT FROM orders LIMIT 1"):
        with pytest.raises(Doubtful, match=r"could not be dropped.*when it is run again"):
            await do("postgres.reindex", shop, {"index": "by_email", "lock_timeout": "300ms"})
        left = one(shop, INVALID)

    done = await do("postgres.reindex", shop, {"tables": ["orders"]})

    assert left == 1
    assert done.values["left_overs"] == 1
    assert "by_email_ccold: left over from a rebuild that broke, dropped" in done.output
    assert one(shop, INVALID) == 0


async def test_a_lock_that_does_not_come_is_told(shop: str) -> None:
    """Nothing is left of the attempt."""
    async with session(shop, "BEGIN", "LOCK orders IN SHARE UPDATE EXCLUSIVE MODE"):
        with pytest.raises(Failed, match=r"1 of 1 could not be rebuilt.*the lock did not come"):
            await do("postgres.reindex", shop, {"index": "by_email", "lock_timeout": "300ms"})

    assert one(shop, INVALID) == 0


async def test_a_rebuild_of_somebody_else_is_left_alone(shop: str, reach: Reach) -> None:
    """An invalid index that a session is at work on is not left over."""
    async with (
        session(shop, "BEGIN", "SELECT FROM orders LIMIT 1"),
        under_way("postgres.reindex", shop, {"index": "by_email"}, statement="REINDEX"),
    ):
        await until(shop, "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid)")
        async with working(at(shop), reach, seconds=5) as work:
            assert await left_overs(work, [one(shop, "SELECT 'orders'::regclass::oid")]) == []


async def test_a_server_that_is_told_to_go_is_told(shop: str) -> None:
    """The step fails, and says what to do."""
    async with (
        session(shop, "BEGIN", "SELECT FROM orders LIMIT 1") as other,
        under_way("postgres.reindex", shop, {"index": "by_email"}, statement="REINDEX") as step,
    ):
        await until(shop, "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid)")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'maint'"
        execute(shop, ended)
        await other.execute("COMMIT")
        with pytest.raises(Failed, match=r"went away in the middle"):
            await step

    assert one(shop, INVALID) == 0


async def test_what_the_login_may_not_do_is_told_with_what_to_grant(shop: str) -> None:
    """Before anything is tried."""
    needed = r"may not reindex public[.]orders .*GRANT pg_maintain TO reader"
    with make_login(shop, "reader", "IN ROLE pg_monitor") as url, pytest.raises(StepError, match=needed):
        await do("postgres.reindex", url, {"database": True})


async def test_without_statistics_nobody_knows_the_bloat(shop: str) -> None:
    """Unknown is told, and not taken for lean."""
    execute(shop, *BLOAT)
    with make_login(shop, "keeper", "IN ROLE pg_maintain") as url:
        done = await do("postgres.reindex", url, {"bloated_above": 30, "at_least_mib": 0.1})

    assert done.values["unknown"] == 2
    assert "of 2 the bloat is not known" in done.summary


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"index": "a", "tables": ["b"]},
        {"index": "a", "concurrently": False},
        {"bloated_above": 101},
    ],
)
def test_what_is_not_clear_is_refused(fields: Mapping[str, Any]) -> None:
    """Which indexes is said once, and who keeps people out says for how long they may wait."""
    with pytest.raises(ValidationError):
        PostgresReindex.model_validate({"target": "db", **fields})


def test_keeping_writers_out_is_a_high_risk_for_two_people() -> None:
    """A rebuild beside the old index is neither."""
    beside = PostgresReindex.model_validate({"target": "db", "database": True})
    blocking = PostgresReindex.model_validate(
        {"target": "db", "database": True, "concurrently": False, "lock_timeout": "5s"}
    )

    assert (beside.risk, beside.people) == (Risk.LOW, 0)
    assert (blocking.risk, blocking.people) == (Risk.HIGH, 2)
