"""Replication, as `postgres.connect` sees it from both ends of a real one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from runbooks.status import Status
from runbooks.steps.postgres import PostgresConnect, Standing, replica_lag
from runbooks.steps.step import Measured
from tests.steps.postgres_servers import BINARIES, make_login, measure, run_replica, until, wait_for

_RECEIVING = "EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
_CAUGHT_UP = "pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"


@pytest.fixture(scope="module")
def replica_url(postgres_server: str) -> Iterator[str]:
    """A replica of the test server."""
    with run_replica(postgres_server) as url:
        yield url


def run(url: str, *queries: str) -> None:
    """Runs them there, one by one."""
    with psycopg.connect(url, autocommit=True) as connection:
        for query in queries:
            connection.execute(query.encode())


def lag(measured: Measured) -> float:
    """The measured lag."""
    value = measured.values["lag_s"]
    assert isinstance(value, float)
    return value


async def test_a_replica_that_has_replayed_everything_is_not_behind(
    postgres_server: str, replica_url: str
) -> None:
    """A replica with nothing left to replay has no lag, however long ago somebody last wrote."""
    run(postgres_server, "SELECT txid_current()")
    await until(replica_url, f"{_CAUGHT_UP} AND now() > pg_last_xact_replay_timestamp() + interval '0.2 s'")

    measured = await measure(PostgresConnect(), replica_url)

    assert measured.values["role"] == "replica"
    assert measured.summary.endswith("caught up")
    assert lag(measured) == 0


async def test_a_replica_that_does_not_replay_falls_behind(postgres_server: str, replica_url: str) -> None:
    """A replica that receives and does not replay lags by the age of what it shows."""
    run(postgres_server, "SELECT txid_current()")
    await until(replica_url, _CAUGHT_UP)
    run(replica_url, "SELECT pg_wal_replay_pause()")
    try:
        run(postgres_server, "SELECT txid_current()", "SELECT pg_switch_wal()")
        await until(
            replica_url,
            f"NOT {_CAUGHT_UP} AND now() > pg_last_xact_replay_timestamp() + interval '0.2 s'",
        )
        measured = await measure(PostgresConnect(), replica_url)
    finally:
        run(replica_url, "SELECT pg_wal_replay_resume()")

    assert lag(measured) > 0.2


@contextmanager
def cut_off(replica_url: str) -> Iterator[None]:
    """For a while the replica looks for its primary in the wrong place."""
    with psycopg.connect(replica_url, autocommit=True) as admin:
        (before,) = admin.execute("SHOW primary_conninfo").fetchone() or ("",)

        def set_primary(address: str) -> None:
            admin.execute(sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(sql.Literal(address)))
            admin.execute("SELECT pg_reload_conf()")

        set_primary("host=/nowhere")
        try:
            yield
        finally:
            set_primary(before)


async def test_a_replica_that_is_cut_off_is_told(replica_url: str) -> None:
    """A replica that receives nothing has a finding, and is not called caught up."""
    with cut_off(replica_url):
        await until(replica_url, "NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
        measured = await measure(PostgresConnect(), replica_url)

    assert measured.findings == ((Status.WARNING, "the replica receives nothing from its primary"),)
    assert "caught up" not in measured.summary


async def test_a_primary_has_the_lag_of_its_replica(postgres_server: str, replica_url: str) -> None:
    """A primary counts its replicas and knows how far they are behind."""
    await until(replica_url, _RECEIVING)

    measured = await measure(PostgresConnect(), postgres_server)

    assert "primary" in measured.summary
    assert "1 replica" in measured.summary
    assert lag(measured) < 5


async def test_pg_monitor_is_enough_for_the_lag(postgres_server: str, replica_url: str) -> None:
    """A login in pg_monitor, and in nothing else, sees a replica's lag."""
    await until(replica_url, _RECEIVING)
    with make_login(postgres_server, "monitor", "IN ROLE pg_monitor") as url:
        assert lag(await measure(PostgresConnect(), url)) < 5


async def test_a_hidden_lag_is_no_lag_of_zero(postgres_server: str, replica_url: str) -> None:
    """A login that may not see replicas gets no number, and reads what to grant."""
    await until(replica_url, _RECEIVING)
    with make_login(postgres_server, "plain") as url:
        measured = await measure(PostgresConnect(), url)

    assert measured.values["lag_s"] is None
    assert "GRANT pg_monitor TO plain" in "".join(measured.details)


async def test_a_hidden_lag_with_a_threshold_is_unknown(postgres_server: str, replica_url: str) -> None:
    """Where a threshold asks for a lag that is hidden, nobody knows whether it was kept."""
    await until(replica_url, _RECEIVING)
    step = PostgresConnect.model_validate({"warning": {"lag_s": {"above": 30}}})
    with make_login(postgres_server, "plain") as url:
        ((status, text),) = (await measure(step, url)).findings

    assert status is Status.UNKNOWN
    assert "GRANT pg_monitor TO plain" in text


@contextmanager
def subscriber(url: str) -> Iterator[None]:
    """A consumer of logical replication."""
    slot = ["-d", url, "--slot", "shop", "-P", "pgoutput"]
    options = ["-o", "proto_version=1", "-o", "publication_names=shop", "-f", "-"]
    subprocess.run([BINARIES / "pg_recvlogical", *slot, "--create-slot"], check=True)
    receive = [BINARIES / "pg_recvlogical", *slot, *options, "--start"]
    with subprocess.Popen(receive, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(url, "EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')")
            yield
        finally:
            process.terminate()


@pytest.fixture
def subscribed_url(postgres_server: str) -> Iterator[str]:
    """A primary without replicas, from which somebody takes a logical stream."""
    with run_replica(postgres_server, "wal_level=logical") as url:
        run(url, "SELECT pg_promote()")
        with subscriber(url):
            yield url


async def test_a_logical_subscriber_is_no_replica(subscribed_url: str) -> None:
    """Who takes a logical stream, at its own pace, is not counted as a replica."""
    measured = await measure(PostgresConnect(), subscribed_url)

    assert measured.values["role"] == "primary"
    assert measured.values["lag_s"] is None


@pytest.fixture
def closed_url(postgres_server: str) -> Iterator[str]:
    """A server that runs, and lets nobody in."""
    with run_replica(postgres_server, "hot_standby=off") as url:
        yield url


async def test_a_server_that_is_not_ready_is_told(closed_url: str) -> None:
    """A server that runs and lets nobody in yet (57P03) is critical, and not for its login."""
    ((status, text),) = (await measure(PostgresConnect(), closed_url)).findings

    assert status is Status.CRITICAL
    assert "not ready: the database system is not accepting connections" in text


def test_a_replica_that_lost_its_primary_grows_old() -> None:
    """Having replayed all that was received is no comfort when nothing is received any more."""
    cut_off = Standing(
        replica=True,
        receiving=False,
        meant_to_receive=True,
        caught_up=True,
        since_replay_s=90.0,
        senders=0,
    )

    assert replica_lag(cut_off) == 90
    assert replica_lag(replace(cut_off, receiving=True)) == 0
