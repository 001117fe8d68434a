"""Looks every second for what is due, on every replica, and has it done: what decides is rows, no timer.

Whoever comes first does it, by an UPDATE on condition that it is still due: two replicas that see the same
do it once, and what one that died left undone another sees.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog

from runbooks.engine.hold import Database
from runbooks.errors import MaintError

log = structlog.get_logger()

#: Seconds between two looks.
SWEEP = 1.0


class Duty(Protocol):
    """Something that is done when its time has come."""

    name: str

    def due(self, connection: Any, now: datetime) -> Sequence[Any]:
        """What has to be done now, the oldest first, not more than can be done at once. One quick query: it
        is asked every second."""
        ...

    async def attend(self, item: Any, now: datetime) -> None:
        """Does it, if it is still due. Raises MaintError: it is tried again at the next look."""
        ...


class Sentry:
    """One for each process."""

    def __init__(
        self,
        database: Database,
        duties: Sequence[Duty],
        now: Callable[[], datetime],
        *,
        sweep: float = SWEEP,
    ) -> None:
        self._database = database
        self._duties = tuple(duties)
        self._now = now
        self._sweep = sweep
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to look, in the running event loop."""
        self._loop = asyncio.create_task(self._watch(), name="sentry")

    async def stop(self) -> None:
        """What is under way is left to another replica, or to the next start."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def look(self) -> int:
        """Does everything that is due now; how much there was. Raises RecordsError when nobody can tell."""
        now = self._now()
        # One look for everything: most of the time there is nothing to do.
        found = await self._database.read(
            lambda connection: [(duty, list(duty.due(connection, now))) for duty in self._duties]
        )
        for duty, items in found:
            for item in items:
                await self._attend(duty, item, now)
        return sum(len(items) for _, items in found)

    async def _attend(self, duty: Duty, item: Any, now: datetime) -> None:
        """What goes wrong with one must not keep the others waiting."""
        try:
            await duty.attend(item, now)
        except MaintError as error:
            log.warning("sentry.failed", duty=duty.name, item=str(item), error=str(error))
        except Exception:
            log.exception("sentry.crashed", duty=duty.name, item=str(item))

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except MaintError as error:
                log.warning("sentry.database", error=str(error))
            except Exception:
                log.exception("sentry.crashed")  # the next look may do better
            await asyncio.sleep(self._sweep)
