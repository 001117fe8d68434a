"""The maintenance steps on PostgreSQL 15: before the privilege MAINTAIN, with extensions beside it."""

from collections.abc import Iterator

import pytest

from runbooks.errors import StepError
from runbooks.steps.postgres_maintain import OLDEST
from tests.steps.maintaining import do, execute, one
from tests.steps.postgres_servers import Server, make_login, measure
from tests.steps.test_postgres_statements import debian_server
from tests.steps.test_postgres_usage import SMALL, PostgresIndexUsage

pytestmark = pytest.mark.debian("initdb")


@pytest.fixture
def server() -> Iterator[Server]:
    """With a bloated index."""
    with debian_server() as server:
        execute(
            server.url,
            "CREATE TABLE orders (id int PRIMARY KEY, email text) WITH (autovacuum_enabled = off)",
            "CREATE INDEX by_email ON orders (email)",
            "INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 30000) AS n",
            "DELETE FROM orders WHERE id % 10 <> 0",
        )
        yield server


async def test_everything_works_there(server: Server) -> None:
    """Statistics, dead rows, bloat that pgstattuple measures, and what nobody uses."""
    execute(server.url, "CREATE EXTENSION pgstattuple")
    analyzed = await do("postgres.analyze", server.url)
    vacuumed = await do("postgres.vacuum", server.url)
    rebuilt = await do("postgres.reindex", server.url, {"bloated_above": 30, "at_least_mib": 0.1})
    usage = await measure(PostgresIndexUsage.model_validate(SMALL), server.url)
    vitals = await do("postgres.vitals", server.url, {"moment": "before"})

    assert analyzed.values["tables"] == vacuumed.values["tables"] == 1
    assert vacuumed.values["dead_after"] == 0
    assert rebuilt.values["indexes"] == 2
    assert rebuilt.values["unknown"] == 0
    assert usage.values["unused"] == 1
    assert vitals.values["invalid_indexes"] == 0


async def test_the_owner_is_who_may(server: Server) -> None:
    """There is no pg_maintain yet, and the step does not advise it."""
    execute(server.url, "CREATE ROLE owners", "ALTER TABLE orders OWNER TO owners")
    with make_login(server.url, "keeper", "IN ROLE pg_monitor") as url:
        with pytest.raises(StepError, match=r"GRANT owners TO keeper \(its owner\); from PostgreSQL 17 on"):
            await do("postgres.vacuum", url, {"tables": ["orders"]})
        execute(server.url, "GRANT owners TO keeper")
        await do("postgres.vacuum", url, {"tables": ["orders"]})
        await do("postgres.reindex", url, {"tables": ["orders"]})

    assert one(server.url, "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'orders'") == 0


async def test_what_is_older_still_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version that it takes."""
    monkeypatch.setattr("runbooks.steps.postgres_maintain.OLDEST", OLDEST + 100_000)

    with pytest.raises(StepError, match=r"is older than PostgreSQL 12, which postgres\.vacuum needs"):
        await do("postgres.vacuum", server.url)
