"""`http.probe` against services that are down, slow, broken, or not where their name says."""

import asyncio
import resource
import socket

import pytest
from aiohttp import web

from runbooks.errors import StepError
from tests.steps.probing import finding, names, never, probe
from tests.steps.serving import says, serve, serve_bytes


async def test_a_wrong_status_is_critical() -> None:
    """A 503 is a finding that says what was seen and what was wanted."""
    async with serve(root=says("sorry", 503)) as url:
        assert finding(await probe(url)) == f"{url}/ answered 503 instead of 2xx"


async def test_an_expected_status_is_no_finding() -> None:
    """`expect_status` takes numbers and classes."""
    async with serve(root=says("teapot", 418)) as url:
        assert (await probe(url, expect_status=[200, "4xx"])).findings == ()


async def test_a_refused_connection_is_critical() -> None:
    """Nobody listens: the service is down, which was measured."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert finding(await probe(url)) == f"{url}/ refused the connection"


async def test_a_refused_connection_has_no_time() -> None:
    """What never answered has no response time, and is one failure."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        values = (await probe(f"http://127.0.0.1:{free.getsockname()[1]}")).values
    assert (values["elapsed_ms"], values["status"], values["failures"]) == (None, None, 1)


async def test_a_service_that_never_answers_is_critical_before_the_step_times_out() -> None:
    """The probe itself says that nothing came, within the step's timeout."""
    async with serve(root=never) as url, asyncio.timeout(0.5):
        assert finding(await probe(url, timeout="500ms")) == f"{url}/ did not answer within 0.45 s"


async def test_a_body_that_drips_is_bounded_in_time() -> None:
    """A byte now and then does not keep a probe beyond its time."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b".")
            await asyncio.sleep(0.1)
        return response

    async with serve(root=drip) as url, asyncio.timeout(0.5):
        assert "did not answer" in finding(await probe(url, timeout="500ms"))


async def test_a_host_that_does_not_take_connections_is_critical() -> None:
    """A full backlog looks like a host that drops packets: no connection in time."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(address)
        text = finding(await probe(f"http://127.0.0.1:{address[1]}", timeout="400ms"))
        for other in waiting:
            other.close()
    assert "in time" in text or "did not answer within" in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "broke off the connection"),
        (b"", "broke off the connection"),
        (b"220 mail.example ESMTP\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "does not answer in HTTP"),
    ],
    ids=["half a body", "nothing", "another protocol", "endless header", "impossible length"],
)
async def test_an_answer_that_is_none_is_critical(data: bytes, words: str) -> None:
    """What is not a whole HTTP answer is told in words that point to the cause."""
    async with serve_bytes(data) as url:
        assert words in finding(await probe(url))


async def test_a_reset_connection_is_critical() -> None:
    """A connection that is reset instead of answered is a finding."""
    async with serve_bytes(b"", reset=True) as url:
        assert "broke off the connection" in finding(await probe(url))


async def test_the_finding_names_the_samples_that_failed() -> None:
    """Of three samples the second failed, and the text says so."""
    statuses = iter([200, 500, 200])

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=next(statuses))

    async with serve(root=handler) as url:
        text = finding(await probe(url, samples=3))
    assert text == f"sample 2 of 3: {url}/ answered 500 instead of 2xx"


async def test_the_same_trouble_is_told_once() -> None:
    """Three samples with one fault are one finding."""
    async with serve(root=says("", 500)) as url:
        text = finding(await probe(url, samples=3))
    assert text == f"samples 1, 2, 3 of 3: {url}/ answered 500 instead of 2xx"


async def test_a_name_that_does_not_exist_is_critical(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name server's "no such name" is an answer: nobody can reach the service."""
    names(monkeypatch, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert "its host name does not exist" in finding(await probe("http://app.example"))


async def test_a_name_server_that_does_not_answer_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a resolver nothing was measured, and nothing is said about the service."""
    names(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    with pytest.raises(StepError, match=r"the name app\.example could not be looked up: Temporary"):
        await probe("http://app.example")


async def test_the_address_that_was_checked_is_the_one_that_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name is asked once a request, so a second answer cannot send the request elsewhere."""
    asked = names(monkeypatch, ["127.0.0.1"])
    async with serve(root=says("")) as url:
        measured = await probe(url.replace("127.0.0.1", "app.example"))
    assert (measured.values["status"], asked) == (200, ["app.example"])


async def test_the_service_is_asked_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Host header has the name and port of the address, not the IP address."""
    names(monkeypatch, ["127.0.0.1"])

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.headers["Host"])

    async with serve(root=handler) as url:
        port = url.rsplit(":", 1)[1]
        measured = await probe(f"http://app.example:{port}", body_contains=f"app.example:{port}")
    assert measured.findings == ()


async def test_one_forbidden_address_of_a_name_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a metadata address among its addresses is not called at all."""
    names(monkeypatch, ["127.0.0.1", "169.254.169.254"])
    with pytest.raises(StepError, match=r"app\.example is 169\.254\.169\.254, a link-local"):
        await probe("http://app.example")


async def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses is up when one of them answers."""
    names(monkeypatch, ["::1", "127.0.0.1"])
    async with serve(root=says("")) as url:
        assert (await probe(url.replace("127.0.0.1", "app.example"))).findings == ()


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]", "0.0.0.0"])
async def test_a_metadata_address_is_never_called(host: str) -> None:
    """However it is written in maint.yaml, such an address is refused before a packet leaves."""
    with pytest.raises(StepError, match="which Maint never calls"):
        await probe(f"http://{host}/latest/meta-data/")


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe goes straight to its target."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serve(root=says("")) as url:
        assert (await probe(url)).findings == ()


async def test_an_exhausted_machine_is_unknown() -> None:
    """When this process may open no more files, nothing was measured about the service."""
    async with serve(root=says("")) as url:
        await probe(url)  # what is imported and opened once is there now
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        service.listen()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            with pytest.raises(
                StepError, match="this machine could not open a connection: Too many open files"
            ):
                await probe(f"http://127.0.0.1:{service.getsockname()[1]}")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_cancelled_probe_stops_at_once() -> None:
    """Cancelling a probe ends it, as CancelledError."""
    async with serve(root=never) as url:
        task = asyncio.create_task(probe(url))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)
