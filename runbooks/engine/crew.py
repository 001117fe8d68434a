"""This process as one of those that carry runs: what it needs for that, started and stopped in order."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from runbooks.engine.carrier import Carrier
from runbooks.engine.engine import Engine
from runbooks.engine.hold import Database
from runbooks.engine.replica import Replica, Rhythm
from runbooks.ids import new_id
from runbooks.steps.reach import utc_now

#: Days that DBOS remembers a segment that is done; who enqueues it again in that time does nothing.
REMEMBERED = timedelta(days=1)


class Crew:
    """Carries runs from `start` to `stop`."""

    def __init__(
        self,
        engine: Engine,
        database: Database,
        sql: Any,
        *,
        version: str,
        rhythm: Rhythm | None = None,
        concurrency: int = 50,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`sql` is the database's engine, which DBOS shares; `concurrency`: runs under way at a time."""
        self._engine = engine
        self._now = now
        self.id = new_id()
        self._carrier = Carrier(sql, self.id, self._advance, concurrency=concurrency)
        self._replica = Replica(
            database,
            rhythm or Rhythm(),
            self._carrier.enqueue,
            self._carrier.holders,
            self._carrier.resume,
            self._carrier.reclaim,
            self._carrier.nudge,
            engine.under_way,
            now,
            version,
            self.id,
        )
        engine.connect(self._carrier)

    async def start(self) -> None:
        """Takes its place among the replicas, and carries from then on. Raises RecordsError."""
        await self._carrier.prepare()
        await self._replica.start()
        try:
            await self._carrier.start()
        except BaseException:
            await self._replica.stop()
            raise

    async def stop(self, seconds: float) -> None:
        """Gives what is under way that long, and hands the rest over to the others."""
        await self._carrier.stop(seconds)
        await self._replica.stop()

    async def tidy(self) -> int:
        """Forgets the secrets of runs that are over, and the segments that were done long ago; how many."""
        await self._engine.forget_secrets()
        return await self._carrier.forget(self._now() - REMEMBERED)

    async def _advance(self, run: str, segment: int) -> None:
        await self._engine.advance(run, segment, self.id, self._replica.proven)
