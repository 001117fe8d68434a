"""`postgres.index_usage` and `postgres.table_sizes` against real tables."""

from dataclasses import replace
from datetime import timedelta

import pytest

from runbooks.status import Status
from runbooks.steps.postgres_usage import PostgresIndexUsage, PostgresTableSizes
from runbooks.steps.reach import Connections, Reach, utc_now
from runbooks.steps.step import Check, Measured
from runbooks.targets import PostgresTarget
from tests.steps.maintaining import Notebook, execute
from tests.steps.postgres_servers import at, measure

TABLE = (
    "CREATE TABLE orders (id int PRIMARY KEY, email text UNIQUE, note text, at date)",
    "CREATE INDEX by_note ON orders (note)",
    "CREATE INDEX by_date ON orders (at)",
    "CREATE INDEX by_expression ON orders (lower(note))",
    "ALTER TABLE orders ADD EXCLUDE USING btree (note WITH =)",
    "INSERT INTO orders SELECT n, n::text, n::text, now() FROM generate_series(1, 2000) AS n",
)
SMALL = {"at_least_mib": 0, "counted_for": "0s"}


@pytest.fixture
def shop(postgres_url: str) -> str:
    """A database with indexes of every sort."""
    execute(postgres_url, *TABLE)
    return postgres_url


async def look(
    step: Check[PostgresTarget], url: str, memory: Notebook, later: timedelta = timedelta()
) -> Measured:
    """What the step measures, with a memory, and at a later time."""
    async with Connections() as connections:
        target = at(url)
        reach = Reach(targets={}, connections=connections, memory=memory)
        return await step.measure(target, replace(reach, now=lambda: utc_now() + later))


async def test_only_what_keeps_no_rule_is_unused(shop: str) -> None:
    """No primary key, no unique index, no constraint's; and not what a query used."""
    execute(shop, "SET enable_seqscan = off", "SET enable_bitmapscan = off")
    execute(shop, "BEGIN; SET LOCAL enable_seqscan = off; SELECT FROM orders WHERE at = '2030-01-01'; COMMIT")

    measured = await measure(PostgresIndexUsage.model_validate(SMALL), shop)

    assert measured.values["unused"] == 2
    assert measured.values["indexes"] == 6
    assert not measured.findings
    assert [line.split(" on ")[0] for line in measured.details] == ["public.by_expression", "public.by_note"]
    assert "never used, 2,000 rows written since" in measured.details[1]
    assert "the planner has its statistics" in measured.details[0]


async def test_young_statistics_say_nothing(shop: str) -> None:
    """Nobody drops an index because nobody used it since this morning."""
    execute(shop, "SELECT pg_stat_reset()")

    measured = await measure(PostgresIndexUsage.model_validate({"at_least_mib": 0}), shop)

    ((status, text),) = measured.findings
    assert status is Status.WARNING
    assert "too young to call an index unused" in text


async def test_small_indexes_are_left_out(shop: str) -> None:
    """Below 1 MiB nothing is won."""
    measured = await measure(PostgresIndexUsage(), shop)

    assert measured.values["unused"] == 0
    assert measured.details == ()


async def test_growth_is_since_the_last_time(shop: str) -> None:
    """And the first time there is nothing to compare with."""
    memory = Notebook()
    first = await look(PostgresTableSizes(), shop, memory)
    execute(
        shop,
        "INSERT INTO orders SELECT n, n::text, n::text FROM generate_series(3000, 9000) AS n",
        "CREATE TABLE fresh AS SELECT 1",
    )

    second = await look(PostgresTableSizes(), shop, memory, timedelta(days=7))

    assert first.values["grown_bytes"] is None
    assert first.summary == "nothing to compare with"
    grown = second.values["grown_bytes"]
    assert isinstance(grown, float)
    assert grown > 200_000
    assert second.summary.endswith(" in 7 d")
    assert second.values["largest"] == second.values["fastest"] == "public.orders"
    assert ", +" in second.details[0]
    assert second.details[1].endswith(", new")


async def test_growth_may_be_since_longer_ago(shop: str) -> None:
    """`since: 30d` passes over what is younger."""
    memory = Notebook()
    await look(PostgresTableSizes(), shop, memory)
    monthly = PostgresTableSizes.model_validate({"since": "30d"})

    early = await look(monthly, shop, memory, timedelta(days=7))
    late = await look(monthly, shop, memory, timedelta(days=31))

    assert early.summary == "nothing to compare with 4w2d ago or more"
    assert late.values["window_s"] == pytest.approx(31 * 86400, abs=60)


async def test_growth_is_drawn_from_the_third_look_on(shop: str) -> None:
    """The database, and its largest tables; a table that is new has no line yet."""
    memory = Notebook()
    looks = []
    for number in range(3):
        looks.append(await look(PostgresTableSizes(), shop, memory, timedelta(seconds=number)))
        rows = f"generate_series({3000 * (number + 1)}, {3000 * (number + 1) + 2000}) AS n"
        execute(shop, f"INSERT INTO orders SELECT n, n::text, n::text, now() FROM {rows}")
        if number == 1:
            execute(shop, "CREATE TABLE fresh AS SELECT 1 AS one")

    assert [len(each.drawn) for each in looks] == [0, 0, 2]
    whole, largest = looks[2].drawn
    assert whole["title"] == "Size of db"
    assert len(whole["lines"][0]["points"]) == 3
    assert [line["name"] for line in largest["lines"]] == ["public.orders"]
    sizes = [value for _, value in largest["lines"][0]["points"]]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]
