"""`http.probe` against services that answer: times, samples, bodies, headers, fields."""

import asyncio
import gzip
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
from runbooks.targets import HttpTarget
from tests.steps.probing import finding, probe
from tests.steps.serving import says, serve


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


async def test_probes_that_run_together_wait_together() -> None:
    """Twelve probes of a slow service take far less than twelve times as long as one."""
    async with serve(root=after(0.25)) as url:
        started = time.perf_counter()
        await asyncio.gather(*(probe(url) for _ in range(12)))
        took = time.perf_counter() - started
    assert took < 12 * 0.25 / 2


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


async def test_the_targets_headers_are_sent() -> None:
    """A header of the target reaches the service in clear."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.headers.get("Authorization", ""))

    async with serve(root=handler) as url:
        measured = await probe(
            url, target={"headers": {"Authorization": SecretStr("Bearer x1")}}, body_contains="Bearer x1"
        )
    assert measured.findings == ()


@pytest.mark.parametrize("value", ["tok\nen", "tok\0en", "tokén", "token\r\nX: y"])
async def test_a_header_that_cannot_be_sent_is_told_without_its_value(value: str) -> None:
    """A secret with a line break in it is our mistake, and stays out of the error and its causes."""
    async with serve(root=says("")) as url:
        with pytest.raises(StepError) as caught:
            await probe(url, target={"headers": {"Authorization": SecretStr(value)}})
    assert "tok" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_every_sample_is_a_new_visitor() -> None:
    """A cookie that one answer sets is not sent with the next question."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(headers={"Set-Cookie": "seen=1"}, status=500 if request.cookies else 200)

    async with serve(root=handler) as url:
        assert (await probe(url, samples=2)).findings == ()


async def test_a_wrong_status_is_said_once() -> None:
    """It is in the finding, so the words beside the value do not repeat it."""
    async with serve(health=says("", 500)) as url:
        measured = await probe(url, path="/health")

    assert measured.findings == ((Status.CRITICAL, f"{url}/health answered 500 instead of 2xx"),)
    assert measured.summary == ""


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
