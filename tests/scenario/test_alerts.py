"""Alerts through Slack: one message from firing to resolved, whoever looks, presses or restarts."""

import re
from pathlib import Path

import pytest

from bot.sandbox import Message
from commands import COMMANDS
from runbooks.records.alerts import Alert, Wanted, listed
from runbooks.records.records import Records
from tests.scenario.floor import Floor

CARD = "app response"
DOCS = Path(__file__).parents[2] / "docs"
REMEDY = """
    name: restart-app
    title: Restart the app
    params:
      target: {type: target}
    steps:
      - id: restart
        command: {target: here, run: [touch, DIR/restarted], repeatable: true, risk: low}
"""
HEALTH = """
    name: health
    title: Morning health check
    owner: oncall
    remedies: [restart-app]
    alerts: RULES
    steps:
      - id: up
        title: response
        http.probe: {target: app, critical: {elapsed_ms: {above: 9000}}}
"""


@pytest.fixture
def watched(floor: Floor) -> Floor:
    """A Maint that shows alerts in #alerts, and a runbook that may help."""
    floor.workplace.settings["alerts"] = {"channel": "alerts"}
    floor.runbook("restart-app", REMEDY)
    checks(floor)
    return floor


def checks(floor: Floor, rules: str = "{}") -> None:
    """The health runbook with those rules for its alerts."""
    floor.runbook("health", HEALTH.replace("RULES", rules))


async def health(floor: Floor, status: int, **later: float) -> None:
    """The site answers with that status from now on, and somebody looks, some time later."""
    floor.clock.turn(**(later or {"minutes": 5}))
    floor.site.status = status
    before = len(floor.sandbox.messages("ops"))
    await floor.type("admin", "health")
    await floor.until(
        lambda: any(
            "reference" in message.shown for message in floor.sandbox.messages("ops", "admin")[before:]
        ),
        lambda: "no report",
    )


def cards(floor: Floor) -> list[Message]:
    """The messages of #alerts."""
    return [each for each in floor.sandbox.messages("alerts") if not each.thread_ts]


async def rows(floor: Floor) -> tuple[Alert, ...]:
    """The open alerts."""
    records = await Records.open(str(floor.workplace.settings["database"]))
    try:
        return await records.read(lambda connection: listed(connection, Wanted()))
    finally:
        await records.close()


async def test_one_trouble_is_one_message(watched: Floor) -> None:
    """It is posted when the check turns bad, edited while it lasts, and says at the end how long that was."""
    async with watched.open():
        await health(watched, 200)
        assert cards(watched) == []
        await health(watched, 500)
        card = await watched.card(CARD, "alerts")
        await watched.shows(card, "critical", "firing", "500", "seen bad 1 times")
        await health(watched, 500)
        await watched.shows(card, "seen bad 2 times")
        await health(watched, 200, minutes=12)
        await watched.shows(card, "resolved after 17 min")

        assert len(cards(watched)) == 1
        assert not watched.offers(card, "alert-ack")
    assert await watched.audited("alert.opened") == [("Maint", "ok")]
    assert await watched.audited("alert.resolved") == [("Maint", "ok")]


async def test_what_is_bad_for_a_moment_is_not_told(watched: Floor) -> None:
    """`for:` waits until it has been bad for so long, `clear:` until it has been well."""
    checks(watched, "{for: 10m, clear: 10m}")
    async with watched.open():
        await health(watched, 500)
        await health(watched, 200)
        await health(watched, 500)
        assert await rows(watched) == ()
        await health(watched, 500, minutes=11)
        card = await watched.card(CARD, "alerts")
        await health(watched, 200)
        await watched.shows(card, "firing")
        await health(watched, 200, minutes=11)
        await watched.shows(card, "resolved")


async def test_flapping_is_told_in_one_message(watched: Floor) -> None:
    """What comes and goes edits its one message, and stays open until it has been well for long."""
    async with watched.open():
        for turn in range(7):
            await health(watched, 500 if turn % 2 == 0 else 200, minutes=2)
        card = await watched.card(CARD, "alerts")
        await watched.shows(card, "flapping, 7 changes in 12 min")
        assert len(cards(watched)) == 1
        await health(watched, 200)
        await watched.shows(card, "flapping")
        await health(watched, 200, minutes=21)
        await watched.shows(card, "resolved")


async def test_who_takes_it_on_is_shown_to_all(watched: Floor) -> None:
    """The button names who pressed it; who has no grant for it is told so, and nothing changes."""
    async with watched.open():
        await health(watched, 500)
        card = await watched.card(CARD, "alerts")
        await watched.press("sre1", card, "Acknowledge")
        await watched.told("sre1", "may not change alerts", "alerts")
        await watched.press("admin", card, "Acknowledge")
        await watched.shows(card, "acknowledged by")
        assert not watched.offers(card, "alert-ack")
        await watched.press("admin", card, "Acknowledge", stale=True)
        await watched.told("admin", "Already so", "alerts")

    assert len(await watched.audited("alert.acknowledged")) == 1


async def test_a_snooze_outlives_a_restart(watched: Floor) -> None:
    """It ends by itself at its time, in whichever process is there then."""
    async with watched.open():
        await health(watched, 500)
        card = await watched.card(CARD, "alerts")
        (alert,) = await rows(watched)
        await watched.press("admin", card, "maint:alert-snooze", value=f"{alert.id}.30m")
        await watched.shows(card, "snoozed until")
    async with watched.open():
        await health(watched, 500)
        await watched.shows(card, "snoozed until", "seen bad 2 times")
        watched.clock.turn(minutes=26)
        await watched.shows(card, "firing", "the snooze is over")

    assert len(cards(watched)) == 1


async def test_a_card_says_when_nobody_looks_any_more(watched: Floor) -> None:
    """Its schedule is paused: three of its times pass, and it stays open, for nobody knows how it is."""
    on_schedule = HEALTH.replace("RULES", "{}").replace("owner: oncall", "schedule: [{every: 1h}]")
    watched.runbook("health", on_schedule)
    async with watched.open():
        await watched.type("admin", "schedule pause health")
        await watched.told("admin", "health:0 is paused")
        await health(watched, 500)
        card = await watched.card(CARD, "alerts")
        watched.clock.turn(hours=2)
        await watched.lacks(card, "Nobody has looked since")
        watched.clock.turn(hours=1, minutes=2)
        await watched.shows(card, "firing", "Nobody has looked since", "nobody looks any more")
        await health(watched, 500)
        await watched.lacks(card, "Nobody has looked since")
        await watched.shows(card, "is looked at again")
    assert await watched.audited("alert.stale") == [("Maint", "ok")]


async def test_who_ends_it_says_why(watched: Floor) -> None:
    """The button asks for a reason, which the card shows; still bad, it opens anew in a new message."""
    async with watched.open():
        await health(watched, 500)
        card = await watched.card(CARD, "alerts")
        await watched.press_and_say("admin", card, "Resolve", "the site is to be so")
        await watched.shows(card, "resolved after", "the site is to be so")
        await health(watched, 500)
        again = await watched.card("firing", "alerts")

    assert again.ts != card.ts
    assert len(cards(watched)) == 2


async def test_a_chart_comes_into_the_thread_once(watched: Floor) -> None:
    """On request: how it went since yesterday. Pressed twice it is one picture."""
    async with watched.open():
        for _ in range(4):
            await health(watched, 500)
        card = await watched.card(CARD, "alerts")
        await watched.press("admin", card, "Chart")
        picture = await watched.sandbox.wait_for(lambda: next(iter(watched.sandbox.files), None), 15)
        await watched.press("admin", card, "Chart")
        await watched.type("admin", f"alerts chart {(await rows(watched))[0].id}")
        await watched.told("admin", "drawn in the thread")

    (file,) = watched.sandbox.files
    assert file is picture
    assert file.alt_text.startswith("Trends from 20")
    assert file.content.startswith(b"\x89PNG")
    (reply,) = watched.sandbox.thread(card)
    assert reply.thread_ts == card.ts


async def test_a_remedy_runs_as_if_it_had_been_typed(watched: Floor) -> None:
    """Its button starts the runbook for the alert's target, as the person who pressed."""
    async with watched.open():
        await health(watched, 500)
        card = await watched.card(CARD, "alerts")
        await watched.press("admin", card, "Run restart-app")
        run = await watched.card("Restart the app", "alerts")
        await watched.shows(run, "Done", "app")

    assert (watched.folder / "restarted").exists()
    assert await watched.audited("run.started") == [("admin", "accepted")]


async def test_a_storm_is_one_message(watched: Floor) -> None:
    """What opens beyond the first few of a minute is counted in one message, and nothing is lost."""
    settings = watched.workplace.settings
    settings["alerts"] = {"channel": "alerts", "storm": 2}
    targets = settings["targets"]
    assert isinstance(targets, dict)
    targets |= {f"web-{n}": {"type": "http", "url": watched.site.url} for n in range(10)}
    watched.runbook("health", HEALTH.replace("RULES", "{}").replace("target: app, ", ""))
    async with watched.open():
        await health(watched, 500)
        storm = await watched.card("Many alerts at once", "alerts")
        await watched.shows(storm, "10 alerts", "10: 10 critical")
        await watched.until(lambda: len(cards(watched)) == 3, lambda: str(len(cards(watched))))
        await watched.press("admin", storm, "Acknowledge")
        await watched.shows(storm, "acknowledged: \n10: 10 critical")
        await health(watched, 200)
        await watched.shows(storm, "resolved: \n10: 10 critical", "resolved after")

    assert await rows(watched) == ()


async def test_the_words_do_what_the_buttons_do(watched: Floor) -> None:
    """`/maint alerts` lists, shows one, takes it on, puts it off and ends it."""
    async with watched.open():
        await health(watched, 500)
        (alert,) = await rows(watched)
        id_ = alert.id[-8:]
        await watched.type("admin", "alerts critical app")
        await watched.told("admin", f"app response  {id_}")
        await watched.type("admin", f"alerts ack {id_} looking into it")
        await watched.told("admin", "You have it")
        await watched.type("admin", f"alerts snooze {id_} 2h")
        await watched.told("admin", "Nobody is told of it until")
        await watched.type("admin", f"alerts {id_}")
        await watched.told("admin", "looking into it")
        await watched.type("admin", f"alerts resolve {id_} seen to")
        await watched.told("admin", "It is over")
        await watched.type("admin", f"alerts ack {id_}")
        await watched.told("admin", "Too late")
        await watched.type("dba", f"alerts {id_}")
        await watched.told("dba", "There is no alert")


async def test_what_the_pages_say_can_be_typed(watched: Floor) -> None:
    """Every line about alerts, and the command's own examples, with the id of an alert that there is."""
    blocks = [
        block
        for page in ("alerts.md", "commands.md")
        for block in re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    ]
    lines = [line.split("  #")[0].removeprefix("maint ") for block in blocks for line in block.splitlines()]
    lines += [example for example, _ in COMMANDS["alerts"].examples]
    targets = watched.workplace.settings["targets"]
    assert isinstance(targets, dict)
    targets["db"] = targets["app"]
    async with watched.open():
        for _ in range(3):
            await health(watched, 500)
        (alert,) = await rows(watched)
        for line in dict.fromkeys(line.strip() for line in lines if line.startswith("alerts")):
            before = len(watched.sandbox.messages("ops", "admin"))
            await watched.type("admin", line.replace("3f9kq2ab", alert.id[-8:]))

            def answered(before: int = before) -> list[Message]:
                return watched.sandbox.messages("ops", "admin")[before:]

            await watched.until(lambda: answered(), lambda: line)  # noqa: B023 - awaited right here
            assert not any("does not fit" in message.shown for message in answered()), line
