"""The shop's traffic, moved by the driver for HTTP as the demo's settings have it."""

import json

import pytest

from bot.demo.settings import TRAFFIC
from runbooks.steps.action import Call
from runbooks.steps.reach import Connections
from runbooks.steps.traffic import driver_of
from runbooks.targets import HttpTarget
from tests.demo.conftest import Open


async def test_the_shops_traffic_is_moved_and_put_back(shop: Open) -> None:
    """A rollout reads what is there, sets a release and its weight, and restores exactly what was there."""
    await shop.turn(weight_percent=5)
    target = HttpTarget.model_validate(
        {"type": "http", "name": "shop", "url": shop.address, "traffic": TRAFFIC}
    )
    driver = driver_of(target)
    async with Connections() as connections:
        call = Call(targets={"shop": target}, connections=connections, key="k", run="r", requester="Ann")
        recorded = await driver.read(target, "2.1.0", call)
        await driver.set(target, "2.1.0", 25, call)
        moved = await driver.read(target, "2.1.0", call)
        told = json.loads((await shop.ask("GET", "/rollout")).body)
        await driver.restore(target, recorded, call)
        restored = await driver.read(target, "2.1.0", call)

    assert (recorded.version, recorded.weight) == ("2.0.0", 5)
    assert (moved.version, moved.weight) == ("2.1.0", 25)
    assert told == {"version": "2.1.0", "weight": 25}
    assert restored == recorded


async def test_the_broken_release_answers_nobody(shop: Open) -> None:
    """Only those whom it answers notice, the health page included; version 1 goes on."""
    put = await shop.ask("PUT", "/rollout", json={"version": "2.0.1", "weight": 100})
    broken = (await shop.ask("GET", "/health")).status
    await shop.ask("PUT", "/rollout", json={"version": "2.0.1", "weight": 0})

    assert put.status == 200
    assert broken == 500
    assert (await shop.ask("GET", "/health")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        '{"version": "2.0.0", "weight": 101}',
        '{"version": "$(rm)", "weight": 1}',
        '{"weight": 1}',
        '{"version": "2.0.0", "weight": 1, "slow_ms": 9000}',
        "[1]",
        "no",
    ],
)
async def test_what_is_wrong_is_said_and_moves_nothing(shop: Open, body: str) -> None:
    """A weight above 100, a version that is none, a switch that is none of a rollout's."""
    answer = await shop.ask("PUT", "/rollout", data=body)

    assert answer.status == 400
    assert json.loads((await shop.ask("GET", "/rollout")).body) == {"version": "2.0.0", "weight": 0}


async def test_other_names_of_this_machine_move_nothing(shop: Open) -> None:
    """A page whose name was made to lead here."""
    answer = await shop.ask(
        "PUT", "/rollout", json={"version": "2.0.0", "weight": 9}, headers={"Host": "evil.example"}
    )

    assert answer.status == 403
