"""Digests come by themselves, once and in order, and one that does not come is noticed, as people see it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.sandbox import Message
from bot.sandbox.faults import Fault, Trouble
from runbooks.records import schedules as rows
from runbooks.records.records import Records
from tests.scenario.floor import Floor

DIGEST = "{on: 'daily 9:00', timezone: Europe/Berlin, report: digest, channel: ops}"
CHANGES = "{every: 6h, report: changes, channel: alerts, missed: latest}"
WEEKLY = "{on: 'every Monday 9:00', timezone: Europe/Berlin, report: weekly, channel: ops}"
#: Months with a change of the clock in Berlin, and the hours of UTC at which it is nine there.
AUTUMN = (datetime(2026, 10, 12, tzinfo=UTC), (7, 8))
SPRING = (datetime(2027, 3, 15, tzinfo=UTC), (8, 7))
#: Ticks with which nobody is done, and reports as they were made.
UNDER_WAY = "SELECT count(*) FROM ticks WHERE wake_at IS NOT NULL"
IN_ORDER = "SELECT posted_ts, source FROM reports ORDER BY started, source"
TUESDAYS = "{on: 'every Tuesday 18:00', timezone: Europe/Berlin, report: digest, channel: ops}"
OFTEN = "{every: 2m, report: digest, channel: ops, missed: all, overlap: queue, grace: 5m}"
HEALTH = """
    name: health
    title: Morning health check
    owner: oncall
    schedule: [SCHEDULES]
    steps:
      - id: up
        title: response
        http.probe: {target: app, warning: {elapsed_ms: {above: 3000}}, critical: {elapsed_ms: {above: 9000}}}
    """


def on_schedule(floor: Floor, *schedules: str) -> None:
    """The health runbook with those."""
    floor.runbook("health", HEALTH.replace("SCHEDULES", ", ".join(schedules)))


def posted(floor: Floor, words: str, channel: str = "ops") -> list[Message]:
    """The messages of the channel itself with those words, oldest first."""
    messages = floor.sandbox.messages(channel)
    return [each for each in messages if words in each.shown and not each.thread_ts]


def flat(message: Message) -> str:
    """Its words in one line."""
    return " ".join(message.shown.split())


async def newest(floor: Floor, words: str, channel: str = "ops") -> Message:
    """The last of them, once there is one."""
    found = await floor.until(
        lambda: posted(floor, words, channel), lambda: str([m.shown for m in floor.sandbox.messages(channel)])
    )
    last: Message = found[-1]
    return last


@asynccontextmanager
async def looked_into(floor: Floor) -> AsyncIterator[Records]:
    """A second look at the database."""
    records = await Records.open(str(floor.workplace.settings["database"]))
    try:
        yield records
    finally:
        await records.close()


async def settled(records: Records, now: datetime) -> None:
    """What had come by then is made, and stands in Slack."""

    def left(connection: Any) -> bool:
        # Due, under way, or made and not taken note of.
        waits = connection.exec_driver_sql(
            "SELECT count(*) FROM reports WHERE posted_channel != '' AND noted_at IS NULL"
        ).scalar()
        under_way = connection.exec_driver_sql(UNDER_WAY).scalar()
        return bool(waits or under_way or rows.due(connection, now))

    async with asyncio.timeout(30):
        while await records.read(left):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def evening_before(day: datetime) -> timedelta:
    """From now to 22:00 UTC of the day before."""
    return day - timedelta(hours=2) - datetime.now(UTC)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("first", "hours"), [AUTUMN, SPRING])
async def test_a_month_of_digests_with_both_changes_of_the_clock(
    floor: Floor, first: datetime, hours: tuple[int, int]
) -> None:
    """At nine in Berlin every day, whatever the clock does: one message a day, and each says how it was."""
    on_schedule(floor, DIGEST)
    floor.clock.turned = evening_before(first)
    async with floor.open(), looked_into(floor) as records:
        for _ in range(31):
            for _ in range(2):
                floor.clock.turn(hours=12)
                await settled(records, floor.clock())
        ticks = await records.read(lambda connection: rows.newest_ticks(connection, "health:0", limit=50))

    assert [tick.local for tick in reversed(ticks)] == [
        f"{first + timedelta(days=day):%Y-%m-%d}T09:00" for day in range(31)
    ]
    assert {tick.fire_at.hour for tick in ticks} == set(hours)
    messages = posted(floor, "Morning health check: ok")
    assert len(messages) == 31
    assert "nothing changed" in messages[-1].shown.lower() or "change" in messages[-1].shown
    assert "1 of 1 check ran" in messages[-1].shown


async def test_a_digest_says_what_is_not_fine_first_then_what_changed(floor: Floor) -> None:
    """And what is beside the checks: alerts, approvals, what comes today, who is on call."""
    floor.workplace.settings["rotations"] = {"ops": {"people": ["U0000ADMIN"]}}
    floor.workplace.settings["alerts"] = {"channel": "alerts"}
    on_schedule(floor, DIGEST, TUESDAYS)
    floor.clock.turned = evening_before(datetime(2026, 11, 23, tzinfo=UTC))
    async with floor.open(), looked_into(floor) as records:
        floor.clock.turn(hours=12)
        await settled(records, floor.clock())
        floor.site.status = 500
        floor.clock.turn(hours=24)
        await settled(records, floor.clock())
        digest = await newest(floor, "Morning health check: critical")

        shown = flat(digest)
        assert shown.index("critical") < shown.index("Since") < shown.index("ran, in")
        assert "app response" in shown
        assert "is critical, was ok" in shown
        assert "open alert" in shown
        assert "Today" in shown
        assert "On call: admin (ops)" in shown
        await floor.replies(digest, "HTTP")


async def test_its_trends_are_a_picture_in_its_thread(floor: Floor) -> None:
    """With words for those who cannot see it, once there is enough to draw."""
    on_schedule(floor, DIGEST)
    floor.clock.turned = evening_before(datetime(2026, 11, 23, tzinfo=UTC))
    async with floor.open(), looked_into(floor) as records:
        for _ in range(4):
            floor.clock.turn(hours=24)
            await settled(records, floor.clock())
        card = posted(floor, "Morning health check")[-1]

        def pictures() -> list[Any]:
            return [file for each in floor.sandbox.thread(card) for file in each.files if ".png" in file.name]

        (picture,) = await floor.until(pictures, lambda: str(floor.sandbox.thread(card)))
    assert picture.content.startswith(b"\x89PNG")
    assert "response: app" in picture.alt_text


async def test_changes_tell_only_what_changed_and_one_line_proves_the_silence(floor: Floor) -> None:
    """One line a day, edited in place: so many looks."""
    on_schedule(floor, CHANGES)
    floor.clock.turned = evening_before(datetime(2026, 11, 23, tzinfo=UTC)) + timedelta(hours=3)
    async with floor.open(), looked_into(floor) as records:
        for _ in range(3):
            floor.clock.turn(hours=6)
            await settled(records, floor.clock())
        line = await newest(floor, "on 2026-11-23", "alerts")
        await floor.shows(line, "3 looks on 2026-11-23", "Nothing changed.", "all 1 check fine")
        assert posted(floor, "change, now", "alerts") == []

        floor.site.status = 500
        floor.clock.turn(hours=6)
        await settled(records, floor.clock())
        news = await newest(floor, "1 change, now critical", "alerts")
        assert "is critical, was ok" in flat(news)
        floor.clock.turn(hours=6)
        await settled(records, floor.clock())
        tomorrow = await newest(floor, "on 2026-11-24", "alerts")
        await floor.shows(tomorrow, "Not fine: app response")
        assert len(posted(floor, "1 change, now", "alerts")) == 1


async def test_the_weekly_form_says_how_the_week_was(floor: Floor) -> None:
    """Percentiles, uptime, alerts: without looking anew."""
    floor.workplace.settings["alerts"] = {"channel": "alerts"}
    on_schedule(floor, DIGEST, WEEKLY)
    floor.clock.turned = evening_before(datetime(2026, 11, 17, tzinfo=UTC))
    async with floor.open(), looked_into(floor) as records:
        for day in range(7):
            floor.site.status = 500 if day == 2 else 200
            floor.clock.turn(hours=24)
            await settled(records, floor.clock())
        form = await newest(floor, "the week")

    assert "p50" in flat(form)
    assert "p99" in flat(form)
    assert re.search(r"app: \d+\.\d\d% up of [67] looks", flat(form))
    assert "Alerts opened: 7" in flat(form)
    assert "Mean time to resolve" in flat(form)


async def test_a_digest_that_maint_missed_is_an_alert_when_it_is_back(floor: Floor) -> None:
    """The digest comes late and says so; the alert is over then, and stands in the log."""
    floor.workplace.settings["alerts"] = {"channel": "alerts"}
    on_schedule(floor, DIGEST)
    floor.clock.turned = evening_before(datetime(2026, 11, 23, tzinfo=UTC))
    async with floor.open():
        pass
    floor.clock.turn(hours=12)
    async with floor.open(), looked_into(floor) as records:
        await settled(records, floor.clock())
        digest = await newest(floor, "Morning health check")
        assert "Late: it was to come" in flat(digest)
        alert = await floor.card("The digest health:0 did not go out", "alerts")
        said = "That of 2026-11-23 09:00 Europe/Berlin was not in Slack 15m later."
        await floor.shows(alert, "resolved", said)
    assert [name for name, _ in await floor.audited("alert.opened")] == ["Maint"]


async def test_slack_is_away_for_ten_minutes_and_everything_comes_once_in_order(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what had arrived although its answer was lost."""
    monkeypatch.setattr("bot.slack.board.RETRY", 0.05)
    floor.workplace.settings["alerts"] = {"channel": "alerts"}
    on_schedule(floor, OFTEN)
    async with floor.open(), looked_into(floor) as records:
        floor.clock.turn(minutes=2)
        await settled(records, floor.clock())
        floor.sandbox.faults.plan("chat.postMessage", Fault(Trouble.DROP_AFTER, times=1))
        floor.sandbox.faults.plan("chat.postMessage", Fault(Trouble.SERVER_ERROR, times=10_000))
        for _ in range(5):
            floor.clock.turn(minutes=2)
            await made(records, floor.clock())
        assert await alerts_open(floor)
        floor.sandbox.faults.clear()
        await settled(records, floor.clock())

        def stood(connection: Any) -> list[tuple[str, str]]:
            found = connection.exec_driver_sql(IN_ORDER)
            return [(row[0], row[1]) for row in found]

        in_order = await records.read(stood)
    assert len(in_order) == 6
    assert [ts for ts, _ in in_order] == sorted(ts for ts, _ in in_order)
    assert [each.ts for each in posted(floor, "Morning health check")] == [ts for ts, _ in in_order]


async def made(records: Records, now: datetime) -> None:
    """What had come by then is made, posted or not."""

    def left(connection: Any) -> bool:
        under_way = connection.exec_driver_sql(UNDER_WAY).scalar()
        return bool(under_way or rows.due(connection, now))

    async with asyncio.timeout(30):
        while await records.read(left):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def alerts_open(floor: Floor) -> bool:
    """The late digest is an alert, although Slack cannot show it yet."""
    async with asyncio.timeout(10):
        while not await floor.audited("alert.opened"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return True


async def test_the_dead_mans_switch_hears_of_each_digest_and_each_cycle(floor: Floor) -> None:
    """A real server counts the calls; one that fails, or is slow, holds nothing up."""
    heard: list[str] = []

    async def ping(request: web.Request) -> web.Response:
        heard.append(request.path_qs)
        return web.Response(status=500 if len(heard) == 2 else 200)

    application = web.Application()
    application.router.add_get("/{path:.*}", ping)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        floor.workplace.settings["heartbeat"] = f"http://127.0.0.1:{port}/ping/1b2c3d4e-uuid"
        on_schedule(floor, CHANGES)
        async with floor.open(), looked_into(floor) as records:
            floor.clock.turn(hours=6)
            await settled(records, floor.clock())
            await until(lambda: len(heard) == 2)
        assert heard == ["/ping/1b2c3d4e-uuid/start", "/ping/1b2c3d4e-uuid"]
        heard.clear()
        on_schedule(floor, "{every: 1h, report: digest, channel: ops}")
        async with floor.open(), looked_into(floor) as records:
            floor.sandbox.faults.plan("chat.postMessage", Fault(Trouble.RATELIMITED, times=1, seconds=1))
            floor.clock.turn(hours=1)
            await settled(records, floor.clock())
            await until(lambda: len(heard) == 2)
        assert heard == ["/ping/1b2c3d4e-uuid/start", "/ping/1b2c3d4e-uuid"]
    finally:
        await runner.cleanup()


async def until(true: Any) -> None:
    """Waits for it."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_people_look_at_the_digest_of_this_moment_and_post_it(floor: Floor) -> None:
    """For oneself alone, of what one may see; for everybody, with the right to."""
    on_schedule(floor, DIGEST)
    grants = floor.workplace.settings["grants"]
    assert isinstance(grants, list)
    grants.append(
        {"role": "sre", "commands": ["digest"], "environments": ["production"], "channels": ["ops"]}
    )
    async with floor.open():
        await floor.type("sre1", "digest")
        told = await floor.told("sre1", "Morning health check: ok")
        assert "Without 1 that you may not see" in told.shown
        assert posted(floor, "Morning health check") == []
        await floor.type("sre1", "digest post")
        await floor.told("sre1", "every environment")

        await floor.type("admin", "digest post")
        await floor.told("admin", "It goes to #ops")
        await floor.sees("Morning health check: ok")
        await floor.type("admin", "digest weekly")
        await floor.told("admin", "the week")
        assert len(posted(floor, "Morning health check")) == 1


PAGE = (Path(__file__).parents[2] / "docs" / "digests.md").read_text(encoding="utf-8")


async def test_what_the_page_shows_can_be_typed(floor: Floor) -> None:
    """Every command of docs/digests.md is understood and done."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    typed = [line.removeprefix("maint ") for line in lines if line.startswith("maint digest")]
    on_schedule(floor, DIGEST)
    async with floor.open():
        for line in typed:
            await floor.type("admin", line)
        await until_answered(floor, len(typed))
    events = [each.event for each in await floor.workplace.audit() if each.event.action.endswith(".finished")]
    assert [str(event.outcome) for event in events] == ["ok"] * len(typed)


async def until_answered(floor: Floor, count: int) -> None:
    """So many private answers are there."""
    member = floor.sandbox.workspace.member("admin").id

    def private() -> list[str]:
        return [m.shown for m in floor.sandbox.messages("ops", "admin") if m.ephemeral_to == member]

    await floor.until(lambda: len(private()) >= count, lambda: str(private()))
