"""Tells the time: looks every second, and at the very moment of each schedule, whether something is due.

APScheduler keeps it all in memory, and decides nothing: what is due, and that it is done once, stands in the
database. A replica whose clock stops loses nothing: the others look as well.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from runbooks.errors import MaintError
from runbooks.watch.fire_times import FireTimes, next_fire

log = structlog.get_logger()

#: Does what is due.
Look = Callable[[], Awaitable[object]]


class AtFireTimes(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Our fire times as APScheduler wants them: its own trigger skips and doubles times in many zones."""

    __slots__ = ("_times",)

    def __init__(self, times: FireTimes) -> None:
        self._times = times

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first fire after the last one, or from now on."""
        found = next_fire(self._times, previous_fire_time or now)
        return found.at if found else None


class Clock:
    """Looks from `start` to `stop`, never twice at a time."""

    def __init__(self, looks: Mapping[str, Look], times: Mapping[str, FireTimes], sweep: float = 1.0) -> None:
        """`looks`: what looks for what, by a name for the log. `sweep`: seconds between two of them."""
        self._looks = looks
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # What APScheduler says of its jobs, that one was late, or still at work, is no news here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        defaults: dict[str, Any] = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)
        self._scheduler.add_job(self._wake, IntervalTrigger(seconds=sweep, timezone=UTC))
        for id_, each in times.items():
            self._scheduler.add_job(self._wake, AtFireTimes(each), id=id_)

    def start(self) -> None:
        """From now on. Within the event loop."""
        self._due.set()
        self._task = asyncio.create_task(self._run(), name="clock")
        self._scheduler.start()

    async def stop(self) -> None:
        """Breaks off what is under way: whoever looks next does it."""
        self._scheduler.shutdown(wait=False)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _wake(self) -> None:
        self._due.set()

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            for name, look in self._looks.items():
                try:
                    await look()
                except MaintError as error:
                    log.warning("clock.failed", look=name, error=str(error))
                except Exception:
                    log.exception("clock.crashed", look=name)
