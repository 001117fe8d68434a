"""`redis.ping` against real servers that are well, ill, closed to us, or no server at all."""

import asyncio
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.redis import RedisPing
from runbooks.steps.step import Measured
from tests.conftest import run_redis
from tests.steps.redis_servers import measure, serve, wait_for


def trouble(measured: Measured) -> str:
    """The text of the one critical finding."""
    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    return text


def test_the_kind_is_registered() -> None:
    """`redis.ping` in a runbook is this step."""
    assert CHECKS["redis.ping"] is RedisPing


async def test_a_healthy_server_has_no_findings(redis_url: str) -> None:
    """A master that answers is measured, named with its version, and nothing is wrong with it."""
    measured = await measure(RedisPing(), redis_url)

    assert measured.findings == ()
    assert measured.summary == f"master, Redis {measured.values['version']}"
    assert measured.values["last_save_ok"] == "yes"


async def test_the_time_to_ping_is_measured(redis_url: str) -> None:
    """elapsed_ms is more than nothing and less than the whole measurement took."""
    began = time.perf_counter()
    measured = await measure(RedisPing(), redis_url)
    whole = (time.perf_counter() - began) * 1000

    elapsed = measured.values["elapsed_ms"]
    assert isinstance(elapsed, float)
    assert 0 < elapsed < whole


@pytest.fixture(scope="module")
def locked_url() -> Iterator[str]:
    """A server that wants a password, `correct-1`."""
    with serve("--requirepass", "correct-1") as url:
        yield url


async def test_a_missing_password_is_critical(locked_url: str) -> None:
    """A server that wants a password is not well because it answered something (NOAUTH)."""
    measured = await measure(RedisPing(), locked_url)

    assert "login refused: Authentication required (check" in trouble(measured)
    assert measured.values["elapsed_ms"] is None


async def test_a_wrong_password_is_critical(locked_url: str) -> None:
    """A refused password (WRONGPASS) is critical, and is not repeated."""
    text = trouble(await measure(RedisPing(), f"{locked_url}?password=incorrect-1"))

    assert "login refused" in text
    assert "incorrect-1" not in text


async def test_a_password_that_nobody_asked_for_is_critical(redis_url: str) -> None:
    """A server without a password refuses a login with one: clients with that url cannot use it either."""
    assert "login refused" in trouble(await measure(RedisPing(), f"{redis_url}?password=secret-1"))


async def test_the_right_password_is_let_in(locked_url: str) -> None:
    """The same server with its password is well."""
    assert (await measure(RedisPing(), f"{locked_url}?password=correct-1")).findings == ()


@pytest.fixture(scope="module")
def restricted_url() -> Iterator[str]:
    """A server with a login that may only ping, and one that may do nothing."""
    small = ("--user", "small", "on", ">secret-1", "-@all", "+ping")
    tiny = ("--user", "tiny", "on", ">secret-1", "-@all")
    with serve(*small, *tiny) as url:
        yield url


async def test_a_login_that_may_not_ping_is_critical(restricted_url: str) -> None:
    """A login without permission for PING (NOPERM) is critical, and told what it lacks."""
    url = restricted_url.replace("//", "//tiny:secret-1@")

    assert "not permitted" in trouble(await measure(RedisPing(), url))


async def test_a_login_that_may_not_look_is_unknown(restricted_url: str) -> None:
    """A server that pings and keeps INFO from us is there, but nobody knows whether it is well."""
    measured = await measure(RedisPing(), restricted_url.replace("//", "//small:secret-1@"))

    ((status, text),) = measured.findings
    assert status is Status.UNKNOWN
    assert "ACL SETUSER" in text
    assert measured.values["elapsed_ms"] is not None


async def test_refused_connections_are_critical() -> None:
    """Where nothing listens, the text says so, and where that is, without the password."""
    text = trouble(await measure(RedisPing(), "redis://:secret-1@127.0.0.1:1/0"))

    assert text == "redis://127.0.0.1:1/0: nothing listens there: Connection refused (is Redis running?)"


async def test_a_missing_socket_is_critical(tmp_path: Path) -> None:
    """A unix socket that is not there is told apart from a server that refuses."""
    assert "no socket there" in trouble(await measure(RedisPing(), f"unix://{tmp_path}/none.sock"))


async def test_an_unknown_host_is_critical() -> None:
    """A name that nobody knows is told apart from a server that is down."""
    text = trouble(await measure(RedisPing(), "redis://no-such-host.invalid:6379"))

    assert "the host name is not known" in text


async def test_a_silent_server_is_critical_within_the_timeout() -> None:
    """A server that takes the connection and never says a word is critical before the step's time is up."""
    step = RedisPing.model_validate({"timeout": "400ms"})
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.perf_counter()
        measured = await measure(step, f"redis://127.0.0.1:{silent.getsockname()[1]}")
        elapsed = time.perf_counter() - began

    assert "no answer" in trouble(measured)
    assert elapsed < 2


async def test_a_certificate_that_nobody_vouches_for_is_critical() -> None:
    """A server whose certificate cannot be verified is not talked to, and gets no password."""
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())
        writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with await asyncio.start_server(listen, "127.0.0.1", ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        text = trouble(await measure(RedisPing(), f"rediss://:secret-1@127.0.0.1:{port}"))

    assert "TLS failed" in text
    assert not heard


async def test_what_is_no_redis_is_critical(postgres_server: str) -> None:
    """A server that does not speak Redis's protocol is not taken for one."""
    folder = postgres_server.partition("?host=")[2]

    assert trouble(await measure(RedisPing(), f"unix://{folder}/.s.PGSQL.5432"))


async def test_an_option_that_is_not_known_is_told(redis_url: str) -> None:
    """A misspelt option in the url is an error that says where to look, not a crash."""
    with pytest.raises(StepError, match="soket_timeout"):
        await measure(RedisPing(), f"{redis_url}?soket_timeout=1")


@pytest.fixture
def orphan_url() -> Iterator[str]:
    """A replica whose master is not there."""
    with serve("--replicaof", "127.0.0.1", "1") as url:
        yield url


async def test_a_replica_without_its_master_is_critical(orphan_url: str) -> None:
    """A replica that has lost its master is critical, and the master is named."""
    measured = await measure(RedisPing(), orphan_url)

    assert trouble(measured) == "the replica has no link to its master 127.0.0.1:1"
    assert measured.values["role"] == "replica"


@pytest.fixture
def pair() -> Iterator[tuple[str, str]]:
    """A master and its replica, in step with each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with (
        serve("--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0") as master,
        serve("--replicaof", "127.0.0.1", port) as replica,
    ):
        wait_for(replica, lambda info: info["master_link_status"] == "up")
        yield master, replica


async def test_a_replica_in_step_has_no_findings(pair: tuple[str, str]) -> None:
    """A replica that is linked with its master is well."""
    assert (await measure(RedisPing(), pair[1])).findings == ()


async def test_a_master_counts_its_replicas(pair: tuple[str, str]) -> None:
    """A master says how many replicas are connected."""
    measured = await measure(RedisPing(), pair[0])

    assert measured.values["connected_replicas"] == 1
    assert "1 replica" in measured.summary


@pytest.fixture
def unsaved_url() -> Iterator[str]:
    """A server whose folder was deleted under it, and whose last save has failed."""
    with serve() as url, redis.Redis.from_url(url) as client:
        with tempfile.TemporaryDirectory() as gone:
            client.config_set("dir", gone)
        client.bgsave()
        wait_for(url, lambda info: info["rdb_last_bgsave_status"] == "err")
        yield url


async def test_a_failed_save_is_critical(unsaved_url: str) -> None:
    """A server that could not write its data to disk is critical, for it may soon take no writes."""
    measured = await measure(RedisPing(), unsaved_url)

    assert "the last save to disk failed" in trouble(measured)
    assert measured.values["last_save_ok"] == "no"


@pytest.fixture
def loading_url() -> Iterator[str]:
    """A server that is reading its data, and will be for a while."""
    with tempfile.TemporaryDirectory(prefix="redis") as name:
        with run_redis(Path(name), "--rdbcompression", "no") as url, redis.Redis.from_url(url) as client:
            client.execute_command("DEBUG", "POPULATE", 8000, "key", 1000)
            client.save()
        # Redis looks after its clients every 2 MiB that it has read, here about every half a second.
        with run_redis(Path(name), "--key-load-delay", "200") as url:
            yield url


async def test_a_server_that_loads_is_critical(loading_url: str) -> None:
    """A server that answers LOADING serves nobody, and says how far it is."""
    measured = await measure(RedisPing(), loading_url)

    assert trouble(measured).startswith("loading its data, ")
    assert measured.values["elapsed_ms"] is None
