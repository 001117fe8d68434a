"""The runbooks that ship, in the demo: one person asks, another one approves, and the shop is changed."""

import json
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from bot.demo.demo import Running
from bot.sandbox import Message
from tests.demo.conftest import newest

ROLLOUT = "deploy-rollout target=shop soak=1s every=1s watch=1s watch-every=1s version="


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace takes as many messages as it is sent."""
    monkeypatch.setattr("runbooks.records.cards.INTERVAL", 0.05)


async def told(up: Running, path: str) -> dict[str, object]:
    """What the shop answers there."""
    async with aiohttp.ClientSession(up.shop) as client, client.get(path) as answer:
        return dict(json.loads(await answer.text()))


async def card_of(up: Running, line: str, words: str) -> Message:
    """The card of a run that sre1 asks for."""
    await up.sandbox.slash("sre1", "ops", f"/maint run {line}")
    return await up.sandbox.wait_for(lambda: newest(up, words), 10)


async def shows(up: Running, card: Message, words: str) -> str:
    """What the card shows once it has those words."""
    try:
        await up.sandbox.wait_for(lambda: words in card.shown, 20)
    except TimeoutError:
        raise AssertionError(f"no {words!r} in {card.shown}") from None
    return card.shown


async def approve_all(up: Running, card: Message, done: Callable[[], bool]) -> list[str]:
    """sre2 presses Approve as often as the card asks, until it is so; what the card showed then."""
    seen: list[str] = []

    def asks() -> bool:
        return done() or ("maint:approve" in str(card.blocks) and card.shown not in seen)

    while True:
        try:
            await up.sandbox.wait_for(asks, 30)
        except TimeoutError:
            raise AssertionError(card.shown) from None
        if done():
            return seen
        seen.append(card.shown)
        await up.sandbox.click("sre2", card, "Approve")
        await up.sandbox.wait_for(lambda: done() or card.shown != seen[-1], 10)


async def test_a_good_version_goes_through_its_stages(demo: Running) -> None:
    """10, 25, 50 and 100 %, each one approved by somebody else, and then it is watched."""
    card = await card_of(demo, f"{ROLLOUT}2.1.0", "Gradual rollout of 2.1.0 on shop")
    await approve_all(demo, card, lambda: "Done" in card.shown)

    assert await told(demo, "/rollout") == {"version": "2.1.0", "weight": 100}


async def test_the_broken_release_takes_itself_back(demo: Running) -> None:
    """Its first stage finds that it fails, and the shop is as it was before."""
    before = await told(demo, "/rollout")
    card = await card_of(demo, f"{ROLLOUT}2.0.1", "Gradual rollout of 2.0.1 on shop")
    await approve_all(demo, card, lambda: "Rolled back" in card.shown)

    assert await told(demo, "/rollout") == before
    assert "instead of 2xx" in card.shown


async def test_a_rollback_gives_all_traffic_to_a_version_that_was_good(demo: Running) -> None:
    """At once, after an approval."""
    line = 'rollback target=shop version=2.0.0 reason="orders fail" soak=1s every=1s'
    card = await card_of(demo, line, "Back to 2.0.0 on shop")
    await approve_all(demo, card, lambda: "Done" in card.shown)

    assert await told(demo, "/rollout") == {"version": "2.0.0", "weight": 100}


async def test_the_postman_is_restarted(demo: Running) -> None:
    """Another process carries the parcels afterwards."""
    file = demo.folder / "postman.json"
    await demo.sandbox.wait_for(file.exists, 10)
    before = pid(file)
    card = await card_of(demo, 'restart-service reason="he is slow"', "Restart the postman")
    await shows(demo, card, "Done")

    assert pid(file) != before


def pid(file: Path) -> int:
    """The postman's process."""
    return int(json.loads(file.read_text())["pid"])


async def test_more_workers_are_given_and_many_need_an_approval(demo: Running) -> None:
    """Four are there at once; twenty only when somebody else says so; undoing gives the four back."""
    card = await card_of(demo, 'scale-service workers=4 reason="a quiet day"', "with 4 workers")
    await shows(demo, card, "Done")
    assert await told(demo, "/workers") == {"workers": 4}

    many = await card_of(demo, 'scale-service workers=20 reason="a sale"', "with 20 workers")
    await shows(demo, many, "So many workers")
    assert await told(demo, "/workers") == {"workers": 4}
    await approve_all(demo, many, lambda: "Done" in many.shown)
    assert await told(demo, "/workers") == {"workers": 20}

    await demo.sandbox.click("sre1", many, "Roll back")
    (form,) = await demo.sandbox.wait_for(lambda: demo.sandbox.views("sre1"), 10)
    await demo.sandbox.submit("sre1", form, {"said": "the sale is over"})
    await demo.sandbox.wait_for(lambda: newest(demo, "undoes run"), 10)
    undone = newest(demo, "undoes run")
    assert undone is not None
    await shows(demo, undone, "Rolled back")
    assert await told(demo, "/workers") == {"workers": 4}
