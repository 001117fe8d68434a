"""What is on a schedule begins once, whoever looks and however often something dies."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runbooks.engine.hold import Database
from runbooks.errors import RecordsError
from runbooks.records import schedules as rows
from runbooks.records.person import Person
from runbooks.records.schedules import TickState
from runbooks.watch import schedule_changes
from runbooks.watch.coming import MOST_KEPT
from runbooks.watch.schedules import Schedules
from tests.runs.conftest import OLGA
from tests.schedules.conftest import replica_of, schedules_of

T = TypeVar("T")

TIDY = """
    name: tidy
    title: Tidy up
    schedule: [SCHEDULE]
    steps:
      - id: a
        command: {target: here, run: [sh, -c, 'echo tidy >> DIR/effects'], risk: low, repeatable: true}
    """
#: Its run waits for people.
ASKS = """
    name: tidy
    title: Tidy up
    schedule: [SCHEDULE]
    steps:
      - {id: hands, manual: {instructions: Look behind the rack}}
    """


def tidy(schedule: str, text: str = TIDY) -> dict[str, str]:
    """A runbook on that schedule."""
    return {"tidy": text.replace("SCHEDULE", "{" + schedule + "}")}


DAILY = "on: 'daily 9:00', timezone: Europe/Berlin"


async def test_a_month_of_days_is_a_month_of_runs(build: Callable[..., Any]) -> None:
    """Each begins once, by its own key, and does what it does once; the log has every one of them."""
    async with build(tidy(DAILY)) as watch:
        for _ in range(30 * 4):
            await watch.look(hours=6)
            await watch.done()

        assert await watch.states() == [(f"2026-11-{day:02}T09:00", "done") for day in range(2, 31)] + [
            ("2026-12-01T09:00", "done")
        ]
        assert await watch.runs() == [f"schedule:tidy:0:{local}" for local, _ in await watch.states()]
        assert watch.house.effects() == ["tidy"] * 30
        assert await watch.told() == [("ok", "")] * 30


async def test_the_run_says_that_the_schedule_asked_for_it(build: Callable[..., Any]) -> None:
    """A tick is a run like any other, whose requester is the clock."""
    async with build(tidy(DAILY)) as watch:
        await watch.look(days=1)
        (run,) = await watch.house.engine.runs()
        (tick,) = await watch.ticks()

        assert (run.requester_kind, run.requester_id) == ("clock", "tidy:0")
        assert tick.run == run.id
        assert {"run.started", "schedule.tick"} <= set(await watch.house.actions(run.id))


@pytest.mark.parametrize(
    ("now", "locals_"),
    [
        ("2026-03-28T00:00", ["2026-03-28T02:30", "2026-03-29T02:30", "2026-03-30T02:30"]),
        ("2026-10-24T00:00", ["2026-10-24T02:30", "2026-10-25T02:30", "2026-10-26T02:30"]),
    ],
)
async def test_the_days_on_which_the_clock_is_turned_have_one_run_each(
    now: str, locals_: list[str], build: Callable[..., Any]
) -> None:
    """Looked at every quarter of an hour, in spring and in autumn."""
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    async with build(tidy("on: 'daily 2:30', timezone: Europe/Berlin"), now=at) as watch:
        for n in range(3 * 24 * 4 - 8):
            await watch.look(minutes=15)
            if n % 24 == 0:
                await watch.done()

        assert [local for local, _ in await watch.states()] == locals_
        assert len(await watch.runs()) == 3


@pytest.mark.parametrize(
    ("missed", "began"),
    [("skip", []), ("latest", ["05"]), ("all", ["02", "03", "04", "05"])],
)
async def test_after_a_pause_is_made_up_for_what_the_file_says(
    missed: str, began: list[str], build: Callable[..., Any]
) -> None:
    """Maint was down from Sunday to Thursday afternoon; it knows that from the database."""
    texts = tidy(f"{DAILY}, missed: {missed}")
    async with build(texts):
        pass
    async with build(texts, now=datetime(2026, 11, 5, 15, 0, tzinfo=UTC)) as watch:
        for _ in range(10):
            await watch.look(seconds=10)
            await watch.done()

        done = [local for local, state in await watch.states() if state == TickState.DONE]
        assert [local[8:10] for local in done] == began
        assert len(await watch.ticks()) == 4
        assert (await watch.row()).next_fire == datetime(2026, 11, 6, 8, 0, tzinfo=UTC)
        assert len(watch.house.effects()) == len(began)


async def test_what_is_late_by_a_restart_is_not_missed(build: Callable[..., Any]) -> None:
    """`skip` leaves out what nobody would expect any more, not what is two minutes late."""
    async with build(tidy(f"{DAILY}, missed: skip"), now=datetime(2026, 11, 2, 7, 0, tzinfo=UTC)) as watch:
        await watch.look(hours=1, minutes=2)

        assert await watch.states() == [("2026-11-02T09:00", "done")]


async def test_a_long_absence_is_counted_and_not_listed(build: Callable[..., Any]) -> None:
    """Every minute for ten days: one event says how many, and the last of them are kept."""
    async with build(tidy("every: 1m")) as watch:
        await watch.look(days=10)
        ticks = await watch.ticks()
        events = await watch.house.records.events(limit=20)
        (skipped,) = [each.event for each in events if each.event.details.get("count")]

        assert skipped.details["count"] == 10 * 24 * 60 - 1
        assert len(ticks) == MOST_KEPT + 1
        assert len(await watch.runs()) == 1


async def test_what_is_not_over_is_not_begun_again(build: Callable[..., Any]) -> None:
    """`overlap: skip`: while one waits for people the next ones do not begin, and each says why."""
    async with build(tidy(DAILY, ASKS)) as watch:
        for _ in range(3):
            await watch.look(days=1)

        assert [state for _, state in await watch.states()] == ["done", "skipped", "skipped"]
        assert [why.partition(":")[0] for _, why in await watch.told()] == [
            "",
            "the one before is not over",
            "the one before is not over",
        ]


async def test_what_is_queued_begins_when_the_one_before_is_over(build: Callable[..., Any]) -> None:
    """`overlap: queue`: they begin one after the other, in their order."""
    async with build(tidy(f"{DAILY}, overlap: queue", ASKS)) as watch:
        for _ in range(3):
            await watch.look(days=1)
        assert [state for _, state in await watch.states()] == ["done", "waiting", "waiting"]

        for begun in (1, 2, 3):
            newest = (await watch.house.engine.runs())[0]
            assert len(await watch.runs()) == begun
            await watch.house.waiting(newest.id, "manual")
            await watch.house.answer(newest.id, "done", OLGA)
            await watch.house.over(newest.id)
            await watch.look(seconds=10)

        assert [state for _, state in await watch.states()] == ["done"] * 3


async def test_chance_delays_a_tick_by_the_same_everywhere(build: Callable[..., Any]) -> None:
    """With jitter it has come, and begins when its delay is over."""
    async with build(tidy(f"{DAILY}, jitter: 30m"), now=datetime(2026, 11, 2, 8, 0, tzinfo=UTC)) as watch:
        await watch.look(hours=24)
        (tick,) = await watch.ticks()
        assert tick.wake_at is not None
        late = tick.wake_at - tick.fire_at
        assert timedelta(0) < late < timedelta(minutes=30)
        assert await watch.runs() == []

        await watch.look(minutes=30)
        assert len(await watch.runs()) == 1


@pytest.mark.parametrize("word", ["resume", "skip", "pause"])
async def test_what_people_say_is_not_for_times_that_had_come_before(
    build: Callable[..., Any], word: str
) -> None:
    """Though nobody has looked since: what came while it was paused is not made up for, and the next time is
    what is to be left out."""
    async with build(tidy(DAILY)) as watch:
        write, clock, entry = watch.house.records.write, watch.clock, watch.schedules.entries["tidy:0"]
        if word == "resume":
            await write(lambda c: rows.pause(c, ["tidy:0"], OLGA, "", clock()))
        clock.turn(days=1)
        here = ({"tidy:0": entry}, [entry])
        match word:
            case "resume":
                await write(lambda c: schedule_changes.resume(c, *here, OLGA, clock()))
            case "skip":
                await write(lambda c: schedule_changes.skip(c, here[0], entry, OLGA, clock()))
            case _:
                await write(lambda c: schedule_changes.pause(c, *here, OLGA, "", clock()))
        await watch.look()
        await watch.look(days=1)

        expected = {"resume": ["skipped", "done"], "skip": ["done", "skipped"], "pause": ["skipped"] * 2}
        assert [state for _, state in await watch.states()] == expected[word]


async def test_a_paused_schedule_says_who_paused_it(build: Callable[..., Any]) -> None:
    """Its times pass, each with an event; what passed is not made up for afterwards."""
    async with build(tidy(f"{DAILY}, missed: all")) as watch:
        write, clock = watch.house.records.write, watch.clock
        await write(lambda c: rows.pause(c, ["tidy:0"], OLGA, "the new disk", clock()))
        await watch.look(days=1)
        await watch.look(days=1)
        await write(lambda c: rows.resume(c, ["tidy:0"]))
        await watch.look(days=1)

        assert [state for _, state in await watch.states()] == ["skipped", "skipped", "done"]
        assert (await watch.told())[0] == ("late", "paused by Olga: the new disk")


async def test_one_time_is_left_out_on_request(build: Callable[..., Any]) -> None:
    """`skip` is for the next time, and for no other."""
    async with build(tidy(DAILY)) as watch:
        assert await watch.house.records.write(lambda c: rows.skip(c, "tidy:0"))
        assert not await watch.house.records.write(lambda c: rows.skip(c, "tidy:0"))
        await watch.look(days=1)
        await watch.look(days=1)

        assert [state for _, state in await watch.states()] == ["skipped", "done"]


async def test_what_cannot_begin_says_why(build: Callable[..., Any]) -> None:
    """While everything is stopped: no run, and the reason. Wrong parameters are faults of the file."""
    needs = TIDY.replace("steps:", "params: {host: {type: string}}\n    steps:")
    async with build(tidy(f"{DAILY}, params: {{host: web-1}}", needs)) as watch:
        await watch.house.engine.stop_everything(OLGA, "fire")
        await watch.look(days=1)
        await watch.house.engine.resume_everything(OLGA)
        await watch.look(days=1)

        await watch.done()
        (_, stopped), (_, fine) = await watch.told()
        assert "Everything is stopped (Olga: fire)" in stopped
        assert fine == ""


async def test_an_edited_schedule_begins_anew_and_a_moved_one_goes_on(build: Callable[..., Any]) -> None:
    """Who writes another line above it has neither paused nor resumed it; who edits it has not resumed it."""
    one, two = "{on: 'daily 9:00'}", "{on: 'daily 10:00'}"
    async with build({"tidy": TIDY.replace("[SCHEDULE]", f"[{one}]")}) as watch:
        await watch.house.records.write(lambda c: rows.pause(c, ["tidy:0"], OLGA, "disk", watch.clock()))
        before = await watch.row()
    async with build({"tidy": TIDY.replace("[SCHEDULE]", f"[{two}, {one}]")}) as watch:
        moved = await watch.row("tidy:1")
        assert (moved.paused_by, moved.next_fire) == (before.paused_by, before.next_fire)
    async with build(
        {"tidy": TIDY.replace("[SCHEDULE]", "[{on: 'daily 11:00'}, {on: 'daily 12:00'}]")}
    ) as watch:
        assert (await watch.row("tidy:1")).paused_by == "Olga"
        assert (await watch.row("tidy:0")).next_fire == datetime(2026, 11, 2, 11, tzinfo=UTC)
    async with build({"tidy": TIDY.replace("    schedule: [SCHEDULE]\n", "")}) as watch:
        assert await watch.house.records.read(rows.rows) == {}


class Dying:
    """A database whose process dies right before or right after its n-th transaction that writes."""

    def __init__(self, database: Database, at: int, after: bool) -> None:
        self._database = database
        self._at = at
        self._after = after
        self.count = 0

    async def read(self, work: Callable[[Any], T]) -> T:
        return await self._database.read(work)

    async def write(self, work: Callable[[Any], T]) -> T:
        self.count += 1
        if self.count > self._at or (self.count == self._at and not self._after):
            raise RecordsError("dead")
        result = await self._database.write(work)
        if self.count == self._at:
            raise RecordsError("dead")
        return result


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_a_crash_at_any_point_neither_loses_nor_repeats_a_tick(
    at: int, after: bool, build: Callable[..., Any]
) -> None:
    """Coming, claimed, begun, noted: whoever looks next goes on from there."""
    texts = tidy(DAILY)
    async with build(texts) as watch:
        watch.clock.turn(days=1)
        dying = Dying(watch.house.records, at, after)
        # The engine of the dead process dies with it: its transaction is the one between claim and note.
        doomed = schedules_of(watch.house, texts, dying)
        starter = watch.house.engine.start

        async def start(*args: Any, **how: Any) -> Any:
            if dying.count == 2 and at == 3 and not after:
                raise RecordsError("dead")
            return await starter(*args, **how)

        doomed._starter = type("Doomed", (), {"start": staticmethod(start)})()
        died = False
        try:
            await doomed.look()
        except RecordsError:
            died = True
        assert died == (at <= 3)

        await watch.look(seconds=1)
        await watch.look(seconds=40)  # a claim of the dead is over
        await watch.done()

        assert await watch.states() == [("2026-11-02T09:00", "done")]
        assert await watch.runs() == ["schedule:tidy:0:2026-11-02T09:00"]
        assert watch.house.effects() == ["tidy"]
        assert await watch.told() == [("ok", "")]


async def test_replicas_that_look_at_once_begin_a_tick_once(
    build: Callable[..., Any], database_url: str, tmp_path: Path
) -> None:
    """Twenty days, on each of which three with connections of their own look at the same moment."""
    texts = tidy(DAILY)
    placed = {name: text.replace("DIR", str(tmp_path)) for name, text in texts.items()}
    async with (
        build(texts) as watch,
        replica_of(database_url, watch.house, placed) as second,
        replica_of(database_url, watch.house, placed) as third,
    ):
        everybody = (watch.schedules, second, third)
        await asyncio.gather(*(each.begin() for each in everybody))
        for _ in range(20):
            watch.clock.turn(days=1)
            await asyncio.gather(*(each.look() for each in everybody))
            await watch.done()

        assert len(await watch.runs()) == len(set(await watch.runs())) == 20
        assert watch.house.effects() == ["tidy"] * 20
        assert await watch.told() == [("ok", "")] * 20


async def test_an_older_file_leaves_the_newer_ones_schedule_alone(build: Callable[..., Any]) -> None:
    """While a new version is rolled out, the replica that still has the old file fires nothing of it."""
    async with build(tidy(DAILY)) as watch:
        newer = schedules_of(watch.house, tidy("on: 'daily 21:00', timezone: Europe/Berlin"))
        await newer.begin()
        watch.clock.turn(hours=16)
        await watch.schedules.look()
        assert await watch.ticks() == []

        await newer.look()
        assert await watch.states() == [("2026-11-01T21:00", "done")]


async def test_what_only_looks_is_told_to_the_reporter_where_there_is_one(build: Callable[..., Any]) -> None:
    """A digest is no run; what acts is one whatever `report:` says."""
    checks = """
        name: tidy
        title: Look
        schedule: [{on: 'daily 9:00', report: digest}]
        steps:
          - {id: load, host.load: {target: here}}
        """
    seen: list[str] = []

    class Told:
        async def report(self, tick: Any, runbook: Any, schedule: Any) -> None:
            seen.append(f"{tick.id} {schedule.report}")

    async with build({"tidy": checks}) as watch:
        watch.schedules._reporter = Told()
        await watch.look(days=1)
        await watch.schedules.reported()

        assert seen == ["schedule:tidy:0:2026-11-02T09:00 digest"]
        assert await watch.runs() == []
        assert await watch.states() == [("2026-11-02T09:00", "done")]


async def test_a_schedule_of_no_file_is_closed_after_a_while(build: Callable[..., Any]) -> None:
    """A tick that nobody can begin does not wait for ever."""
    async with build(tidy(f"{DAILY}, jitter: 59m"), now=datetime(2026, 11, 2, 7, 59, tzinfo=UTC)) as watch:
        await watch.look(minutes=1)
        assert [state for _, state in await watch.states()] == ["waiting"]
        gone: Schedules = schedules_of(watch.house, {})
        watch.clock.turn(hours=2)
        await gone.look()

        assert [state for _, state in await watch.states()] == ["skipped"]


def test_the_clock_is_a_person_of_its_own() -> None:
    """Nobody in Slack has such an id: who is asked at a gate is never the schedule."""
    assert Person(kind="clock", id="tidy:0", name="the schedule tidy:0").is_unknown is False
