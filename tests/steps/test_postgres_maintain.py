"""`postgres.analyze` and `postgres.vacuum` on a real server, also when something is in their way."""

import asyncio
import sys

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.action import Failed, Risk
from runbooks.steps.postgres_maintain import PostgresVacuum
from tests.steps.maintaining import Notebook, do, execute, one, running_in, soon, under_way
from tests.steps.postgres_servers import make_login, session, until

ORDERS = (
    "CREATE TABLE orders (id int PRIMARY KEY, note text) WITH (autovacuum_enabled = off)",
    "INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, 5000) AS n",
)
FULL = {"tables": ["orders"], "full": True, "lock_timeout": "300ms"}


@pytest.fixture
def shop(postgres_url: str) -> str:
    """A database with a table in which much was changed since anybody looked."""
    execute(postgres_url, *ORDERS)
    return postgres_url


async def test_what_changed_a_lot_is_analyzed(shop: str) -> None:
    """And what did not is left alone."""
    execute(shop, "CREATE TABLE quiet (id int)", "ANALYZE quiet")

    done = await do("postgres.analyze", shop)

    assert done.values["tables"] == 1
    assert done.values["rows_changed"] == 5000
    assert done.output.startswith("public.orders: 5,000 rows had changed")
    assert one(shop, "SELECT n_mod_since_analyze FROM pg_stat_user_tables WHERE relname = 'orders'") == 0


async def test_named_tables_are_analyzed_whatever_changed(shop: str) -> None:
    """A name is what SQL reads: with a schema, or quoted."""
    execute(shop, 'CREATE TABLE "Odd; name" (id int)')

    done = await do("postgres.analyze", shop, {"tables": ["public.orders", '"Odd; name"']})

    assert done.values["tables"] == 2


async def test_a_partitioned_table_is_its_partitions(shop: str) -> None:
    """The parent has no rows of its own."""
    execute(
        shop,
        "CREATE TABLE days (at date) PARTITION BY RANGE (at)",
        "CREATE TABLE day1 PARTITION OF days FOR VALUES FROM ('2030-01-01') TO ('2030-01-02')",
    )

    done = await do("postgres.vacuum", shop, {"tables": ["days"]})

    assert done.output.startswith("public.day1: ")


@pytest.mark.parametrize("name", ["nothing", "orders; DROP TABLE orders", "no.such.table"])
async def test_a_table_that_is_not_there_is_named(shop: str, name: str) -> None:
    """Nothing is done then."""
    with pytest.raises(StepError, match=r"has no table|refused"):
        await do("postgres.vacuum", shop, {"tables": [name]})

    assert one(shop, "SELECT count(*) FROM orders") == 5000


async def test_vacuum_frees_dead_rows(shop: str) -> None:
    """Those of tables that have many of them; how long it took is remembered."""
    execute(shop, "CREATE TABLE quiet (id int)", "DELETE FROM orders WHERE id > 2000")
    memory = Notebook()

    done = await do("postgres.vacuum", shop, memory=memory)

    assert done.values["tables"] == 1
    assert done.values["dead_before"] == 3000
    assert done.values["dead_after"] == 0
    assert not done.warnings
    kept = memory.kept["postgres.vacuum:took", "db", "public.orders"][0].value
    assert kept["seconds"] > 0
    assert kept["bytes"] > 500_000


async def test_vacuum_full_gives_the_room_back(shop: str) -> None:
    """The table is rewritten."""
    execute(shop, "DELETE FROM orders WHERE id > 100")

    done = await do("postgres.vacuum", shop, FULL)

    freed = done.values["freed_bytes"]
    assert isinstance(freed, float)
    assert freed > 400_000


async def test_a_rewrite_gives_up_when_its_lock_does_not_come(shop: str) -> None:
    """Nobody waits behind it for longer than `lock_timeout`."""
    async with session(shop, "BEGIN", "SELECT FROM orders LIMIT 1"):
        with pytest.raises(StepError, match=r"the lock did not come within 0\.3 s; postgres\.explain_locks"):
            await do("postgres.vacuum", shop, FULL)


async def test_one_table_that_is_locked_does_not_keep_the_others_waiting(shop: str) -> None:
    """The others are done, and the step says which was not."""
    execute(shop, "CREATE TABLE users (id int)")
    fields = {"tables": ["orders", "users"], "lock_timeout": "200ms"}
    async with session(shop, "BEGIN", "LOCK orders IN SHARE UPDATE EXCLUSIVE MODE"):
        with pytest.raises(Failed, match=r"1 of 2 could not be vacuumed: VACUUM public\.orders") as failed:
            await do("postgres.vacuum", shop, fields)

    assert "public.users: " in failed.value.output


async def test_rows_that_somebody_may_still_see_are_told(shop: str) -> None:
    """A vacuum that frees nothing is worth a look."""
    async with session(shop, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT FROM orders LIMIT 1"):
        execute(shop, "DELETE FROM orders")
        done = await do("postgres.vacuum", shop)

    assert done.values["dead_after"] == 5000
    (warning,) = done.warnings
    assert warning.startswith("dead rows of public.orders could not be freed: an old transaction")


@pytest.mark.parametrize("kind", ["postgres.vacuum", "postgres.analyze"])
async def test_what_the_login_may_not_do_is_told_with_what_to_grant(shop: str, kind: str) -> None:
    """The server itself would only warn, and skip the table."""
    with make_login(shop, "reader", "IN ROLE pg_monitor") as url:
        with pytest.raises(StepError, match=r"the login reader may not .* public[.]orders") as refused:
            await do(kind, url, {"tables": ["orders"]})
        execute(shop, "GRANT pg_maintain TO reader")
        done = await do(kind, url, {"tables": ["orders"]})

    assert "GRANT pg_maintain TO reader" in str(refused.value)
    assert done.values["tables"] == 1


async def test_a_cancelled_step_is_over_in_the_server_too(shop: str) -> None:
    """Whoever cancels gets the cancellation only when no statement of the step runs any more."""
    # A vacuum that pauses after every page.
    execute(
        shop,
        "ALTER ROLE postgres SET vacuum_cost_delay = '100ms'",
        "ALTER ROLE postgres SET vacuum_cost_limit = 1",
        "DELETE FROM orders",
    )
    try:
        async with under_way("postgres.vacuum", shop, statement="VACUUM") as step:
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            assert one(shop, f"SELECT NOT EXISTS ({running_in('VACUUM')})")
    finally:
        execute(shop, "ALTER ROLE postgres RESET ALL")


async def test_a_statement_has_the_time_of_the_step(shop: str) -> None:
    """What takes longer is ended by the server, and the step says that more time would help."""
    async with session(shop, "BEGIN", "LOCK orders IN SHARE UPDATE EXCLUSIVE MODE"):
        with pytest.raises(Failed, match=r"statement timeout.*a longer `timeout:`"):
            await do("postgres.vacuum", shop, {"tables": ["orders"], "timeout": "400ms"})


async def test_a_session_that_an_administrator_ends_is_told(shop: str) -> None:
    """The step says that the server went away, and what to do."""
    async with session(shop, "BEGIN", "LOCK orders IN SHARE UPDATE EXCLUSIVE MODE"):
        fields = {"tables": ["orders"], "lock_timeout": "1m"}
        async with under_way("postgres.vacuum", shop, fields, statement="VACUUM") as step:
            execute(
                shop,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'maint' AND query LIKE 'VACUUM%'",
            )
            with pytest.raises(Failed, match=r"went away in the middle.*press Retry"):
                await step


async def test_who_holds_the_lock_is_shown_while_it_waits(shop: str) -> None:
    """The step's progress names the session in its way."""
    told: list[str] = []
    async with session(shop, "BEGIN", "LOCK orders IN SHARE UPDATE EXCLUSIVE MODE") as other:
        pid = other.info.backend_pid
        task = asyncio.create_task(
            do("postgres.vacuum", shop, {"tables": ["orders"], "lock_timeout": "1m"}, told.append)
        )
        await soon(lambda: any(f"waits for pid {pid} (postgres, shop" in line for line in told))
        await other.execute("COMMIT")
        await task

    assert told[0].startswith("VACUUM public.orders (1 of 1, ")


async def test_the_server_notices_that_maint_was_killed(shop: str) -> None:
    """After a kill -9 nobody cancels: the server looks by itself whether somebody is still there."""
    ours = f"EXISTS ({running_in('VACUUM')})"
    async with session(shop, "BEGIN", "LOCK orders IN SHARE UPDATE EXCLUSIVE MODE"):
        program = [sys.executable, "-m", "tests.steps.maintaining", shop]
        process = await asyncio.create_subprocess_exec(*program)
        await until(shop, ours)  # type: ignore[arg-type]
        process.kill()
        await process.wait()

        await until(shop, f"NOT {ours}")  # type: ignore[arg-type]


def test_a_rewrite_is_a_high_risk_for_two_people() -> None:
    """A plain vacuum is neither."""
    plain, full = PostgresVacuum(target="db"), PostgresVacuum.model_validate({"target": "db", **FULL})

    assert (plain.risk, plain.people) == (Risk.LOW, 0)
    assert (full.risk, full.people) == (Risk.HIGH, 2)
    assert "pg_repack" in full.plan_warnings({})[0]


@pytest.mark.parametrize("missing", ["tables", "lock_timeout"])
def test_a_rewrite_names_its_tables_and_its_patience(missing: str) -> None:
    """Neither has a default there."""
    fields = {name: value for name, value in FULL.items() if name != missing}

    with pytest.raises(ValidationError, match=missing):
        PostgresVacuum.model_validate({"target": "db", **fields})
