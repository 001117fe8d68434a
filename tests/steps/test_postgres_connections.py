"""`postgres.connections` against a real server, down to its last connection."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psycopg
import pytest

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.postgres import PostgresConnections
from tests.steps.postgres_servers import as_login, make_login, measure, running, session


def test_the_kind_is_registered() -> None:
    """`postgres.connections` in a runbook is this step."""
    assert CHECKS["postgres.connections"] is PostgresConnections


async def test_reserved_connections_are_not_counted_in(postgres_url: str) -> None:
    """The percentage is of what ordinary logins may have: max_connections less the reserved, 100 - 3."""
    measured = await measure(PostgresConnections(), postgres_url)

    used = measured.values["used"]
    assert isinstance(used, int)
    assert measured.values["used_percent"] == pytest.approx(100 * used / 97)
    assert measured.values["available"] == 97 - used
    assert measured.summary.startswith(f"{used} of 97")


async def test_every_session_takes_a_place(postgres_url: str) -> None:
    """One session more is one connection more in use."""
    before = (await measure(PostgresConnections(), postgres_url)).values["used"]
    async with session(postgres_url):
        after = (await measure(PostgresConnections(), postgres_url)).values["used"]

    assert isinstance(before, int)
    assert after == before + 1


async def test_sessions_idle_in_transaction_are_counted(postgres_url: str) -> None:
    """A transaction left open is told, and so is one that has failed."""
    async with session(postgres_url, "BEGIN"), session(postgres_url, "BEGIN") as failed:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await failed.execute("SELECT 1 / 0")
        measured = await measure(PostgresConnections(), postgres_url)

    assert measured.values["idle_in_transaction"] == 2
    assert "2 idle in transaction" in measured.summary


async def test_sessions_that_wait_for_a_lock_are_counted(postgres_url: str) -> None:
    """A session that waits for a lock is active and waiting."""
    holder = session(postgres_url, "CREATE TABLE t ()", "BEGIN", "LOCK TABLE t")
    async with holder, running(postgres_url, "SELECT FROM t"):
        measured = await measure(PostgresConnections(), postgres_url)

    assert (measured.values["active"], measured.values["waiting"]) == (1, 1)


async def test_our_own_session_is_not_active(postgres_url: str) -> None:
    """On a server where nothing happens nothing is active, though we ask."""
    assert (await measure(PostgresConnections(), postgres_url)).values["active"] == 0


async def test_details_name_who_holds_the_connections(postgres_url: str) -> None:
    """Those with the most connections come first, with their application and what they do."""
    async with session(postgres_url), session(postgres_url, "BEGIN"), session(postgres_url):
        first, *_ = (await measure(PostgresConnections(), postgres_url)).details

    database = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    assert first == f"3 of postgres@{database} (shop): 2 idle, 1 idle in transaction"


async def test_pg_monitor_is_enough(postgres_url: str) -> None:
    """A login in pg_monitor, and in nothing else, sees the same as a superuser."""
    with make_login(postgres_url, "monitor", "IN ROLE pg_monitor") as url:
        async with session(postgres_url, "BEGIN"):
            measured = await measure(PostgresConnections(), url)

    assert measured.values["idle_in_transaction"] == 1


async def test_without_pg_monitor_nothing_is_claimed(postgres_url: str) -> None:
    """A login that sees only itself measures nothing, and says what to grant."""
    with (
        make_login(postgres_url, "Plain") as url,
        pytest.raises(StepError, match='GRANT pg_monitor TO "Plain"'),
    ):
        await measure(PostgresConnections(), url)


async def test_a_server_that_is_down_is_not_measured() -> None:
    """Where nothing listens there is no number, and no claim that connections ran out."""
    with pytest.raises(StepError, match="nothing listens there"):
        await measure(PostgresConnections(), "postgresql://127.0.0.1:1/shop")


@pytest.fixture
def exhausted_url(postgres_url: str) -> Iterator[str]:
    """A server on which ordinary logins have taken every connection that they may have."""
    with make_login(postgres_url, "crowd", "IN ROLE pg_monitor") as url, ExitStack() as crowd:
        with suppress(psycopg.OperationalError):
            while True:
                crowd.enter_context(psycopg.connect(url))
        yield url


async def test_a_full_server_is_critical(exhausted_url: str) -> None:
    """A server that has no connection left for us is full: that is the finding, not a failure to measure."""
    measured = await measure(PostgresConnections(), exhausted_url)

    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    assert "no free connection" in text
    assert (measured.values["used_percent"], measured.values["available"]) == (100, 0)


async def test_a_superuser_sees_a_full_server(exhausted_url: str) -> None:
    """A login that may use the reserved connections measures past 100 %, and nothing is left over."""
    measured = await measure(
        PostgresConnections(), as_login(exhausted_url.replace("crowd", "postgres:"), "postgres")
    )

    percent = measured.values["used_percent"]
    assert isinstance(percent, float)
    assert percent > 100
    assert measured.values["available"] == 0


async def test_a_login_at_its_limit_does_not_call_the_server_full(postgres_url: str) -> None:
    """When only the login's own limit is used up that is critical, without a percentage of the server."""
    with make_login(postgres_url, "limited", "CONNECTION LIMIT 0") as url:
        measured = await measure(PostgresConnections(), url)

    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    assert 'too many connections for role "limited"' in text
    assert "used_percent" not in measured.values
