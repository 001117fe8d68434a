"""The cards of runs are equal to the database, whatever happens to Slack, to people or to replicas."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import select

from bot.slack import board as board_module
from bot.slack.pace import UPDATES, posts
from runbooks.records.run_tables import budgets
from runbooks.records.run_tables import outbox as outbox_table
from runbooks.records.schema import cards as cards_table
from runbooks.scrub import Scrubber
from tests.slack.conftest import ALERTS, OPS, Runs

HOSTILE = "<!channel> <@U0000ADMIN> *bold* `code` \u202e"


async def test_a_run_has_one_card_that_follows_it(place: Runs) -> None:
    """It is posted once, and edited in place as the run goes on."""
    async with place.drawing():
        run = await place.begin()
        card = await place.shows("Running")
        await place.change(run, state="succeeded", ended_at=datetime.now(UTC), priority=2)
        await place.shows("Done")

    assert place.cards() == [card]
    assert len(card.history) == 2


async def test_changes_in_quick_succession_are_one_drawing(place: Runs) -> None:
    """The latest wins: a card is drawn at most every second and a half."""
    async with place.drawing() as board:
        run = await place.begin()
        card = await place.shows("Running")
        for number in range(20):
            await place.change(run, note=f"note {number}.")
            board.nudge()
            await asyncio.sleep(0.05)
        await place.shows("note 19.")

    gaps = [later.time - earlier.time for earlier, later in pairwise(card.history)]
    assert all(gap >= 1.4 for gap in gaps)
    assert len(card.history) <= 4


async def test_buttons_disappear_with_what_they_decide(place: Runs) -> None:
    """Decided anywhere, the card is redrawn and nothing dead is left to press."""
    async with place.drawing():
        run = await place.begin()
        ask = await place.ask(run, title="Promote?")
        card = await place.shows("Promote?")
        with_buttons = {button["action_id"] for button in buttons(card.blocks)}
        await place.answer(run, ask, "approve", "sre2")
        left = {"maint:details", "maint:cancel", "maint:audit"}
        await place.sandbox.wait_for(lambda: {each["action_id"] for each in buttons(card.blocks)} == left, 15)

    assert {"maint:approve", "maint:reject"} <= with_buttons


def buttons(blocks: list[dict[str, object]]) -> list[dict[str, object]]:
    """The buttons of a message."""
    found: list[dict[str, object]] = []
    for block in blocks:
        if block["type"] == "actions":
            found += block["elements"]  # type: ignore[arg-type]
    return found


async def test_a_gate_has_a_card_in_its_own_channel(place: Runs) -> None:
    """With the buttons, and a link to the run's card; both are redrawn when it is decided."""
    async with place.drawing():
        run = await place.begin()
        ask = await place.ask(run, channel=ALERTS, title="May we?")
        gate = await place.shows("May we?", "alerts")
        own = await place.shows("May we?")
        await place.sandbox.wait_for(lambda: place.sandbox.workspace.permalink(own) in str(gate.blocks), 15)
        await place.answer(run, ask, "approve", "sre2")
        await place.shows("Approved by sre2", "alerts")

    assert buttons(gate.blocks) == []


async def test_a_card_that_somebody_deleted_is_posted_again(place: Runs) -> None:
    """As soon as it is to be redrawn."""
    web = AsyncWebClient(token=place.sandbox.bot_token, base_url=place.sandbox.api_url)
    async with place.drawing():
        run = await place.begin()
        card = await place.shows("Running")
        await web.chat_delete(channel=OPS, ts=card.ts)
        await place.change(run, note="afterwards")
        again = await place.shows("afterwards")

    assert again.ts != card.ts
    assert place.cards() == [again]


async def test_a_start_mends_what_happened_meanwhile(place: Runs) -> None:
    """A card that was deleted, or shows something else than the database, while nobody was there."""
    web = AsyncWebClient(token=place.sandbox.bot_token, base_url=place.sandbox.api_url)
    async with place.drawing():
        await place.begin(title="First run")
        await place.begin(title="Second run")
        first, second = await place.shows("First run"), await place.shows("Second run")
    await web.chat_delete(channel=OPS, ts=first.ts)
    metadata = {"event_type": "maint_card", "event_payload": {"card": card_id(second.metadata), "version": 7}}
    await web.chat_update(channel=OPS, ts=second.ts, text="old", blocks=[], metadata=metadata)
    async with place.drawing():
        await place.shows("First run")
        await place.shows("Second run")

    assert len(place.cards()) == 2


def card_id(metadata: dict[str, dict[str, str]] | None) -> str:
    """The id that a card carries."""
    assert metadata is not None
    return metadata["event_payload"]["card"]


async def test_two_replicas_do_not_draw_twice(place: Runs) -> None:
    """One post for each card, and one edit for each version."""
    async with place.drawing(boards=3):
        found = [await place.begin(channel=channel) for channel in (OPS, ALERTS)]
        await place.shows("Running")
        await place.shows("Running", "alerts")
        await asyncio.gather(*(place.change(run, note="changed") for run in found))
        await place.shows("changed")
        await place.shows("changed", "alerts")
        await asyncio.sleep(2.5)  # what would be drawn twice would be drawn by now

    assert (place.count("chat.postMessage"), place.count("chat.update")) == (2, 2)


async def test_an_approval_is_drawn_before_progress(place: Runs) -> None:
    """However many cards have a step to show."""
    found = [await place.begin(channel=ALERTS, priority=0) for _ in range(3)]
    urgent = await place.begin(channel=ALERTS, title="Urgent", priority=0)
    del found
    await place.change(urgent, priority=3, note="decide")
    async with place.drawing():
        await place.shows("decide", "alerts")

    assert "Urgent" in place.cards("alerts")[0].shown


async def test_slack_says_too_often_and_is_left_alone(place: Runs) -> None:
    """A 429 stops that budget for all replicas for as long as Slack said; then the latest is drawn."""
    async with place.drawing(boards=2):
        run = await place.begin()
        await place.shows("Running")
        place.sandbox.fault("chat.update", "ratelimited", seconds=3)
        await place.change(run, note="first")
        await place.sandbox.wait_for(lambda: place.count("chat.update"), 10)
        for number in range(5):
            await place.change(run, note=f"later {number}", priority=3)
        card = await place.shows("later 4", timeout=20)

    assert place.count("chat.update") == 2  # the one that was refused, and one for everything since
    assert len(card.history) == 2


async def test_slacks_own_limits_are_kept(place: Runs) -> None:
    """Runs that begin together in one channel are not refused but now and then: the sandbox counts a second
    to the millisecond, and a busy machine delays a call."""
    place.sandbox.rate_limits()
    async with place.drawing(boards=2):
        found = [await place.begin(title=f"Run {number}.") for number in range(6)]
        for run in found:
            await place.change(run, note="and on")
        for number in range(6):
            await place.shows(f"Run {number}.", timeout=30)

    assert len([call for call in place.sandbox.calls if call.answer.get("error") == "ratelimited"]) <= 2


@pytest.mark.parametrize("trouble", ["drop_after", "server_error", "drop_before"])
async def test_a_post_whose_answer_was_lost_is_not_sent_twice(
    place: Runs, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for by what it carries, whatever had happened to it."""
    monkeypatch.setattr(board_module, "RETRY", 0.1)
    place.sandbox.fault("chat.postMessage", trouble)
    async with place.drawing():
        await place.begin()
        card = await place.shows("Running")
        await settled(place)

    assert place.cards() == [card]
    assert place.count("conversations.history")


async def settled(place: Runs) -> None:
    """Returns when the database says that every card shows what it should."""
    for _ in range(200):
        rows = await place.records.read(lambda connection: connection.execute(select(cards_table)).all())
        if all(row.drawn >= row.wanted and row.ts for row in rows):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(rows)


async def test_a_channel_without_the_bot_costs_no_other_run_its_card(place: Runs) -> None:
    """The card is given up until the run changes; by then somebody may have invited the bot."""
    async with place.drawing():
        lost = await place.begin(channel="C0000RANDOM", title="Elsewhere")
        await place.begin(title="Here")
        await place.shows("Here")
        tries = place.count("chat.postMessage")
        place.sandbox.workspace.channel("random").members.append("U0000MAINT")
        await place.change(lost, note="again")
        await place.shows("again", "random")

    assert tries <= 2


async def test_output_goes_to_the_thread_and_a_long_one_becomes_a_file(place: Runs) -> None:
    """Short pieces of one run are one message."""
    async with place.drawing():
        run = await place.begin()
        card = await place.shows("Running")
        for number in range(3):
            await place.put(run, "output", name=f"step {number}", text=f"line of {number}")
        await place.put(run, "output", name="big.log", text="x" * 5000)
        replies = await place.sandbox.wait_for(
            lambda: r if len(r := place.sandbox.thread(card)) >= 2 else None, 15
        )

    shown = [reply.shown for reply in replies if not reply.files]
    assert len(shown) == 1
    assert all(f"line of {number}" in shown[0] for number in range(3))
    assert [len(file.content or b"") for file in place.sandbox.files] == [5000]


async def test_a_reminder_for_several_calls_all_of_them(place: Runs) -> None:
    """A gate's approvers come as one text, with spaces in between."""
    async with place.drawing():
        run = await place.begin()
        card = await place.shows("Running")
        await place.put(run, "reminder", mention="sre oncall", text="waits for you")
        (reply,) = await place.sandbox.wait_for(lambda: place.sandbox.thread(card), 15)

    assert "S000000SRE" in str(reply.blocks)
    assert "U00000SRE1" in str(reply.blocks)


async def test_a_reminder_calls_those_it_is_for(place: Runs) -> None:
    """People and usergroups are mentioned; nothing in the text is."""
    async with place.drawing():
        run = await place.begin()
        card = await place.shows("Running")
        await place.put(run, "reminder", mention="sre", text=f"waits for you {HOSTILE}")
        (reply,) = await place.sandbox.wait_for(lambda: place.sandbox.thread(card), 15)

    assert "S000000SRE" in str(reply.blocks)
    assert "U0000ADMIN" not in str([block for block in reply.blocks if "usergroup" in str(block)])
    assert "<!channel>" not in reply.text
    assert not reply.broadcast


async def test_a_message_for_a_channel_by_its_name_in_maint_yaml(place: Runs) -> None:
    """It needs no card, and no thread."""
    async with place.drawing():
        run = await place.begin(channel="")
        await place.put(run, "message", text="deployed", channel="sec")
        await place.shows("deployed", "alerts")


async def test_a_letter_whose_answer_was_lost_is_posted_once(
    place: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for in its thread before it is repeated."""
    monkeypatch.setattr(board_module, "RETRY", 0.1)
    async with place.drawing():
        run = await place.begin()
        card = await place.shows("Running")
        place.sandbox.fault("chat.postMessage", "drop_after")
        await place.put(run, "note", text="approved")
        await all_sent(place)

    assert [reply.shown for reply in place.sandbox.thread(card)] == ["approved"]


async def all_sent(place: Runs) -> None:
    """Returns when the database says that every message was posted."""
    for _ in range(200):
        rows = await place.records.read(lambda connection: connection.execute(select(outbox_table)).all())
        if all(row.sent_at for row in rows):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(rows)


async def test_names_from_outside_ping_nobody(place: Runs) -> None:
    """Titles, people, parameters and errors are text, whatever stands in them."""
    async with place.drawing():
        run = await place.begin(title=HOSTILE, requester_name=HOSTILE, params={HOSTILE: HOSTILE})
        await place.ask(run, title=HOSTILE, spec={"approvers": [HOSTILE], "message": HOSTILE})
        card = await place.shows("<!channel>")
        await place.sandbox.wait_for(lambda: "maint:approve" in str(card.blocks), 15)

    assert not card.broadcast
    assert "mrkdwn" not in str(card.blocks)
    assert "\u202e" not in str(card.blocks)
    assert "<" not in card.text


async def test_secrets_are_scrubbed_from_a_card(place: Runs) -> None:
    """Also when a step printed one before anybody knew."""
    async with place.drawing(scrub=Scrubber(["hunter2-hunter2"])):
        await place.begin(note="password hunter2-hunter2 refused")
        card = await place.shows("refused")

    assert "hunter2" not in str(card.blocks)


async def test_a_database_that_is_away_for_a_while_costs_nothing(
    place: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board goes on when it is back. The trouble is planted: a real database cannot fail so briefly."""
    from runbooks.errors import RecordsError
    from runbooks.records.board import BoardRecords

    monkeypatch.setattr(board_module, "TROUBLE", 0.1)
    away = asyncio.Event()
    claim_card = BoardRecords.claim_card

    async def fails(self: BoardRecords, *arguments: object) -> object:
        if not away.is_set():
            raise RecordsError("the database is away")
        return await claim_card(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(BoardRecords, "claim_card", fails)
    async with place.drawing():
        await place.begin()
        await asyncio.sleep(0.3)
        away.set()
        await place.shows("Running")


async def test_budgets_are_shared_by_replicas(place: Runs) -> None:
    """Each drawing of any of them took one token."""
    async with place.drawing(boards=2):
        run = await place.begin()
        await place.shows("Running")
        await place.change(run, note="more")
        await place.shows("more")

    rows = await place.records.read(lambda connection: connection.execute(select(budgets)).all())
    assert {row.name for row in rows} == {UPDATES.name, posts(OPS).name}
