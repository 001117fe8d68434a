"""The database as the event loop sees it: every call runs in a thread, and none waits for ever."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, text

from runbooks.errors import RecordsError
from runbooks.records import audit, cards, deliveries, measurements, pruning, step_memory, watch_pruning
from runbooks.records.audit import Event, Filter, Recorded
from runbooks.records.cards import Card
from runbooks.records.database import POOL_SIZE, cut_off, open_database, reading
from runbooks.records.deliveries import Entry
from runbooks.records.measurements import Last, Series, StoredResult
from runbooks.records.migrate import migrate
from runbooks.records.person import Person
from runbooks.records.trouble import plain_errors, where
from runbooks.scrub import Scrubber

T = TypeVar("T")

#: Seconds that closing waits for a database that does not answer, and once more when it was cut off.
LONGEST_CLOSE = 5.0
#: Events that one transaction takes. At 256, one wait for the disk serves everybody who is waiting.
_BATCH = 256


class Records:
    """Every method is one transaction. All raise RecordsError when the database cannot do it in time:
    then nothing is acknowledged, and whoever asked must not go on as if it stood."""

    def __init__(self, engine: Engine, *, patience: float = 60) -> None:
        """`patience` is how long one call may take, in seconds."""
        self.engine = engine
        self._patience = patience
        # Threads of our own: a database that hangs must not take those that resolve host names.
        self._threads = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="records")
        self._waiting: list[tuple[Entry, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, scrub: Scrubber | None = None, by: Person | None = None) -> Self:
        """Opens the database and brings its schema up to date; `by`: see `migrate`."""
        engine = await asyncio.to_thread(open_database, url, scrub)
        records = cls(engine)
        try:
            await asyncio.to_thread(migrate, engine, by)
        except BaseException:
            await records.close()
            raise
        return records

    async def close(self) -> None:
        """Waits for what is being recorded, then lets go of the connections, of stuck ones by force."""
        ending = asyncio.create_task(self._end())
        done, _ = await asyncio.wait({ending}, timeout=LONGEST_CLOSE)
        if not done:
            # The process could not end: Python waits for every thread, and these wait for the server.
            cut_off(self.engine)
            await asyncio.wait({ending}, timeout=LONGEST_CLOSE)
        await asyncio.to_thread(self.engine.dispose)

    async def _end(self) -> None:
        if self._writer is not None:
            await asyncio.wait([self._writer])
        # A thread whose caller was cancelled is still at work, on a connection that would be left open.
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def ping(self) -> None:
        """Returns when the database answers."""
        await self.read(lambda connection: connection.execute(text("SELECT 1")))

    async def record(self, event: Event, delivery_key: str | None = None) -> bool:
        """Adds an audit event; returns when it is on the disk.

        False when the delivery of that key was recorded before: the event then stands as a `duplicate`,
        and nothing else may be done for it. Events that wait at the same time share a transaction.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((Entry(event, delivery_key), done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._record_waiting(), name="records-writer")
        return await done

    async def events(
        self, which: Filter | None = None, *, before: int | None = None, limit: int = 50
    ) -> tuple[Recorded, ...]:
        """A page of audit events, newest first; `before` is the `seq` of the last one on the page before."""
        return await self.read(partial(audit.newest, which=which, before=before, limit=limit))

    async def keep(
        self, results: Sequence[StoredResult], also: Callable[[Connection], None] = lambda _: None
    ) -> None:
        """Saves the results of a whole report; and in the same transaction does `also`."""

        def kept(connection: Connection) -> None:
            measurements.keep(connection, results)
            also(connection)

        await self.write(kept)

    async def previous(self, series: Iterable[Series]) -> dict[Series, Last]:
        """The last values of each series that ever had any."""
        return await self.read(lambda connection: measurements.previous(connection, series))

    async def medians(self, series: Iterable[Series], days: float = 7) -> dict[Series, float]:
        """The median headline of each series over the last days; a series without a number is left out."""
        return await self.read(lambda connection: measurements.medians(connection, series, days))

    async def add_card(self, card: Card) -> None:
        """Remembers a card that is about to be posted."""
        await self.write(lambda connection: cards.add(connection, card))

    async def card_posted(self, card_id: str, ts: str) -> bool:
        """Notes where the card stands. False when it stands somewhere already."""
        return await self.write(lambda connection: cards.posted(connection, card_id, ts))

    async def card_finished(self, card_id: str) -> None:
        """Notes that the card says its last."""
        await self.write(lambda connection: cards.finished(connection, card_id))

    async def unfinished_cards(self, before: datetime) -> tuple[Card, ...]:
        """The cards from before that time that never said their last, oldest first."""
        return await self.read(lambda connection: cards.unfinished(connection, before))

    async def prune(
        self,
        *,
        deliveries_days: float = 1,
        outbox_days: float = 7,
        ticks_days: float = 90,
        memory_days: float = 400,
        watch_days: float = 180,
    ) -> dict[str, int]:
        """Removes what is older, batch by batch; how many rows of which table. Audit events stay, and
        whatever is not over; check results are thinned, not removed: `runbooks.watch.thinning`."""
        return {
            "deliveries": await self._prune(pruning.prune_deliveries, deliveries_days),
            "outbox": await self._prune(pruning.prune_outbox, outbox_days),
            "ticks": await self._prune(pruning.prune_ticks, ticks_days),
            "step_memory": await self._prune(step_memory.prune, memory_days),
            "alerts": await self._prune(watch_pruning.prune_alerts, watch_days),
            "notices": await self._prune(watch_pruning.prune_notices, watch_days),
            "ladders": await self._prune(watch_pruning.prune_ladders, watch_days),
            "freezes": await self._prune(watch_pruning.prune_freezes, watch_days),
            "reports": await self._prune(watch_pruning.prune_reports, watch_days),
            "rotations_overrides": await self._prune(watch_pruning.prune_overrides, watch_days),
        }

    async def _prune(self, batch: Callable[..., int], days: float) -> int:
        before = datetime.now(UTC) - timedelta(days=days)
        total = 0
        while removed := await self.write(partial(batch, before=before)):
            total += removed
        return total

    async def _record_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if await self._record(batch):
                continue
            for one in batch:
                await self._record([one], alone=True)

    async def _record(self, batch: list[tuple[Entry, asyncio.Future[bool]]], alone: bool = False) -> bool:
        """Records a batch and tells whoever waits; False when one of several is at fault, and nothing is."""
        entries = [entry for entry, _ in batch]
        try:
            firsts = await self.write(lambda connection: deliveries.record(connection, entries))
        except RecordsError as error:
            _tell(batch, error)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            if not alone:
                return False
            _tell(batch, error)
        else:
            for (_, done), first in zip(batch, firsts, strict=True):
                if not done.done():
                    done.set_result(first)
        return True

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction that only reads."""
        return await self._run(reading, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` in one transaction: all of it stands, or nothing."""
        return await self._run(Engine.begin, work)

    async def _run(
        self,
        begin: Callable[[Engine], AbstractContextManager[Connection]],
        work: Callable[[Connection], T],
    ) -> T:
        def in_thread() -> T:
            with plain_errors(self.engine.url), begin(self.engine) as connection:
                return work(connection)

        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.get_running_loop().run_in_executor(self._threads, in_thread)
        except TimeoutError as error:
            raise RecordsError(
                f"{where(self.engine.url)} did not answer in {self._patience:g} s. "
                "Whether it did what was asked is not known."
            ) from error


def _tell(batch: list[tuple[Entry, asyncio.Future[bool]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)
