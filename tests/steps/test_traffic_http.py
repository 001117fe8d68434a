"""Traffic moved by HTTP calls: what is sent, what is read, and what is said when it cannot be."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from runbooks.errors import StepError
from runbooks.steps.traffic import driver_of
from tests.steps.moving import app_at, call_with
from tests.steps.serving import says, serve

TRAFFIC: dict[str, Any] = {
    "get": {"path": "/rollout", "weight": "/canary/0/weight", "version": "/canary/0/version"},
    "set": {
        "method": "PUT",
        "path": "/rollout",
        "json": {"canary": [{"version": "{version}", "weight": "{weight}"}], "reason": "a rollout"},
    },
}


@dataclass
class Balancer:
    """A load balancer's interface: tells what was put."""

    state: dict[str, Any] = field(default_factory=lambda: {"canary": [{"version": "1.9.0", "weight": "100"}]})
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.requests.append((request.method, request.headers.get("Authorization", ""), body))
        if request.method != "GET":
            self.state = json.loads(body)
        return web.json_response(self.state)


async def test_values_are_put_into_their_places_with_their_types() -> None:
    """The weight is a number, the version a text, and what is no placeholder stays."""
    balancer = Balancer()
    async with serve(rollout=balancer.handle) as url:
        target = app_at(url, {"http": TRAFFIC}, headers={"Authorization": "Bearer t0ken-of-ours"})
        async with call_with(target) as call:
            await driver_of(target).set(target, '2.0.0", "weight": 100', 12.5, call)
            await driver_of(target).set(target, "2.0.0", 25.0, call)

    first, second = (json.loads(body) for _, _, body in balancer.requests)
    assert first["canary"] == [{"version": '2.0.0", "weight": 100', "weight": 12.5}]
    assert second == {"canary": [{"version": "2.0.0", "weight": 25}], "reason": "a rollout"}
    assert {(method, header) for method, header, _ in balancer.requests} == {("PUT", "Bearer t0ken-of-ours")}


async def test_what_was_read_is_what_is_restored() -> None:
    """Also when another version was the new one before."""
    balancer = Balancer()
    async with serve(rollout=balancer.handle) as url:
        target = app_at(url, {"http": TRAFFIC})
        driver = driver_of(target)
        async with call_with(target) as call:
            recorded = await driver.read(target, "2.0.0", call)
            await driver.set(target, "2.0.0", 25, call)
            moved = await driver.read(target, "2.0.0", call)
            await driver.restore(target, recorded, call)
            restored = await driver.read(target, "2.0.0", call)

    assert (recorded.version, recorded.weight) == ("1.9.0", 100)
    assert (moved.version, moved.weight) == ("2.0.0", 25)
    assert restored == recorded


async def test_a_form_is_sent_and_the_page_after_it_is_not_followed() -> None:
    """As browsers send one; 303 means that it was taken."""
    forms: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.StreamResponse:
        forms.append(dict(await request.post()))
        raise web.HTTPSeeOther("/elsewhere")

    traffic = {
        "get": {"path": "/w"},
        "set": {"method": "POST", "path": "/switches", "form": {"weight_percent": "{weight}"}},
    }
    async with serve(switches=take, w=says('{"weight": 25}')) as url:
        target = app_at(url, {"http": traffic})
        async with call_with(target) as call:
            await driver_of(target).set(target, "2.0.0", 25, call)
            live = await driver_of(target).read(target, "2.0.0", call)

    assert forms == [{"weight_percent": "25"}]
    assert (live.version, live.weight) == (None, 25)


async def test_the_interface_may_be_another_target() -> None:
    """Where the traffic is moved is not where it goes."""
    balancer = Balancer()
    async with serve(rollout=balancer.handle) as url:
        target = app_at("http://127.0.0.1:9", {"http": {**TRAFFIC, "target": "balancer"}})
        interface = app_at(url, None).model_copy(update={"name": "balancer"})
        async with call_with(target, interface) as call:
            assert (await driver_of(target).read(target, "2.0.0", call)).weight == 100
        async with call_with(target) as call:
            with pytest.raises(StepError, match="balancer is no http target"):
                await driver_of(target).read(target, "2.0.0", call)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("oops", 200, "but not in JSON: oops"),
        ("{}", 200, "has nothing at /canary/0/weight"),
        ('{"canary": []}', 200, "has nothing at /canary/0/weight"),
        ('{"canary": [{"weight": 101, "version": "1"}]}', 200, "tells no weight from 0 to 100 but '101'"),
        ('{"canary": [{"weight": true, "version": "1"}]}', 200, "tells no weight from 0 to 100 but 'True'"),
        ('{"canary": [{"weight": NaN, "version": "1"}]}', 200, "tells no weight"),
        ('{"canary": [{"weight": 1, "version": {}}]}', 200, "tells no version"),
        ("no\x1b[2J entry", 403, r"answered 403: no\\x1b"),
        ("", 500, r"answered 500: \(an empty body\)"),
    ],
)
async def test_an_answer_that_says_nothing_is_an_error(body: str, status: int, words: str) -> None:
    """It names the call, and what came instead."""
    async with serve(rollout=says(body, status)) as url:
        target = app_at(url, {"http": TRAFFIC})
        async with call_with(target) as call:
            with pytest.raises(StepError, match=words) as raised:
                await driver_of(target).read(target, "2.0.0", call)

    assert "/rollout" in str(raised.value)


async def test_an_interface_that_is_away_is_an_error() -> None:
    """Nobody listens there."""
    target = app_at("http://127.0.0.1:9", {"http": TRAFFIC})
    async with call_with(target) as call:
        with pytest.raises(StepError, match=r"PUT http://127\.0\.0\.1:9/rollout: app refused the connection"):
            await driver_of(target).set(target, "2.0.0", 25, call)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"json": {"weight": "25"}}, "every stage would do the same"),
        ({"json": {"weight": "w={weight}"}}, "a value of its own"),
        ({"json": {"weight": "{weight}", "path": "/v/{version}"}}, "a value of its own"),
        ({"json": None}, "has either `json:` or `form:`"),
        ({"form": {"w": "{weight}"}}, "has either `json:` or `form:`"),
        ({"method": "GET"}, "'POST', 'PUT' or 'PATCH'"),
        ({"path": "rollout"}, "match pattern"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    """When the settings are read, with what is wrong."""
    with pytest.raises(ValueError, match=words):
        app_at("http://localhost", {"http": {**TRAFFIC, "set": {**TRAFFIC["set"], **changes}}})


def test_the_plan_shows_the_call() -> None:
    """With its values, and no header."""
    target = app_at("http://localhost", {"http": TRAFFIC}, headers={"Authorization": "Bearer t0ken-of-ours"})

    assert driver_of(target).lines(target, "2.0.0", 25.0) == (
        'PUT /rollout with {"canary": [{"version": "2.0.0", "weight": 25}], "reason": "a rollout"}',
    )
