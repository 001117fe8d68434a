"""A report takes its time: what comes meanwhile begins, and nobody else takes it for dead."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runbooks.watch.lease import CLAIM
from tests.schedules.conftest import schedules_of

LOOK = """
    name: look
    title: Look
    schedule: [{on: 'daily 9:00', report: digest, channel: ops, grace: 20m}]
    steps:
      - {id: load, host.load: {target: here}}
    """
TIDY = """
    name: tidy
    title: Tidy
    schedule: [{on: 'daily 9:01'}]
    steps:
      - {id: a, command: {target: here, run: ['true'], risk: low, repeatable: true}}
    """


class Slow:
    """Is at it until the test lets it go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = asyncio.Event()

    async def report(self, tick: Any, runbook: Any, schedule: Any) -> None:
        self.begun.append(tick.id)
        await self.go.wait()


async def test_a_slow_report_holds_nothing_up_and_stays_claimed(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim grows, another replica leaves it alone, and when it is done its tick is."""
    monkeypatch.setattr("runbooks.watch.lease.RENEWAL", 0.01)
    texts = {"look": LOOK, "tidy": TIDY}
    async with build(texts, now=datetime(2026, 11, 2, 8, 59, tzinfo=UTC)) as watch:
        slow = Slow()
        watch.schedules._reporter = slow
        await watch.look(minutes=1)
        for _ in range(4):
            await watch.look(seconds=25)
            claimed = watch.clock() + CLAIM
            async with asyncio.timeout(10):
                while (await watch.ticks("look:0"))[0].claimed_until < claimed - timedelta(seconds=1):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        other = schedules_of(watch.house, texts)
        other._reporter = Slow()
        await other.look()

        assert slow.begun == ["schedule:look:0:2026-11-02T09:00"]
        assert len(await watch.runs()) == 1
        assert (await watch.ticks("look:0"))[0].out_by == datetime(2026, 11, 2, 9, 20, tzinfo=UTC)
        slow.go.set()
        await watch.schedules.reported()
        assert await watch.states("look:0") == [("2026-11-02T09:00", "done")]


async def test_a_report_that_is_broken_off_is_made_by_the_next_one(build: Callable[..., Any]) -> None:
    """A process that stops leaves its claim, and when that is over another makes the report."""
    async with build({"look": LOOK}, now=datetime(2026, 11, 2, 8, 59, tzinfo=UTC)) as watch:
        watch.schedules._reporter = Slow()
        await watch.look(minutes=1)
        await asyncio.sleep(0)
        await watch.schedules.stop()
        assert await watch.states("look:0") == [("2026-11-02T09:00", "claimed")]

        quick = Slow()
        quick.go.set()
        other = schedules_of(watch.house, {"look": LOOK})
        other._reporter = quick
        watch.clock.turn(seconds=40)
        await other.look()
        await other.reported()
        assert await watch.states("look:0") == [("2026-11-02T09:00", "done")]


async def test_every_digest_that_maint_missed_is_awaited(build: Callable[..., Any]) -> None:
    """One that is made up for stands for itself, and the others are told of as late."""
    async with build({"look": LOOK}, now=datetime(2026, 11, 2, 8, 59, tzinfo=UTC)) as watch:
        watch.schedules._reporter = Slow()
        watch.schedules._reporter.go.set()
        await watch.look(days=3)
        await watch.schedules.reported()
        assert [(tick.state, tick.out_by is not None) for tick in await watch.ticks("look:0")] == [
            ("skipped", True),
            ("skipped", True),
            ("done", True),
        ]
