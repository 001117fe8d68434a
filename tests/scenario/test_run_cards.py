"""The card of a run in the sandbox: one message, redrawn from the database, whatever happens to it."""

import asyncio
from pathlib import Path

import pytest

from bot.sandbox import Message, Sandbox
from tests.scenario.conftest import Site, floor_of, set_up
from tests.scenario.floor import Floor
from tests.scenario.test_program import serving

TWO = """
    name: two
    title: Two steps
    steps:
      - id: first
        command:
          target: here
          run: [sh, -c, 'echo first >> effects; {PRINT}']
          directory: DIR
          repeatable: true
      - id: go
        title: Go ahead
        gate: {approvers: [sre]}
      - id: second
        command: {target: here, run: [sh, -c, 'echo second >> effects'], directory: DIR, repeatable: true}
"""
SHORT, LONG = "echo fifty files copied", "seq 1 20000"


def two(floor: Floor, printing: str = SHORT) -> None:
    """A runbook whose first step prints that."""
    floor.runbook("two", TWO.replace("{PRINT}", printing))


async def test_one_message_per_run_and_output_in_its_thread(any_floor: Floor) -> None:
    """It is redrawn in place; what a step printed stands in the thread."""
    floor = any_floor
    two(floor)
    async with floor.open():
        card = await floor.start("two", card="Two steps")
        await floor.shows(card, "Waits for approval")
        await floor.replies(card, "fifty files copied")
        await floor.press("sre1", card, "Approve")
        await floor.shows(card, "Done")
    cards = [each for each in floor.sandbox.messages("ops") if not each.thread_ts]
    assert cards == [card]
    assert len(card.history) > 1


async def test_long_output_is_a_file(floor: Floor) -> None:
    """Above a size it goes up as a file, into the thread."""
    two(floor, LONG)
    async with floor.open():
        card = await floor.start("two", card="Two steps")
        await floor.until(lambda: floor.sandbox.files, lambda: card.shown)
    (file,) = floor.sandbox.files
    assert b"1\n2\n3\n" in (file.content or b"")


async def test_a_card_that_was_deleted_by_hand_is_posted_again(floor: Floor) -> None:
    """At the next change, with the buttons of the moment."""
    two(floor)
    async with floor.open():
        card = await floor.start("two", card="Two steps")
        await floor.shows(card, "Waits for approval")
        run = (await floor.view(card)).run.id[-8:]
        floor.sandbox.workspace.delete(card)
        await floor.type("sre1", f"approve {run}")
        again = await floor.card("Two steps")
        await floor.shows(again, "Done", "approved by sre1")
    assert again.ts != card.ts


async def test_after_a_restart_every_open_card_is_reconciled(any_floor: Floor) -> None:
    """One that somebody deleted while nobody was there comes back, and what it asks can be answered."""
    floor = any_floor
    two(floor)
    async with floor.open():
        card = await floor.start("two", card="Two steps")
        await floor.shows(card, "Waits for approval")
    floor.sandbox.workspace.delete(card)
    async with floor.open():
        again = await floor.card("Two steps")
        await floor.press("sre1", again, "Approve")
        await floor.shows(again, "Done")
    assert floor.effects() == ["first", "second"]


async def test_no_dead_button_stays_after_a_run_was_changed_elsewhere(floor: Floor) -> None:
    """A click that the card cannot show any more is told how it is now."""
    two(floor)
    async with floor.open():
        card = await floor.start("two", card="Two steps")
        await floor.shows(card, "Waits for approval")
        run = (await floor.view(card)).run.id[-8:]
        await floor.type("admin", f'cancel {run} "not today"')
        await floor.until(lambda: not floor.offers(card, "approve"), lambda: card.shown)
        await floor.press("sre1", card, "Approve", stale=True)
        await floor.told("sre1", "Too late")
    assert floor.effects() == ["first"]


@pytest.mark.usefixtures("quick_slack")
async def test_two_replicas_draw_one_card_and_count_a_click_once(
    sandbox: Sandbox, site: Site, tmp_path: Path, postgres_url: str
) -> None:
    """Whichever takes the click, whichever carries the run: one message, each effect once."""
    floor = floor_of(set_up(sandbox, site, tmp_path, postgres_url), site)
    two(floor)
    floor.clock.as_it_is()
    async with floor.open(), serving(floor.workplace):
        cards = []
        for number in range(3):
            await floor.type("admin", "run two")
            await floor.until(lambda n=number: len(top(floor)) == n + 1, lambda: str(top(floor)))  # type: ignore[misc]
            cards.append(top(floor)[-1])
        for card in cards:
            await floor.shows(card, "Waits for approval")
            await asyncio.gather(*(floor.press(who, card, "Approve") for who in ("sre1", "sre2")))
        for card in cards:
            await floor.shows(card, "Done")
    assert len(top(floor)) == 3
    assert sorted(floor.effects()) == ["first"] * 3 + ["second"] * 3
    assert sorted(outcome for _, outcome in await floor.audited("gate.approve")) == ["late"] * 3 + ["ok"] * 3


def top(floor: Floor) -> list[Message]:
    """What stands in the channel itself, for everybody."""
    return [each for each in floor.sandbox.messages("ops") if not each.thread_ts]
