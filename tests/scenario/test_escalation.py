"""Trouble that nobody takes, through a whole Maint: each level is heard once, whatever happens meanwhile."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.sandbox import Message, Sandbox
from tests.scenario.conftest import Site, floor_of, set_up
from tests.scenario.floor import Floor
from tests.scenario.receivers import Receivers, receivers
from tests.scenario.serving import replicas
from tests.scenario.test_alerts import CARD, REMEDY, cards, checks, health
from tests.scenario.test_gates import GATED

POLICIES = {
    "down": {
        "levels": [
            {"who": "sre", "by": ["mention", "pager", "hook"]},
            {"who": "oncall", "by": ["mention", "hook", "mail"], "after": "15m"},
            {"who": "admin", "by": ["mention", "dm", "hook"], "after": "45m"},
        ]
    },
    "approvals": {"levels": [{"who": "sre", "after": "30m"}, {"who": "oncall", "after": "1h"}]},
}
LEVEL = re.compile(r"level (\d)")


@pytest.fixture
async def them() -> AsyncIterator[Receivers]:
    """PagerDuty, a webhook, a mail server."""
    async with receivers() as found:
        yield found


def watched(floor: Floor, them: Receivers) -> Floor:
    """A Maint that shows alerts in #alerts, and tells everybody by the policy `down`."""
    settings = floor.workplace.settings
    settings["alerts"] = {"channel": "alerts"}
    settings["rotations"] = {"oncall": {"people": ["U00000SRE2"]}}
    settings["escalation"] = {
        "fallback": "ops",
        "defaults": False,
        "services": them.services(),
        "policies": POLICIES,
        "routes": [{"severity": "critical", "source": "check", "policy": "down"}],
    }
    floor.runbook("restart-app", REMEDY)
    checks(floor)
    return floor


@pytest.fixture
def quiet(floor: Floor, them: Receivers) -> Floor:
    """One process on SQLite."""
    return watched(floor, them)


@pytest.fixture
def pair(sandbox: Sandbox, site: Site, tmp_path: Path, postgres_url: str, quick_slack: None) -> Floor:
    """For two processes on one PostgreSQL."""
    return floor_of(set_up(sandbox, site, tmp_path, postgres_url), site)


def levels(floor: Floor, card: Message) -> list[int]:
    """The levels that were told in the card's thread, in order."""
    found = [LEVEL.search(each.shown) for each in floor.sandbox.thread(card)]
    return [int(match[1]) for match in found if match]


async def soon(find: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Returns once that is so; what changes outside of Slack wakes nobody here."""
    try:
        async with asyncio.timeout(15):
            while not find():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(otherwise()) from None


async def told(floor: Floor, them: Receivers, card: Message, level: int) -> None:
    """That level has arrived, in Slack and at the webhook."""
    await soon(
        lambda: levels(floor, card)[-1:] == [level] and them.hooked()[-1:] == [("trigger", level)],
        lambda: f"level {level}: {levels(floor, card)} {them.hooked()}",
    )


async def test_each_level_is_heard_once_though_maint_begins_anew_between_them(
    quiet: Floor, them: Receivers
) -> None:
    """Another process tells each, also when it starts long after its time; and everybody hears of the end."""
    async with quiet.open():
        await health(quiet, 500)
        card = await quiet.card(CARD, "alerts")
        await told(quiet, them, card, 1)
        await quiet.shows(card, "level 1 was told", "sre", "Told", "level 1 of down")
    quiet.clock.turn(minutes=15)
    async with quiet.open():
        await told(quiet, them, card, 2)
    quiet.clock.turn(hours=5)
    async with quiet.open():
        await told(quiet, them, card, 3)
        await quiet.shows(card, "level 3 was told", "admin")
    quiet.clock.turn(hours=5)
    async with quiet.open():
        await health(quiet, 200)
        await quiet.shows(card, "resolved after")
        await soon(lambda: them.hooked()[-1] == ("resolve", 0), lambda: str(them.hooked()))
        await soon(lambda: them.mailed().total() == 2, lambda: str(them.mailed()))

    assert levels(quiet, card) == [1, 2, 3]
    assert them.hooked() == [("trigger", 1), ("trigger", 2), ("trigger", 3), ("resolve", 0)]
    assert [action for action, _ in them.paged()] == ["trigger", "resolve"]
    assert len({incident for _, incident in them.paged()}) == 1
    assert len(cards(quiet)) == 1
    assert len(await quiet.audited("alert.escalated")) == 3


@pytest.mark.timeout(120)
async def test_of_two_replicas_one_does_each_thing(pair: Floor, them: Receivers) -> None:
    """Ticks of a schedule, an alert, its levels, its end: each once, though both look every moment."""
    floor = watched(pair, them)
    floor.runbook(
        "tidy",
        """
        name: tidy
        title: Tidy up
        schedule: [{on: 'daily 9:00', channel: ops}]
        steps:
          - id: a
            command: {target: here, run: [sh, -c, 'echo tidied >> DIR/effects'], risk: low, repeatable: true}
        """,
    )
    async with replicas(floor.workplace, floor.clock, 2) as both:
        for day in range(1, 6):
            both.turn(days=1)
            await soon(lambda n=day: len(floor.effects()) == n, lambda: str(floor.effects()))
        await health(floor, 500)
        card = await floor.card(CARD, "alerts")
        for level, minutes in ((1, 0), (2, 16), (3, 31)):
            both.turn(minutes=minutes)
            await told(floor, them, card, level)
        await floor.press("admin", card, "Acknowledge")
        await soon(lambda: them.hooked()[-1] == ("acknowledge", 0), lambda: str(them.hooked()))
        await health(floor, 200)
        both.turn()
        await soon(lambda: them.hooked()[-1] == ("resolve", 0), lambda: str(them.hooked()))
        await floor.shows(card, "resolved after")
        await asyncio.sleep(1)  # whatever would come twice

    assert floor.effects() == ["tidied"] * 5
    assert levels(floor, card) == [1, 2, 3]
    assert [action for action, _ in them.hooked()] == ["trigger"] * 3 + ["acknowledge", "resolve"]
    assert [action for action, _ in them.paged()] == ["trigger", "acknowledge", "resolve"]
    assert len(cards(floor)) == 1
    assert len(await floor.audited("schedule.tick")) == 5
    assert len(await floor.audited("alert.escalated")) == 3
    assert len(await floor.audited("alert.opened")) == 1


@pytest.mark.timeout(180)
@pytest.mark.parametrize("delay", [0.0, 0.15, 0.4])
async def test_a_ladder_climbs_whoever_is_killed(pair: Floor, them: Receivers, delay: float) -> None:
    """At each level a process is killed a moment after its time: none is lost, and none comes twice."""
    floor = watched(pair, them)
    async with replicas(floor.workplace, floor.clock, 2) as both:
        await health(floor, 500)
        card = await floor.card(CARD, "alerts")
        await told(floor, them, card, 1)
        for level in (2, 3):
            both.turn(minutes=31)
            await asyncio.sleep(delay)
            await both.kill(both.running[0])
            await asyncio.sleep(1)
            both.turn(seconds=61)  # what the dead one had begun with is tried by the other
            await told(floor, them, card, level)
            await both.start()
        await floor.press("admin", card, "Acknowledge")
        await soon(lambda: them.hooked()[-1] == ("acknowledge", 0), lambda: str(them.hooked()))
        await floor.shows(card, "acknowledged by")
        await asyncio.sleep(1)

    assert levels(floor, card) == [1, 2, 3]
    assert them.hooked() == [("trigger", 1), ("trigger", 2), ("trigger", 3), ("acknowledge", 0)]
    assert [action for action, _ in them.paged()] == ["trigger", "acknowledge"]
    assert them.mailed().total() == 1
    assert len(cards(floor)) == 1
    assert len(await floor.audited("alert.escalated")) == 3


async def test_after_ten_minutes_without_slack_everything_arrives_once_and_in_order(
    quiet: Floor, them: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs no Slack was told at once; the rest when Slack is back, and the card shows how it is."""
    monkeypatch.setattr("bot.slack.board.RETRY", 0.5)
    async with quiet.open():
        await health(quiet, 500)
        card = await quiet.card(CARD, "alerts")
        await told(quiet, them, card, 1)
        quiet.sandbox.fault("*", "server_error", times=100_000)
        quiet.clock.turn(minutes=15)
        await soon(lambda: len(them.hooked()) == 2, lambda: str(them.hooked()))
        for _ in range(10):
            quiet.clock.turn(minutes=1)
            await asyncio.sleep(0.2)
        assert levels(quiet, card) == [1]
        quiet.clock.turn(minutes=30)
        await soon(lambda: len(them.hooked()) == 3, lambda: str(them.hooked()))
        quiet.sandbox.faults.clear()
        for _ in range(20):
            quiet.clock.turn(minutes=1)
            await asyncio.sleep(0.1)
        await quiet.until(lambda: len(levels(quiet, card)) == 3, lambda: str(levels(quiet, card)))
        await quiet.shows(card, "level 3 was told")
        await asyncio.sleep(1)

    assert levels(quiet, card) == [1, 2, 3]
    assert [level for _, level in them.hooked()] == [1, 2, 3]
    assert len(cards(quiet)) == 1


async def test_who_takes_it_stops_the_ladder_and_a_snooze_that_ends_begins_another(
    quiet: Floor, them: Receivers
) -> None:
    """Over a restart too: nothing is told meanwhile, and then the bottom hears again."""
    async with quiet.open():
        await health(quiet, 500)
        card = await quiet.card(CARD, "alerts")
        await told(quiet, them, card, 1)
        alert = next(
            each["value"] for each in card.blocks[-2]["elements"] if "alert-ack" in each["action_id"]
        )
        await quiet.press("admin", card, "maint:alert-snooze", value=f"{alert}.2h")
        await quiet.shows(card, "snoozed until")
    quiet.clock.turn(minutes=90)
    async with quiet.open():
        await asyncio.sleep(1)
        assert levels(quiet, card) == [1]
        quiet.clock.turn(minutes=31)
        await quiet.shows(card, "firing", "the snooze is over")
        await quiet.until(lambda: levels(quiet, card) == [1, 1], lambda: str(levels(quiet, card)))
        await quiet.press("admin", card, "Acknowledge")
        await quiet.shows(card, "acknowledged by")
    quiet.clock.turn(hours=9)
    async with quiet.open():
        await asyncio.sleep(1)
        assert levels(quiet, card) == [1, 1]
        assert [action for action, _ in them.paged()] == ["trigger", "acknowledge"]


async def test_an_approval_that_nobody_gives_reminds_asks_the_next_and_holds(
    quiet: Floor, them: Receivers
) -> None:
    """First the role, then who is on call, who may approve from then on; at the end nothing was approved."""
    gate = "{approvers: [dba], expires: 2h, on_expiry: hold, policy: approvals}"
    quiet.runbook("deploy", GATED.replace("{GATE}", gate))
    async with quiet.open():
        run = await quiet.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await quiet.shows(run, "Waits for approval")
        await quiet.press("sre2", run, "Approve")
        await quiet.told("sre2", "may answer this")
        await quiet.pass_time(run, minutes=30)
        await quiet.replies(run, "level 1")
        await quiet.pass_time(run, minutes=30)
        assert "U00000SRE2" in str(
            [each.blocks for each in quiet.sandbox.thread(run)]
        ) or await quiet.replies(run, "level 2")
        await quiet.pass_time(run, minutes=61)
        await quiet.shows(run, "eld")
        await asyncio.sleep(0.5)
        texts = [each.shown for each in quiet.sandbox.thread(run)]

    assert quiet.effects() == []
    assert [int(match[1]) for text in texts if (match := LEVEL.search(text))] == [1, 2]


async def test_who_was_called_by_the_ladder_may_approve(quiet: Floor, them: Receivers) -> None:
    """And after that nobody else is called."""
    gate = "{approvers: [dba], expires: 9h, policy: approvals}"
    quiet.runbook("deploy", GATED.replace("{GATE}", gate))
    async with quiet.open():
        run = await quiet.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await quiet.shows(run, "Waits for approval")
        await quiet.pass_time(run, minutes=30)
        await quiet.replies(run, "level 1")
        await quiet.press("sre1", run, "Approve")
        await quiet.shows(run, "Done", "approved by sre1")
        quiet.clock.turn(hours=2)
        await asyncio.sleep(0.5)
        texts = [each.shown for each in quiet.sandbox.thread(run)]

    assert quiet.effects() == ["shifted"]
    assert not any("level 2" in text for text in texts)


@pytest.mark.parametrize("trouble", ["archived", "not in it"])
async def test_a_channel_that_refuses_is_an_alert_in_the_fallback_channel(
    quiet: Floor, them: Receivers, trouble: str
) -> None:
    """What was for it is told there, and so is that it does not work; until something arrives there again."""
    channel = quiet.sandbox.workspace.channel("alerts")
    bot = next(each for each in quiet.sandbox.workspace.members.values() if each.is_bot).id
    members = list(channel.members)
    channel.is_archived = trouble == "archived"
    if trouble != "archived":
        channel.members.remove(bot)
    async with quiet.open():
        await health(quiet, 500)
        for _ in range(5):
            quiet.clock.turn(minutes=1)
            await asyncio.sleep(0.2)
        moved = await quiet.sees("This was for")
        assert "app response" in moved.shown
        alert = await quiet.card("Notices do not arrive: mention to alerts")
        await quiet.shows(alert, "firing")
        channel.is_archived = False
        channel.members[:] = members
        quiet.clock.turn(minutes=16)
        await quiet.shows(alert, "resolved after")

    assert await quiet.audited("alert.opened") == [("Maint", "ok"), ("Maint", "ok")]
