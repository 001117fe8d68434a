"""`http.probe` against real servers that behave well, badly, and maliciously."""

import asyncio
import gzip
import os
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.http import BODY_LIMIT, HttpProbe, percentile
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Measured
from runbooks.targets import HttpTarget
from tests.steps.serving import redirects, says, serve, serve_bytes


async def probe(url: str, *, headers: dict[str, SecretStr] | None = None, **fields: Any) -> Measured:
    """What a probe of that address measures."""
    target = HttpTarget(name="app", type="http", url=url, headers=headers or {})
    step = HttpProbe.model_validate(fields)
    return await step.measure(target, Reach(targets={"app": target}, connections=Connections()))


def finding(measured: Measured) -> str:
    """The text of the one critical finding."""
    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    return text


async def never(_: web.Request) -> web.StreamResponse:
    """Holds every caller for longer than any probe waits."""
    await asyncio.sleep(30)
    return web.Response()


def after(seconds: float) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that takes that long."""

    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.Response(text="ok")

    return handler


def test_the_kind_is_registered() -> None:
    """`http.probe` in a runbook is this step."""
    assert CHECKS["http.probe"] is HttpProbe


async def test_a_healthy_service_has_no_finding() -> None:
    """A 200 is measured and nothing is found wrong."""
    async with serve(root=says("fine")) as url:
        measured = await probe(url)
    assert (measured.values["status"], measured.values["failures"], measured.findings) == (200, 0, ())


async def test_the_time_is_that_of_the_whole_answer() -> None:
    """Injected slowness shows in the response time, in milliseconds."""
    async with serve(root=after(0.1)) as url:
        measured = await probe(url)
    assert 100 <= float(measured.values["elapsed_ms"] or 0) < 1000


async def test_the_targets_health_path_is_asked_for_by_default() -> None:
    """Without a path of its own, a probe asks for the target's `health`."""
    async with serve(alive=says("")) as url:
        target = HttpTarget(name="app", type="http", url=url, health="/alive")
        measured = await HttpProbe().measure(target, Reach(targets={}, connections=Connections()))
    assert measured.values["status"] == 200


async def test_several_samples_give_percentiles() -> None:
    """One slow answer of five moves the maximum and the 95th percentile, not the median."""
    turns = iter([0.0, 0.0, 0.15, 0.0, 0.0])

    async def handler(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(next(turns))
        return web.Response()

    async with serve(root=handler) as url:
        values = (await probe(url, samples=5)).values
    assert float(values["p50_ms"] or 0) < 150 <= float(values["p95_ms"] or 0) == values["max_ms"]


async def test_the_headline_of_several_samples_is_their_median() -> None:
    """`elapsed_ms` equals `p50_ms`."""
    async with serve(root=says("")) as url:
        values = (await probe(url, samples=3)).values
    assert values["elapsed_ms"] == values["p50_ms"]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    values: list[float], percent: int
) -> None:
    """Nearest rank: at least `percent` of the values are at most it, and fewer are below it."""
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert sum(value <= found for value in ordered) * 100 >= percent * len(ordered)
    assert sum(value < found for value in ordered) * 100 < percent * len(ordered)


async def test_twelve_probes_at_once_take_as_long_as_one() -> None:
    """Probes that run together wait together."""
    async with serve(root=after(0.25)) as url:
        started = time.perf_counter()
        await asyncio.gather(*(probe(url) for _ in range(12)))
        took = time.perf_counter() - started
    assert took < 0.25 * 3


# --- down -------------------------------------------------------------------------------------------


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
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer in HTTP"),
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


# --- names ------------------------------------------------------------------------------------------


def names(monkeypatch: pytest.MonkeyPatch, answers: list[str] | OSError) -> list[str]:
    """Answers every look-up with these addresses and keeps the names asked for.

    A stand-in because the tests may ask no name server: a name that exists nowhere gives another error on
    every network.
    """
    asked: list[str] = []

    async def look_up(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        if isinstance(answers, OSError):
            raise answers
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    return asked


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
    names(monkeypatch, ["127.0.0.2", "127.0.0.1"])
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
    """When this process has no file left to open, nothing was measured about the service."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serve(root=says("")) as url:
        await probe(url)  # whatever is opened once is open now
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) - 1, hard))
        try:
            with pytest.raises(StepError, match="this machine could not open a connection"):
                await probe(url)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- the body ---------------------------------------------------------------------------------------


async def test_a_text_in_the_body_is_found() -> None:
    """`body_contains` is satisfied by the text anywhere in the body."""
    async with serve(root=says('{"status": "größer"}')) as url:
        assert (await probe(url, body_contains="größer")).findings == ()


async def test_a_missing_text_is_critical() -> None:
    """A 200 with another body than the expected one is a finding."""
    async with serve(root=says("It works!")) as url:
        assert finding(await probe(url, body_contains="ready")) == f"{url}/ answered 200, but without 'ready'"


async def test_a_pattern_is_searched_in_the_body() -> None:
    """`body_matches` is a regular expression."""
    async with serve(root=says("version 3.14")) as url:
        assert (await probe(url, body_matches=r"version \d\.\d+")).findings == ()


async def test_a_body_that_nothing_matches_is_critical() -> None:
    """A body without a match is a finding that shows the pattern."""
    async with serve(root=says("version x")) as url:
        assert "nothing matches 'v[0-9]'" in finding(await probe(url, body_matches="v[0-9]"))


async def test_a_pattern_that_would_search_for_hours_is_stopped() -> None:
    """A hostile body against a fragile pattern ends after a second, and the loop lives on meanwhile."""
    async with serve(root=says("a" * 50_000 + "!")) as url:
        with pytest.raises(StepError, match="use a simpler pattern"):
            await probe(url, body_matches="(a+)+$")


async def test_a_huge_body_is_read_up_to_the_limit() -> None:
    """A body of 64 MiB costs no more than its first part, and the text says what was searched."""
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1024):
            await response.write(b"x" * 65536)
            sent += 65536
        return response

    async with serve(root=handler) as url:
        text = finding(await probe(url, body_contains="needle"))
    assert text.endswith("but without 'needle' in its first 256 KiB")
    assert sent < 32 * BODY_LIMIT


async def test_a_bomb_is_not_unpacked() -> None:
    """A packed body that nobody asked for is not searched and not unpacked."""
    bomb = gzip.compress(b"\0" * 10_000_000)

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serve(root=handler) as url:
        with pytest.raises(StepError, match=r"came packed \(gzip\)"):
            await probe(url, body_contains="x")


async def test_a_packed_body_is_fine_when_nothing_is_searched() -> None:
    """Only a search needs the body in clear."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})

    async with serve(root=handler) as url:
        assert (await probe(url)).findings == ()


async def test_head_is_sent_as_such() -> None:
    """`method: HEAD` asks for no body."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if request.method == "HEAD" else 500)

    async with serve(root=handler) as url:
        assert (await probe(url, method="HEAD")).findings == ()


# --- redirects --------------------------------------------------------------------------------------


async def test_a_redirect_is_not_followed_unless_told() -> None:
    """A redirect is the answer, and one that nobody expected."""
    async with serve(root=redirects("/login"), login=says("")) as url:
        text = finding(await probe(url))
    assert text == f"{url}/ answered 302, a redirect to {url}/login, instead of 2xx"


async def test_a_redirect_on_the_same_host_is_followed_when_told() -> None:
    """With `follow_redirects` the last answer counts."""
    async with serve(root=redirects("/login"), login=says("in")) as url:
        assert (await probe(url, follow_redirects=True, body_contains="in")).values["status"] == 200


async def test_a_redirect_loop_ends() -> None:
    """A service that redirects to itself for ever is a finding."""
    async with serve(root=redirects("/")) as url:
        assert "a loop?" in finding(await probe(url, follow_redirects=True))


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:6379/",
        "//evil.example/",
        "http://127.0.0.1:1/",
        "http://user:pass@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_elsewhere_is_not_followed(location: str) -> None:
    """Another host, port or scheme is not visited, and the finding says how to allow it."""
    async with serve(root=redirects(location)) as url:
        assert "redirect_hosts" in finding(await probe(url, follow_redirects=True))


@pytest.mark.parametrize("location", ["http://[", "http://a:99999/", "http://\x7f/"])
async def test_a_redirect_that_cannot_be_read_is_critical(location: str) -> None:
    """A Location that is no address is the service's fault."""
    data = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    async with serve_bytes(data) as url:
        assert finding(await probe(url, follow_redirects=True))


async def test_a_listed_host_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`redirect_hosts` allows a host by the name and port that an address shows."""
    async with serve(root=says("there")) as there, serve(root=redirects(there)) as here:
        host = there.removeprefix("http://")
        measured = await probe(here, follow_redirects=True, redirect_hosts=[host], body_contains="there")
    assert measured.findings == ()


async def test_a_listed_host_is_checked_as_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect to an allowed name does not open a forbidden address."""
    names(monkeypatch, ["169.254.169.254"])
    async with serve_bytes(
        b"HTTP/1.1 302 Found\r\nLocation: http://cdn.example/\r\nContent-Length: 0\r\n\r\n"
    ) as url:
        port = url.rsplit(":", 1)[1]
        monkeypatch.undo()
        names_of = {"cdn.example": "169.254.169.254", "127.0.0.1": "127.0.0.1"}

        async def look_up(host: str, port: int, **_: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (names_of[host], port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        with pytest.raises(StepError, match=r"cdn\.example is 169\.254\.169\.254"):
            await probe(f"http://127.0.0.1:{port}", follow_redirects=True, redirect_hosts=["cdn.example"])


async def test_another_host_does_not_get_the_targets_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target's secrets go to its own host only."""
    names(monkeypatch, ["127.0.0.1"])

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"key={request.headers.get('X-Api-Key')}")

    async with serve(root=handler) as there:
        elsewhere = there.replace("127.0.0.1", "cdn.example")
        async with serve(root=redirects(elsewhere)) as here:
            measured = await probe(
                here,
                headers={"X-Api-Key": SecretStr("s3cret")},
                follow_redirects=True,
                redirect_hosts=[elsewhere.removeprefix("http://")],
                body_contains="key=None",
            )
    assert measured.findings == ()


# --- secrets and settings ---------------------------------------------------------------------------


async def test_the_targets_headers_are_sent() -> None:
    """A header of the target reaches the service in clear."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.headers.get("Authorization", ""))

    async with serve(root=handler) as url:
        measured = await probe(
            url, headers={"Authorization": SecretStr("Bearer x1")}, body_contains="Bearer x1"
        )
    assert measured.findings == ()


@pytest.mark.parametrize("value", ["tok\nen", "tok\0en", "tokén", "token\r\nX: y"])
async def test_a_header_that_cannot_be_sent_is_told_without_its_value(value: str) -> None:
    """A secret with a line break in it is our mistake, and stays out of the error and its causes."""
    async with serve(root=says("")) as url:
        with pytest.raises(StepError) as caught:
            await probe(url, headers={"Authorization": SecretStr(value)})
    assert "tok" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_the_query_of_a_path_is_not_shown() -> None:
    """Tokens travel in queries, so a finding shows the address without."""
    async with serve(health=says("", 500)) as url:
        assert "s3cret" not in finding(await probe(url, path="/health?token=s3cret"))


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "health"},
        {"path": "//evil.example/"},
        {"path": "/\\evil.example"},
        {"path": "/a b"},
        {"path": "http://evil.example/"},
        {"path": "@evil.example/"},
        {"samples": 0},
        {"samples": 21},
        {"method": "POST"},
        {"expect_status": []},
        {"expect_status": [99]},
        {"expect_status": ["2x"]},
        {"expect_status": [True]},
        {"body_matches": "("},
        {"body_contains": ""},
        {"method": "HEAD", "body_contains": "x"},
        {"redirect_hosts": ["a.example"]},
        {"warning": {"speed": {"above": 1}}},
        {"headers": {}},
    ],
    ids=str,
)
def test_a_step_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    """Faults are found when a runbook is loaded, not when it runs."""
    with pytest.raises(ValidationError):
        HttpProbe.model_validate(fields)


@pytest.mark.parametrize(
    "url", ["http://a.example?x=1", "http://a.example/#x", "http://a.example:99999", "http://a.example:0"]
)
def test_a_target_whose_address_cannot_take_a_path_is_refused(url: str) -> None:
    """An address that ends in a query, or has no port that exists, is a fault of maint.yaml."""
    with pytest.raises(ValidationError):
        HttpTarget(name="app", type="http", url=url)


async def test_a_cancelled_probe_stops_at_once() -> None:
    """Cancelling a probe ends it, as CancelledError."""
    async with serve(root=never) as url:
        task = asyncio.create_task(probe(url))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)
