"""This process among those that carry runs: its lease, what it wakes, what it takes over from the dead."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from runbooks.engine.hold import Database
from runbooks.errors import MaintError
from runbooks.records import replicas, run_changes
from runbooks.records.runs import WaitingOn

log = structlog.get_logger()


#: Seconds that a run may be in the queue before it is queued anew; one that is in it twice is carried once.
STRANDED = 60.0
#: Seconds between two looks for what an outage made this process lose.
RECLAIM = 60.0
#: Seconds between two looks for what replicas left that are gone; it is looked for at once when one dies.
STRAYS = 5.0


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """Seconds: how long a lease is, between two proofs of life, between two looks at what is due, and
    between two looks for what was left behind."""

    lease: float = 5.0
    beat: float = 2.0
    sweep: float = 1.0
    reap: float = 2.0


@dataclass(frozen=True, kw_only=True)
class _Left:
    """What may have been left behind: by replicas that died, and by this one."""

    died: bool
    lost: tuple[tuple[str, str, int], ...]
    held_up: bool
    stranded: tuple[tuple[str, int], ...]


class Replica:
    """Proves that it lives by the database's clock; while it cannot, nothing here begins an effect."""

    def __init__(
        self,
        database: Database,
        rhythm: Rhythm,
        enqueue: run_changes.Enqueue,
        holders: Callable[[], Awaitable[tuple[str, ...]]],
        resume: Callable[[tuple[str, ...]], Awaitable[int]],
        reclaim: Callable[[], Awaitable[int]],
        nudge: Callable[[], None],
        under_way: Callable[[], tuple[str, ...]],
        now: Callable[[], datetime],
        version: str,
        id_: str,
    ) -> None:
        """`holders`: the executors that have segments under way; `resume` puts those of dead ones back on the
        queue. `id_` is unique for each boot of each process."""
        self.id = id_
        self._database = database
        self._rhythm = rhythm
        self._enqueue = enqueue
        self._holders = holders
        self._resume = resume
        self._reclaim = reclaim
        self._nudge = nudge
        self._under_way = under_way
        self._now = now
        self._version = version
        self._proven_until = 0.0
        self._next_strays = 0.0
        self._next_reap = 0.0
        self._proof = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: dict[tuple[str, int], float] = {}

    async def start(self) -> None:
        """From now on the others count on it. Raises RecordsError."""
        began = time.monotonic()
        await self._enrol()
        self._proved(began)
        self._tasks = [
            asyncio.create_task(self._every(self._rhythm.beat, self._beat), name="replica-beat"),
            asyncio.create_task(self._every(self._rhythm.sweep, self._look), name="replica-look"),
            asyncio.create_task(self._every(RECLAIM, self._take_back), name="replica-reclaim"),
        ]

    async def stop(self) -> None:
        """The others need not wait for its lease to end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._database.write(partial(replicas.leave, replica=self.id))
        except MaintError as error:
            log.warning("replica.leave", error=str(error))

    async def proven(self) -> None:
        """Returns when this replica has proved that it lives: else it would act in another's stead."""
        while time.monotonic() >= self._proven_until:
            self._proof.clear()
            await self._proof.wait()

    async def _enrol(self) -> bool:
        lease = timedelta(seconds=self._rhythm.lease)
        return await self._database.write(
            partial(
                replicas.enrol,
                replica=self.id,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=self._version,
                lease=lease,
            )
        )

    def _proved(self, began: float) -> None:
        # From before the question: the answer may have been long on its way.
        self._proven_until = began + self._rhythm.lease
        self._proof.set()

    async def _beat(self) -> None:
        began = time.monotonic()
        lease = timedelta(seconds=self._rhythm.lease)
        if await self._database.write(partial(replicas.renew, replica=self.id, lease=lease)):
            self._proved(began)
            return
        # The others have given this one up, and have its runs: it begins anew, with none. What is still
        # under way here is fenced off.
        log.warning("replica.lost", replica=self.id)
        # Not while its old row stands: whoever buries that takes over what was under way here.
        if await self._enrol():
            self._proved(began)

    async def _look(self) -> None:
        """Wakes the runs whose time has come; and now and then takes over what others left."""
        now, reaps = self._now(), time.monotonic() >= self._next_reap
        # One look for everything: most of the time there is nothing to do.
        due, left = await self._database.read(
            lambda connection: (run_changes.due(connection, now), self._left(connection) if reaps else None)
        )
        for run in due:
            await self._database.write(partial(self._wake, run=run, now=now))
        if due:
            self._nudge()
        if left is not None:
            self._next_reap = time.monotonic() + self._rhythm.reap
            await self._reap(left)

    def _wake(self, connection: Any, *, run: str, now: datetime) -> None:
        if run_changes.is_due(connection, run, now):
            run_changes.wake(connection, run, now, self._enqueue, priority=0)

    def _left(self, connection: Any) -> _Left:
        return _Left(
            died=replicas.any_dead(connection),
            lost=run_changes.orphans(connection, mine=self.id, under_way=self._under_way()),
            held_up=run_changes.held_up(connection, WaitingOn.LOCK),
            stranded=run_changes.stranded(connection),
        )

    async def _reap(self, left: "_Left") -> None:
        """Takes over what the dead left, and what this one lost sight of."""
        lost = left.lost
        dead = await self._database.write(replicas.bury) if left.died else ()
        if dead:
            log.warning("replica.died", replicas=dead)
            lost = await self._database.read(
                partial(run_changes.orphans, mine=self.id, under_way=self._under_way())
            )
        for run, executor, fence in lost:
            if executor == self.id and run in self._under_way():
                continue
            await self._database.write(
                partial(run_changes.take_from, run=run, executor=executor, fence=fence, enqueue=self._enqueue)
            )
        strays = await self._take_strays() if dead or time.monotonic() >= self._next_strays else 0
        if left.held_up:
            await self._database.write(
                partial(run_changes.wake_held_up, why=WaitingOn.LOCK, now=self._now(), enqueue=self._enqueue)
            )
        await self._queue_stranded(left.stranded)
        if strays or lost:
            self._nudge()

    async def _take_back(self) -> None:
        """Takes back what an outage of the database made the queue lose here."""
        await self._reclaim()

    async def _queue_stranded(self, found: tuple[tuple[str, int], ...]) -> None:
        """Queues anew what the queue has lost: nobody took it for longer and longer."""
        now = time.monotonic()
        self._seen = {each: self._seen.get(each, now) for each in found}
        for (run, segment), since in self._seen.items():
            if now - since > STRANDED:
                log.warning("run.stranded", run=run)
                await self._database.write(
                    partial(run_changes.queue_again, run=run, segment=segment, enqueue=self._enqueue)
                )

    async def _take_strays(self) -> int:
        """Puts back on the queue what replicas that are gone had under way there; how many segments.

        Not only of those buried right now: who buried others may have died before it came to this, and who
        left may have found no database to hand over to.
        """
        self._next_strays = time.monotonic() + STRAYS
        holders = await self._holders()
        if not holders:
            return 0
        # Read after that: a replica that has something under way was among the living before.
        alive = await self._database.read(replicas.enrolled)
        gone = tuple(sorted(set(holders) - set(alive)))
        return await self._resume(gone) if gone else 0

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except MaintError as error:
                log.warning("replica.database", error=str(error))
            except Exception:
                log.exception("replica.crashed")
