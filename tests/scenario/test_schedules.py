"""Maint begins by itself what is on a schedule, as people see it in Slack."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from runbooks.records import schedules as rows
from runbooks.records.records import Records
from runbooks.records.runs import newest
from runbooks.records.watch_tables import ticks
from tests.scenario.floor import Floor

TIDY = """
    name: tidy
    title: Tidy up
    owner: sre
    schedule:
      - {on: 'daily 9:00', timezone: Europe/Berlin, channel: ops}
    steps:
      - id: sweep
        command: {target: here, run: [sh, -c, 'echo swept >> DIR/effects'], risk: medium, repeatable: true}
        rollback: {command: {target: here, run: [sh, -c, 'echo unswept >> DIR/effects'], repeatable: true}}
    """
MONTH = """
    name: NAME
    title: NAME
    schedule: [{SCHEDULE, timezone: Europe/Berlin}]
    steps:
      - id: a
        command: {target: here, run: [sh, -c, 'echo NAME >> DIR/effects'], risk: low, repeatable: true}
    """
#: What a team has on its schedule, and how often it comes in November 2026.
NOVEMBER = {
    "digest": ("on: 'weekdays 9:00'", 21),
    "vacuum": ("on: 'first Sunday of the month 3:00'", 1),
    "review": ("on: '2nd Monday 20:00'", 1),
    "rotate": ("on: 'last Friday of the month 18:00'", 1),
    "weekly": ("cron: '30 10 * * mon'", 5),
    "nightly": ("on: 'daily 2:00'", 30),
}


def november(clock_now: datetime) -> timedelta:
    """From now to the evening before the month begins."""
    return datetime(2026, 10, 31, 22, 0, tzinfo=UTC) - clock_now


async def settled(floor: Floor, count: int) -> None:
    """So many effects have happened."""
    await floor.until(lambda: len(floor.effects()) >= count, lambda: str(floor.effects()))


async def looked(records: Records, now: datetime) -> None:
    """What had come by then was begun, and is over."""

    def left(connection: Any) -> bool:
        open_runs = newest(connection, states=("queued", "running", "waiting"))
        return bool(open_runs or rows.due(connection, now) or rows.due_ticks(connection, now))

    async with asyncio.timeout(20):
        while await records.read(left):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.timeout(180)
async def test_a_month_of_schedules_in_seconds(floor: Floor) -> None:
    """Day and night turned past, four looks a day: everything came as often as the calendar says."""
    for name, (schedule, _) in NOVEMBER.items():
        floor.runbook(name, MONTH.replace("NAME", name).replace("SCHEDULE", schedule))
    floor.clock.turned = november(datetime.now(UTC))
    async with floor.open():
        records = await Records.open(str(floor.workplace.settings["database"]))
        try:
            for _ in range(30 * 4):
                floor.clock.turn(hours=6)
                await looked(records, floor.clock())
        finally:
            await records.close()
        await settled(floor, sum(often for _, often in NOVEMBER.values()))

    effects = floor.effects()
    assert {name: effects.count(name) for name in NOVEMBER} == {
        name: often for name, (_, often) in NOVEMBER.items()
    }


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("turned", "moment"),
    [
        (datetime(2027, 3, 28, tzinfo=UTC), datetime(2027, 3, 28, 1, 0, tzinfo=UTC)),  # 2:30 is left out
        (datetime(2027, 10, 31, tzinfo=UTC), datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),  # it comes twice
    ],
)
async def test_on_the_days_on_which_the_clock_is_turned_each_time_comes_once(
    floor: Floor, turned: datetime, moment: datetime
) -> None:
    """What the clock jumps over comes right after the jump, what it shows twice at the first; a look every
    half an hour for three days."""
    for name, schedule in (("nightly", "on: 'daily 2:30'"), ("morning", "on: 'daily 9:00'")):
        floor.runbook(name, MONTH.replace("NAME", name).replace("SCHEDULE", schedule))
    floor.clock.turned = turned - timedelta(days=1) - datetime.now(UTC)
    async with floor.open():
        records = await Records.open(str(floor.workplace.settings["database"]))
        try:
            for _ in range(3 * 48):
                floor.clock.turn(minutes=30)
                await looked(records, floor.clock())
            at = await records.read(
                lambda connection: connection.scalar(
                    select(ticks.c.fire_at).where(ticks.c.id == f"schedule:nightly:0:{turned:%Y-%m-%d}T02:30")
                )
            )
        finally:
            await records.close()
        await settled(floor, 6)

    assert (floor.effects().count("nightly"), floor.effects().count("morning")) == (3, 3)
    assert at == moment


async def test_a_tick_has_a_card_that_says_who_asked(floor: Floor) -> None:
    """It stands in the channel of its schedule, and people can roll it back like any other."""
    floor.runbook("tidy", TIDY)
    async with floor.open():
        floor.clock.turn(days=1)
        card = await floor.card("Tidy up")
        shown = await floor.shows(card, "Done", "asked by the schedule tidy:0")
        assert "Roll back" in shown or floor.offers(card, "undo")


async def test_people_see_pause_skip_and_run_schedules(floor: Floor) -> None:
    """Everybody reads it on their own clock; who may change it does, and the log has it."""
    floor.runbook("tidy", TIDY)
    async with floor.open():
        await floor.type("admin", "schedule")
        listed = await floor.told("admin", "tidy:0")
        assert "daily 9:00 Europe/Berlin" in listed.shown
        assert '"type": "date"' in str(listed.blocks).replace("'", '"')

        await floor.type("admin", "schedule pause tidy because the disk is full")
        await floor.told("admin", "tidy:0 is paused")
        await floor.type("admin", "schedule")
        await floor.told("admin", "paused by")
        floor.clock.turn(days=1)
        await floor.type("admin", "schedule resume tidy")
        await floor.told("admin", "tidy:0 is resumed")
        await floor.type("admin", "schedule skip tidy:0")
        await floor.told("admin", "The next time of tidy:0 is left out")
        floor.clock.turn(days=1)
        await floor.type("admin", "schedule run tidy")
        await floor.told("admin", "Started")
        await floor.shows(await floor.card("Tidy up"), "Done", "asked by admin")
        assert floor.effects() == ["swept"]

        assert len(await floor.audited("schedule.paused")) == 1
        assert len(await floor.audited("schedule.skipped")) == 1
        assert len(await floor.audited("schedule.run")) == 1


GREET = """
    name: greet
    title: Greet {{ params.whom }}
    params: {whom: {}}
    window: {on: 'daily 1:00-2:00'}
    steps:
      - id: greet
        command: {target: here, run: [sh, -c, 'echo greeted >> DIR/effects'], risk: medium, repeatable: true}
    """


async def test_maint_yaml_puts_a_runbook_on_a_schedule(floor: Floor) -> None:
    """With its parameters, and with a window in place of the file's; who asks is the schedule."""
    floor.runbook("greet", GREET)
    entry = {"on": "daily 9:00", "timezone": "Europe/Berlin", "channel": "ops", "params": {"whom": "Ada"}}
    window = {"on": "daily 8:00-10:00", "timezone": "Europe/Berlin"}
    floor.workplace.settings["schedules"] = {"greet": {"schedule": [entry], "window": window}}
    floor.clock.turned = november(datetime.now(UTC))
    async with floor.open():
        await floor.type("admin", "schedule")
        listed = await floor.told("admin", "greet:0")
        floor.clock.turn(hours=10, minutes=5)
        await floor.shows(await floor.card("Greet Ada"), "Done", "asked by the schedule greet:0")

    assert "daily 9:00 Europe/Berlin" in listed.shown
    assert floor.effects() == ["greeted"]
    assert await floor.audited("schedule.tick") == [("the schedule greet:0", "ok")]


async def test_who_has_no_grant_changes_no_schedule(floor: Floor) -> None:
    """Running a runbook is one right, and saying when it runs by itself another."""
    floor.runbook("tidy", TIDY)
    grants = floor.workplace.settings["grants"]
    assert isinstance(grants, list)
    grants.append({"role": "sre", "runbooks": ["tidy"], "channels": ["ops"]})
    async with floor.open():
        await floor.type("sre1", "schedule")
        await floor.told("sre1", "tidy:0")
        await floor.type("sre1", "schedule pause tidy")
        await floor.told("sre1", "may not change when tidy runs")
        await floor.type("dba", "schedule")
        await floor.told("dba", "No runbook that you may run is on a schedule")


async def test_a_freeze_shows_on_cards_and_lets_the_way_back_go(floor: Floor) -> None:
    """On the environment of the target: no run begins, the card says why, and a rollback does its work."""
    floor.runbook("tidy", TIDY)
    async with floor.open():
        card = await floor.start("tidy", card="Tidy up")
        await floor.shows(card, "Done")
        await floor.type("admin", "freeze on prod until 3d because launch")
        await floor.told("admin", "production is frozen until")

        await floor.type("admin", "run tidy")
        await floor.told("admin", "said admin: launch")
        await floor.type("admin", "freeze")
        await floor.told("admin", "launch")
        await floor.press_and_say("admin", card, "Roll back", "it was wrong")
        await floor.card("undoes run")
        await floor.until(lambda: floor.effects()[1:] == ["unswept"], lambda: str(floor.effects()))

        await floor.type("admin", "freeze off")
        await floor.told("admin", "is not frozen any more")
        await floor.start("tidy", card="Tidy up")
        await floor.until(lambda: len(floor.effects()) == 3, lambda: str(floor.effects()))


async def test_a_run_that_a_freeze_holds_says_so_in_red(floor: Floor) -> None:
    """And goes on when it ends by itself."""
    gated = TIDY.replace(
        "    steps:\n", "    steps:\n      - {id: hands, manual: {instructions: Look behind it}}\n"
    )
    floor.runbook("tidy", gated)
    async with floor.open():
        card = await floor.start("tidy", card="Tidy up")
        await floor.shows(card, "Look behind it")
        await floor.type("admin", "freeze on here until 1h because launch")
        await floor.shows(card, "here is frozen, said admin: launch")
        await floor.press_and_say("admin", card, "Done", "nothing there")
        await floor.shows(card, "Held until it may go on")
        floor.clock.turn(hours=1, seconds=5)
        await floor.until(lambda: floor.effects() == ["swept"], lambda: card.shown)
        await floor.lacks(card, "is frozen")


VACUUM = """
    name: vacuum
    title: Vacuum
    schedule: [{on: 'first Sunday of the month 3:00', channel: ops}]
    steps:
      - id: vacuum
        command: {target: web-1, run: [sh, -c, 'echo vacuum >> DIR/effects'], risk: low, repeatable: true}
    """
PAGE = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")


async def test_what_the_page_shows_can_be_typed(floor: Floor) -> None:
    """Every command of docs/schedules.md, in its order, is understood and done."""
    targets = floor.workplace.settings["targets"]
    assert isinstance(targets, dict)
    targets["web-1"] = {"type": "host"}
    floor.runbook("vacuum", VACUUM)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    assert len(lines) == 9
    async with floor.open():
        for number, line in enumerate(lines):
            if line == "maint freeze off":  # the page says: with several, name it
                await floor.type("admin", "freeze off")
                (freeze,) = re.findall(r"freeze off ID. There are: (\w+)", await _answer(floor, number))
                line = f"{line} {freeze}"
                number += 1
            await floor.type("admin", line.removeprefix("maint "))
            await _answer(floor, number)
    events = await floor.workplace.audit()
    done = [each.event for each in events if each.event.action.endswith(".finished")]
    assert [str(event.outcome) for event in done if event.object.split()[0] in ("schedule", "freeze")] == [
        *["ok"] * 8,
        "invalid",
        "ok",
    ]


async def _answer(floor: Floor, number: int) -> str:
    """What the admin was told to that many commands before, and to one more."""

    def private() -> list[str]:
        member = floor.sandbox.workspace.member("admin").id
        return [m.shown for m in floor.sandbox.messages("ops", "admin") if m.ephemeral_to == member]

    found = await floor.until(lambda: private() if len(private()) > number else None, lambda: str(private()))
    return str(found[-1])
