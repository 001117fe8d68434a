"""`postgres.connect` against real servers and what is no server."""

import socket
import time

import pytest

from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.postgres import PostgresConnect
from tests.steps.postgres_servers import as_login, make_login, measure


def test_the_kind_is_registered() -> None:
    """`postgres.connect` in a runbook is this step."""
    assert CHECKS["postgres.connect"] is PostgresConnect


async def test_a_healthy_server_has_no_findings(postgres_url: str) -> None:
    """A primary that answers is measured, named with its version, and nothing is wrong with it."""
    measured = await measure(PostgresConnect(), postgres_url)

    assert measured.findings == ()
    assert measured.summary == f"primary, PostgreSQL {measured.values['version']}"


async def test_the_time_to_log_in_is_measured(postgres_url: str) -> None:
    """elapsed_ms is more than nothing and less than the whole measurement took."""
    began = time.perf_counter()
    measured = await measure(PostgresConnect(), postgres_url)
    whole = (time.perf_counter() - began) * 1000

    elapsed = measured.values["elapsed_ms"]
    assert isinstance(elapsed, float)
    assert 0 < elapsed < whole


async def test_a_primary_without_replicas_has_no_lag(postgres_url: str) -> None:
    """lag_s has no value where nothing can lag: 0 would claim that somebody follows."""
    assert (await measure(PostgresConnect(), postgres_url)).values["lag_s"] is None


async def test_no_privilege_is_needed_without_replicas(postgres_url: str) -> None:
    """A login that was granted nothing at all is enough to see that a server is up."""
    with make_login(postgres_url, "plain") as url:
        assert (await measure(PostgresConnect(), url)).findings == ()


async def test_a_refused_login_is_critical(postgres_url: str) -> None:
    """A server that does not let us in is critical, in the server's words."""
    measured = await measure(PostgresConnect(), as_login(postgres_url, "nobody"))

    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    assert 'role "nobody" does not exist' in text


async def test_no_free_connection_is_critical(postgres_url: str) -> None:
    """A login for which no connection is left is critical."""
    with make_login(postgres_url, "limited", "CONNECTION LIMIT 0") as url:
        ((status, text),) = (await measure(PostgresConnect(), url)).findings

    assert status is Status.CRITICAL
    assert 'no free connection: too many connections for role "limited"' in text


async def test_a_silent_server_is_critical_within_the_timeout() -> None:
    """A server that takes the connection and never says a word is critical before the step's time is up."""
    step = PostgresConnect.model_validate({"timeout": "400ms"})
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.perf_counter()
        measured = await measure(step, f"postgresql://127.0.0.1:{silent.getsockname()[1]}/shop")
        elapsed = time.perf_counter() - began

    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    assert "no answer within 0.36 s" in text
    assert elapsed < 2


@pytest.mark.parametrize("url", ["postgresql://app:secret-1@127.0.0.1:1/shop"])
async def test_a_finding_holds_no_password(url: str) -> None:
    """What is said of a server that cannot be reached has no password in it."""
    assert "secret-1" not in str(await measure(PostgresConnect(), url))
