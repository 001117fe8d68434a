"""Deliveries in any order, repeated, in batches of any size: the database ends as with the right order."""

import random
from datetime import timedelta
from typing import Any

import pytest

from bot.hooks.alertmanager import Alertmanager
from bot.hooks.receiving import Receiving
from bot.hooks.told import Known
from tests.hooks.sending import TOKEN, alert, payload
from tests.watch.conftest import START, Post, post

__all__ = ["post"]

KNOWN = Known(targets={}, runbooks=())
HOOK = Alertmanager.model_validate({"type": "alertmanager", "token": TOKEN})


def story(chance: random.Random) -> list[dict[str, Any]]:
    """What happened to four alerts, one delivery each time that one of them changed."""
    told = []
    for number in range(4):
        at = START - timedelta(hours=9)
        for _ in range(chance.randint(1, 3)):
            at += timedelta(minutes=chance.choice([1, 7, 50]))
            begun, at = at, at + timedelta(minutes=chance.choice([1, 7, 50]))
            labels = {"instance": f"web-{number}"}
            prints = {"fingerprint": f"{number:016x}"}
            told += [(begun, alert(labels, begun, **prints)), (at, alert(labels, begun, at, **prints))]
        if chance.random() < 0.5:
            told.pop()  # it goes on
    return [each for _, each in sorted(told, key=lambda pair: pair[0])]


async def deliver(post: Post, hook: str, alerts: list[dict[str, Any]], chance: random.Random) -> None:
    """Sends them to a hook of that name, some together."""
    receiving = Receiving({hook: HOOK}, KNOWN, post.records, post.alerts, lambda: post.now)
    while alerts:
        many = chance.randint(1, 3)
        told = HOOK.read(hook, payload(alerts[:many]), KNOWN, post.now)
        await receiving.keep(hook, told)
        alerts = alerts[many:]


async def ends(post: Post, hook: str) -> dict[str, tuple[bool, str]]:
    """Of each alert, whether it is open, and which firing was the last."""
    rows = [each for each in await post.open("firing", "resolved") if each.source == hook]
    found: dict[str, tuple[bool, str]] = {}
    for row in rows:
        kept = found.get(row.target, (False, ""))
        found[row.target] = max(kept, (row.is_open, row.external_key))
    return found


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_of_deliveries_ends_in_the_same_rows(post: Post, seed: int) -> None:
    """The same to two hooks, to one of them as a bad network would."""
    chance = random.Random(seed)
    right = story(chance)
    wrong = right + chance.choices(right, k=5)
    chance.shuffle(wrong)
    await deliver(post, "right", right, chance)
    await deliver(post, "wrong", wrong, chance)

    assert await ends(post, "right") == await ends(post, "wrong")


async def test_what_is_told_again_changes_nothing(post: Post) -> None:
    """Whenever one of a group changes, Alertmanager tells of all: no row is written, no card drawn."""
    receiving = Receiving({"am": HOOK}, KNOWN, post.records, post.alerts, lambda: post.now)
    told = HOOK.read("am", payload([alert({"instance": "web-1"}, START)]), KNOWN, post.now)
    await receiving.keep("am", told)
    (before,) = await post.open()
    for _ in range(3):
        await receiving.keep("am", told)

    assert await post.open() == (before,)
