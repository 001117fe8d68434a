"""Keeps the trends small: first every result, then the hours, then the days, never more than allowed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from runbooks.engine.hold import Database
from runbooks.records import trends

log = structlog.get_logger()

#: So long every result is kept however large it grows, and so long their hours.
LEAST_FULL, LEAST_HOURLY = timedelta(days=1), timedelta(days=2)
#: What is thinned before it is counted again, of what is too much.
_STRIDE = 25
#: Once there is too much, it is thinned to that share: not at every round anew.
_ROOM = 0.9


@dataclass(frozen=True, kw_only=True)
class Keep:
    """How long what is kept, and how many bytes all of it may take."""

    full: timedelta
    hourly: timedelta
    daily: timedelta
    most_bytes: int


class Thinning:
    """A round of it is safe at any moment, on any replica, and twice is the same as once."""

    def __init__(self, database: Database, keep: Keep, now: Callable[[], datetime]) -> None:
        self._database = database
        self._keep = keep
        self._now = now

    async def round(self) -> dict[str, int]:
        """Thins what is old enough, and then what is too much; how many rows. Raises RecordsError."""
        now, keep = self._now(), self._keep
        done = {
            "results": await self._all(trends.thin_results, now - keep.full),
            "hours": await self._all(trends.thin_hours, now - keep.hourly),
            "days": await self._all(trends.drop_days, now - keep.daily),
        }
        early = await self._squeeze(now)
        if early:
            log.warning(
                "trends.thinned_early", rows=early, do="raise `trends: largest_mb:`, or check less often"
            )
        return {**done, "early": early}

    async def _all(self, batch: Callable[..., int], before: datetime) -> int:
        total = 0
        while taken := await self._database.write(partial(batch, before=before)):
            total += taken
        return total

    async def _squeeze(self, now: datetime) -> int:
        """Thins the oldest before its time until there is room: results, then hours, then days."""
        most = self._keep.most_bytes
        if (await self._size()).bytes <= most:
            return 0
        total = 0
        steps: tuple[tuple[Callable[..., int], datetime], ...] = (
            (trends.thin_results, now - LEAST_FULL),
            (trends.thin_hours, now - LEAST_HOURLY),
            (trends.drop_days, now),
        )
        for batch, before in steps:
            while (await self._size()).bytes > most * _ROOM:
                taken = [await self._database.write(partial(batch, before=before)) for _ in range(_STRIDE)]
                total += sum(taken)
                if not taken[-1]:
                    break
        return total

    async def _size(self) -> trends.Size:
        return await self._database.read(_size)


def _size(connection: Any) -> trends.Size:
    return trends.size(connection)
