"""Keeps a tick claimed while something is done about it that takes its time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import structlog

from runbooks.engine.hold import Database
from runbooks.errors import RecordsError
from runbooks.records import schedules as records
from runbooks.records.schedules import TickRow

log = structlog.get_logger()

#: A replica that began with a tick has so long, before another looks what came of it.
CLAIM = timedelta(seconds=30)
#: Seconds between two times that a claim is made longer.
RENEWAL = 10.0


class Lease:
    """The claim on one tick. Who has lost it goes on all the same: what is done about a tick is done once,
    because its report has an id."""

    def __init__(self, database: Database, tick: TickRow, now: Callable[[], datetime]) -> None:
        self._database = database
        self._tick = tick
        self._now = now
        self._renewing = asyncio.Lock()
        self._keeping = asyncio.create_task(self._keep(), name=f"lease {tick.id}")

    async def end(self) -> TickRow:
        """The tick with the claim as it is now; from now on it is not made longer."""
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        async with self._renewing:
            return self._tick

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            until = self._now() + CLAIM
            # Not broken off half-way: nobody knew then whether the claim is the old one or the new one.
            if not await asyncio.shield(asyncio.ensure_future(self._renew(until))):
                return

    async def _renew(self, until: datetime) -> bool:
        async with self._renewing:
            return await self._renew_now(until)

    async def _renew_now(self, until: datetime) -> bool:
        try:
            held = await self._database.write(partial(records.hold_on, tick=self._tick, until=until))
        except RecordsError as error:
            log.warning("schedule.claim.not_renewed", tick=self._tick.id, error=str(error))
            return True
        if held is None:
            return False
        self._tick = held
        return True


@asynccontextmanager
async def held(database: Database, tick: TickRow, now: Callable[[], datetime]) -> AsyncIterator[Lease]:
    """The claim is kept from entering to leaving, or to `end`."""
    lease = Lease(database, tick, now)
    try:
        yield lease
    finally:
        await lease.end()
