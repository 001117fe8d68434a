"""Redis behind another machine: a real server, reached through a real sshd."""

import asyncio
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trustme

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.redis import RedisPing
from runbooks.steps.redis_client import connected
from tests.steps.conftest import Sshd, run_sshd
from tests.steps.vias import cache, left_in, measure, with_remote

pytestmark = pytest.mark.debian("sshd")

Certified = Callable[[str], AbstractAsyncContextManager[str]]


async def test_a_check_reaches_it(sshd: Sshd, redis_url: str, temporary: Path) -> None:
    """Two checks of it log in to the machine once, and leave nothing here."""
    before = sshd.accepted()
    ping, memory = await measure(sshd, RedisPing(), CHECKS["redis.memory"](), target=cache(redis_url))

    assert left_in(temporary) == []
    assert ping.findings == ()
    assert memory.values
    assert sshd.accepted() - before == 1


async def test_the_database_and_the_login_of_the_url_count(sshd: Sshd, redis_url: str) -> None:
    """What stands in the url beside the place is as without a machine in between."""
    target = cache(f"{redis_url}?db=3&client_name=maint-here")
    async with Connections() as connections:
        reach = Reach(targets=with_remote(sshd, target), connections=connections)
        async with connected(target, reach, 5) as client:
            info = await client.client_info()

    assert (info["db"], info["name"]) == (3, "maint-here")


async def test_a_server_that_is_down_there_is_critical(sshd: Sshd) -> None:
    """The text says from where nobody answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"redis://localhost:{free.getsockname()[1]}/0"
        (measured,) = await measure(sshd, RedisPing(), target=cache(url))

    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    assert text.startswith(f"{url} via remote: ssh://")
    assert "cannot connect to localhost" in text


async def test_a_machine_that_passes_nothing_on_says_what_to_change(tmp_path: Path, redis_url: str) -> None:
    """Then nobody knows how Redis is."""
    with (
        run_sshd(tmp_path, "AllowStreamLocalForwarding no") as closed,
        pytest.raises(StepError, match=r"AllowStreamLocalForwarding yes \(or local\)"),
    ):
        await measure(closed, RedisPing(), target=cache(redis_url))


async def test_a_connection_that_is_lost_is_told(sshd: Sshd, redis_url: str) -> None:
    """It is the ssh connection that was lost, not Redis that closed its own."""
    target = cache(redis_url)

    async def wait_and_lose(reach: Reach) -> None:
        async with connected(target, reach, 20) as client:
            await client.ping()
            waiting = asyncio.create_task(client.blpop(["nothing"], 15))
            await asyncio.sleep(0.2)
            sshd.drop_connections()
            await waiting

    async with Connections() as connections:
        reach = Reach(targets=with_remote(sshd, target), connections=connections)
        with pytest.raises(StepError, match="was lost in the middle"):
            await wait_and_lose(reach)


async def test_a_machine_that_is_silent_costs_the_time_of_the_check(sshd: Sshd, redis_url: str) -> None:
    """It is said that the way was not there, and not that Redis gave no answer."""
    target = cache(redis_url)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        remote = sshd.target(port=silent.getsockname()[1], connect_timeout="5s")
        async with Connections() as connections:
            reach = Reach(targets={"cache": target, "remote": remote}, connections=connections)
            with pytest.raises(StepError, match="there was no way through remote within"):
                async with connected(target, reach, 0.3):
                    pass


@pytest.fixture
def certified(redis_url: str) -> Certified:
    """What stands before Redis and speaks TLS with a certificate of that name; the url of it."""
    authority = trustme.CA()

    @asynccontextmanager
    async def serve(name: str) -> AsyncIterator[str]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(tls)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            behind = await asyncio.open_unix_connection(redis_url.removeprefix("unix://"))
            await asyncio.gather(_pour(reader, behind[1]), _pour(behind[0], writer))

        with tempfile.TemporaryDirectory() as folder:
            authority.cert_pem.write_to_path(f"{folder}/ca.pem")
            async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
                port = server.sockets[0].getsockname()[1]
                yield f"rediss://localhost:{port}/0?ssl_ca_certs={folder}/ca.pem"

    return serve


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_the_certificate_must_be_of_the_name_in_the_url(certified: Certified, sshd: Sshd) -> None:
    """Through a machine in between as without."""
    async with certified("localhost") as url:
        (right,) = await measure(sshd, RedisPing(), target=cache(url))
    async with certified("elsewhere.example") as url:
        (wrong,) = await measure(sshd, RedisPing(), target=cache(url))

    assert right.findings == ()
    ((status, text),) = wrong.findings
    assert status is Status.CRITICAL
    assert "TLS failed" in text
