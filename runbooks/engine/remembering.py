"""The memory that steps are handed, in the database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from runbooks.engine.hold import Database
from runbooks.records import step_memory, trends
from runbooks.records.step_memory import Remembered
from runbooks.steps.memory import History
from runbooks.steps.reach import utc_now


@dataclass(frozen=True)
class KeptMemory:
    """See `runbooks.steps.memory.Memory`."""

    database: Database
    now: Callable[[], datetime] = utc_now

    async def remember(self, kind: str, target: str, name: str, value: Any) -> None:
        """Keeps it, as it is now."""
        row: dict[str, Any] = {"kind": kind, "target": target, "name": name, "value": value, "at": self.now()}
        await self.database.write(partial(step_memory.remember, **row))

    async def last(
        self, kind: str, target: str, name: str, before: datetime | None = None
    ) -> Remembered | None:
        """The newest one, if there is any."""
        asked: dict[str, Any] = {"kind": kind, "target": target, "name": name, "before": before}
        return await self.database.read(partial(step_memory.last, **asked))

    async def recent(self, kind: str, target: str, name: str, limit: int) -> Sequence[Remembered]:
        """The newest ones, the newest first."""
        asked: dict[str, Any] = {"kind": kind, "target": target, "name": name, "limit": limit}
        return await self.database.read(partial(step_memory.recent, **asked))

    async def measured(self, kind: str, target: str, since: datetime) -> History:
        """What checks of that kind have measured there since then."""
        found, points = await self.database.read(
            partial(trends.measured, kind=kind, target=target, since=since)
        )
        if found.mean is None or found.p95 is None or found.low is None or found.high is None:
            return History()
        numbers = {"mean": found.mean, "p95": found.p95, "low": found.low, "high": found.high}
        return History(count=found.count, points=points, **numbers)
