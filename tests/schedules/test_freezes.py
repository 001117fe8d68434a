"""A freeze keeps new changes from beginning, and a window says when they may; what was done can be undone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runbooks.errors import Refused
from runbooks.ids import new_id
from runbooks.records.freezes import Freeze
from runbooks.records.person import Person
from tests.runs.conftest import OLGA, RITA
from tests.schedules.conftest import NOW, Watch

MAINT = Person(kind="maint", id="m", name="Maint")


def acts(name: str, risk: str, more: str = "") -> str:
    """A runbook that waits for people, and then acts; what it did can be undone."""
    return f"""
    name: {name}
    title: {name}
    {more}
    steps:
      - {{id: hands, manual: {{instructions: Look}}}}
      - id: act
        command: {{target: here, run: [sh, -c, 'echo {name} >> DIR/effects'], risk: {risk}, repeatable: true}}
        rollback:
          command:
            target: here
            run: [sh, -c, 'echo un{name} >> DIR/effects']
            risk: high
            repeatable: true
    """


TEXTS = {
    "risky": acts("risky", "high"),
    "little": acts("little", "low"),
    "nightly": acts("nightly", "low", "schedule: [{on: 'daily 9:00'}]"),
    "look": """
        name: look
        title: Look
        schedule: [{on: 'daily 9:00'}]
        steps: [{id: load, host.load: {target: here}}]
        """,
}


def freeze(*targets: str, environments: tuple[str, ...] = (), days: float = 2) -> Freeze:
    """Until the day after tomorrow."""
    return Freeze(
        id=new_id(),
        targets=targets,
        environments=environments,
        since=NOW,
        until=NOW + timedelta(days=days),
        reason="",
        by_id=OLGA.id,
        by_name=OLGA.name,
    )


async def passed(watch: Watch, run: str) -> None:
    """The run is past the people that it waits for first."""
    await watch.house.waiting(run, "manual")
    await watch.house.answer(run, "done", OLGA)


@pytest.mark.parametrize(
    "what", [freeze("here"), freeze("*"), freeze(environments=("production",))], ids=["target", "all", "env"]
)
async def test_nothing_risky_begins_on_what_is_frozen(what: Freeze, build: Callable[..., Any]) -> None:
    """It is refused with who said so and why; what is of little risk begins."""
    async with build(TEXTS) as watch:
        await watch.house.engine.freeze(what, OLGA, "launch")

        with pytest.raises(Refused, match="is frozen until 2026-11-03 18:00 UTC, said Olga: launch"):
            await watch.house.start("risky")
        await watch.house.start("little")


async def test_elsewhere_everything_goes_on(build: Callable[..., Any]) -> None:
    """A freeze is about what it names."""
    async with build(TEXTS) as watch:
        await watch.house.engine.freeze(freeze("db", environments=("staging",)), OLGA, "launch")

        run = await watch.house.start("risky")
        await passed(watch, run)
        await watch.house.over(run)


async def test_on_a_schedule_only_checks_go_on(build: Callable[..., Any]) -> None:
    """What acts is skipped and says why, however little its risk; what looks begins."""
    async with build(TEXTS) as watch:
        await watch.house.engine.freeze(freeze("*"), OLGA, "launch")
        await watch.look(days=1)

        assert [state for _, state in await watch.states("nightly:0")] == ["skipped"]
        assert [state for _, state in await watch.states("look:0")] == ["done"]
        assert any("is frozen" in why for _, why in await watch.told())


async def test_a_run_under_way_waits_before_its_next_risky_step(build: Callable[..., Any]) -> None:
    """It says until when, and goes on when the freeze is ended, without anybody's word."""
    async with build(TEXTS) as watch:
        run = await watch.house.start("risky")
        await watch.house.waiting(run, "manual")
        await watch.house.engine.freeze(what := freeze("here"), OLGA, "launch")
        await watch.house.answer(run, "done", OLGA)
        held = await watch.house.waiting(run, "window")

        assert "frozen until 2026-11-03 18:00 UTC, said Olga: launch" in held.step("act").progress
        assert watch.house.effects() == []
        assert [each.id for each in held.freezes] == [what.id]
        await watch.house.engine.unfreeze(what.id, OLGA)
        await watch.house.over(run)
        assert watch.house.effects() == ["risky"]
        assert "step.held_back" in await watch.house.actions(run)


async def test_a_freeze_ends_by_itself(build: Callable[..., Any]) -> None:
    """When its time is over, the log says so, and what it held goes on."""
    async with build(TEXTS) as watch:
        run = await watch.house.start("risky")
        await watch.house.waiting(run, "manual")
        await watch.house.engine.freeze(freeze("here"), OLGA, "launch")
        await watch.house.answer(run, "done", OLGA)
        await watch.house.waiting(run, "window")
        assert not await watch.house.engine.end_freezes(MAINT)

        watch.clock.turn(days=2, seconds=1)
        assert await watch.house.engine.end_freezes(MAINT)
        assert not await watch.house.engine.end_freezes(MAINT)
        await watch.house.over(run)
        assert await watch.house.engine.freezes() == ()
        actions = [each.event.action for each in await watch.house.records.events(limit=100)]
        assert actions.count("freeze.ended") == 1


async def test_the_way_back_is_always_open(build: Callable[..., Any]) -> None:
    """Of a run that is over, and of one that the freeze holds."""
    async with build(TEXTS) as watch:
        first = await watch.house.start("risky")
        await passed(watch, first)
        await watch.house.over(first)
        second = await watch.house.start("risky")
        await watch.house.waiting(second, "manual")
        await watch.house.engine.freeze(freeze("*"), OLGA, "launch")

        undo = await watch.house.engine.rollback(first, RITA, "it was wrong")
        await watch.house.over(undo.id, "rolled_back")
        await watch.house.engine.cancel(second, RITA, "not now")
        await watch.house.over(second, "cancelled")

        assert watch.house.effects() == ["risky", "unrisky"]


NIGHTS = "window: {on: 'daily 22:00-06:00', timezone: Europe/Berlin, leave: LEAVE}"
TWICE = """
    name: twice
    title: Twice
    WINDOW
    steps:
      - id: one
        command: {target: here, run: [sh, -c, 'echo one >> DIR/effects'], risk: high, repeatable: true}
        rollback: {command: {target: here, run: [sh, -c, 'echo unone >> DIR/effects'], repeatable: true}}
      - {id: hands, manual: {instructions: Look}}
      - id: two
        command: {target: here, run: [sh, -c, 'echo two >> DIR/effects'], risk: high, repeatable: true}
    """


def twice(leave: str) -> dict[str, str]:
    """Two risky steps, and people in between."""
    return {"twice": TWICE.replace("WINDOW", NIGHTS.replace("LEAVE", leave))}


async def test_a_risky_step_waits_for_its_window(build: Callable[..., Any]) -> None:
    """At seven in the evening it waits until ten; what is not risky does not."""
    async with build(twice("hold")) as watch:
        run = await watch.house.start("twice")
        held = await watch.house.waiting(run, "window")
        assert held.run.wake_at == datetime(2026, 11, 1, 21, 0, tzinfo=UTC)
        assert "opens 2026-11-01 21:00 UTC" in held.step("one").progress

        watch.clock.turn(hours=3)
        await watch.house.waiting(run, "manual")
        assert watch.house.effects() == ["one"]


async def test_a_window_from_maint_yaml_holds_a_run_that_keeps_no_word_of_it_in_its_file(
    build: Callable[..., Any],
) -> None:
    """It is in the plan, and whoever carries the run on has it from there, whatever maint.yaml says then."""
    texts = {"twice": TWICE.replace("WINDOW", "")}
    nights = {"on": "daily 22:00-06:00", "timezone": "Europe/Berlin", "leave": "hold"}
    async with build(texts, windows={"twice": nights}) as watch:
        run = await watch.house.start("twice")
        await watch.house.waiting(run, "window")
    async with build(texts) as watch:
        held = await watch.house.waiting(run, "window")
        assert held.run.plan["window"] == nights
        assert "unless it is cancelled" in held.step("one").progress
        assert watch.house.effects() == []

        watch.clock.turn(hours=3)
        await watch.house.waiting(run, "manual")
        assert watch.house.effects() == ["one"]


async def test_a_window_of_a_runbook_with_nothing_risky_holds_what_changes_anything(
    build: Callable[..., Any],
) -> None:
    """As the monthly evening of a database: else its window would be for nothing."""
    quiet = {name: text.replace("risk: high", "risk: low") for name, text in twice("hold").items()}
    async with build(quiet) as watch:
        run = await watch.house.start("twice")
        held = await watch.house.waiting(run, "window")
        assert "opens 2026-11-01 21:00 UTC" in held.step("one").progress

        watch.clock.turn(hours=3)
        await watch.house.waiting(run, "manual")
        assert watch.house.effects() == ["one"]


@pytest.mark.parametrize("leave", ["finish", "hold", "cancel"])
async def test_a_run_that_would_leave_its_window_does_what_the_file_says(
    leave: str, build: Callable[..., Any]
) -> None:
    """The people in between take until noon."""
    async with build(twice(leave), now=datetime(2026, 11, 1, 22, 0, tzinfo=UTC)) as watch:
        run = await watch.house.start("twice")
        await watch.house.waiting(run, "manual")
        watch.clock.turn(hours=13)
        await watch.house.answer(run, "done", OLGA)
        if leave == "finish":
            await watch.house.over(run)
            assert watch.house.effects() == ["one", "two"]
        elif leave == "hold":
            held = await watch.house.waiting(run, "window")
            assert held.run.wake_at == datetime(2026, 11, 2, 21, 0, tzinfo=UTC)
        else:
            asked = await watch.house.asking(run)
            assert "its window is daily 22:00-06:00" in asked.run.stop_reason
            await watch.house.answer(run, "rollback", OLGA)
            await watch.house.over(run, "rolled_back")
            assert watch.house.effects() == ["one", "unone"]
