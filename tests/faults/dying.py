"""A process that carries runs and comes to harm at exactly one of its writes, and the one that follows it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import text

from runbooks.engine.authority import Everybody
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.engine.engine import Engine
from runbooks.engine.sealing import Sealer
from runbooks.errors import RecordsError
from runbooks.records import run_changes, runs
from runbooks.records.records import Records
from runbooks.records.runs import RunView
from runbooks.scrub import Scrubber
from runbooks.targets import HostTarget
from tests.runs.conftest import KEY, OLGA, RITA, SAM, Clock, runbooks_of

T = TypeVar("T")

#: A queue as the real one is: an entry stands or falls with the transaction that makes it.
_QUEUE = "CREATE TABLE IF NOT EXISTS queue_double (run TEXT, segment INTEGER, PRIMARY KEY (run, segment))"
_PUT = "INSERT INTO queue_double VALUES (:run, :segment) ON CONFLICT DO NOTHING"
_NEXT = "SELECT run, segment FROM queue_double ORDER BY run, segment LIMIT 1"
_TAKEN = "DELETE FROM queue_double WHERE run = :run AND segment = :segment"


class Harm(StrEnum):
    """What happens at the write that is chosen."""

    NONE = "none"
    REFUSED = "refused"  #: the database does not take it
    UNHEARD = "unheard"  #: it is done, and the answer gets lost
    DEATH_BEFORE = "death_before"  #: kill -9 right before it
    DEATH_AFTER = "death_after"  #: kill -9 right after it


class Dying:
    """The records of a process that comes to harm at its `at`-th write."""

    def __init__(self, records: Records, harm: Harm, at: int) -> None:
        self._records = records
        self._harm = harm
        self._at = at
        self.writes = 0
        self.died = asyncio.Event()

    async def read(self, work: Callable[[Any], T]) -> T:
        """As the records do; the dead read no more."""
        if self.died.is_set():
            await asyncio.Event().wait()
        return await self._records.read(work)

    async def write(self, work: Callable[[Any], T]) -> T:
        """As the records do, but for the chosen one."""
        if self.died.is_set():
            await asyncio.Event().wait()
        number, self.writes = self.writes, self.writes + 1
        if number != self._at:
            return await self._records.write(work)
        if self._harm is Harm.REFUSED:
            raise RecordsError("The database is away.")
        if self._harm is not Harm.DEATH_BEFORE:
            result = await self._records.write(work)
        if self._harm is Harm.NONE:
            return result
        if self._harm is Harm.UNHEARD:
            raise RecordsError("Nobody knows whether the database did it.")
        self.died.set()
        return await asyncio.Event().wait()  # type: ignore[func-returns-value]

    @property
    def struck(self) -> bool:
        """Whether it came to that write at all."""
        return self.writes > self._at


class Queue:
    """Keeps segments in a table, for whoever looks there."""

    def enqueue(self, connection: Any, run: str, segment: int) -> None:
        """Within the caller's transaction."""
        connection.execute(text(_PUT), {"run": run, "segment": segment})

    def nudge(self) -> None:
        """Nobody sleeps here."""


async def ready(records: Records) -> None:
    """Makes the table of the queue."""
    await records.write(lambda connection: connection.execute(text(_QUEUE)))


@dataclass
class Story:
    """One run from its start to its end, through as many processes as it takes. People answer by the policy:
    the newest answer of a kind again and again when it runs out."""

    records: Records
    folder: Path
    text: str
    runbook: str
    policy: Mapping[str, str]
    clock: Clock
    answers: list[tuple[str, str, str]] = field(default_factory=list)
    processes: int = 0

    async def tell(self, harm: Harm = Harm.NONE, at: int = -1) -> RunView | None:
        """The run when it is over; None when the process was done before its `at`-th write."""
        run = await self._begin()
        database = Dying(self.records, harm, at)
        await self._process(database, run)
        if not database.struck and harm is not Harm.NONE:
            return None
        while True:
            view = await self._view(run)
            if view.run.over:
                return view
            assert self.processes < 4, f"it goes no further: {view.run.state} {view.run.waiting_on} " + str(
                [(row.path, row.state, row.error) for row in view.steps]
            )
            await self._take_over()
            await self._process(Dying(self.records, Harm.NONE, -1), run)

    async def _begin(self) -> str:
        engine = self._engine(self.records)
        return (await engine.start(self.runbook, {}, RITA, channel="C1")).id

    async def _process(self, database: Dying, run: str) -> None:
        """From its boot to its death, or until the run goes no further by itself."""
        self.processes += 1
        engine = self._engine(database)
        life = asyncio.create_task(self._live(engine, run))
        death = asyncio.create_task(database.died.wait())
        async with asyncio.timeout(40):
            await asyncio.wait({life, death}, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if not life.done():
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            return
        life.result()

    async def _live(self, engine: Engine, run: str) -> None:
        executor = f"process-{self.processes}"

        async def proven() -> None:
            return

        for _ in range(200):
            if segment := await self.records.read(_next):
                await engine.advance(*segment, executor, proven)
                await self.records.write(lambda connection, done=segment: _taken(connection, *done))
                continue
            view = await self._view(run)
            if view.run.over:
                return
            if view.open_asks:
                await self._answer(engine, view)
            elif view.run.wake_at is not None:
                self.clock.now = max(self.clock.now, view.run.wake_at)
                await self._wake(engine, run)
            elif not await self.records.read(_next):
                return
        raise AssertionError("it goes round in circles")

    async def _answer(self, engine: Engine, view: RunView) -> None:
        ask = view.open_asks[0]
        choice = self.policy.get(f"{ask.kind} {ask.path}") or self.policy[ask.kind]
        for person in (SAM, OLGA):
            for _ in range(2):  # people click twice
                try:
                    decided = await engine.decide(
                        ask.id, choice, person, holds=frozenset({"sre"}), reason="so be it"
                    )
                except RecordsError:
                    continue
                if decided.outcome in ("closed", "counted"):
                    self.answers.append((ask.kind, ask.path, choice))

    async def _wake(self, engine: Engine, run: str) -> None:
        now = self.clock.now

        def work(connection: Any) -> None:
            if run_changes.is_due(connection, run, now):
                run_changes.wake(connection, run, now, Queue().enqueue)

        # The sweep looks again in a moment when the database does not take it.
        with suppress(RecordsError):
            await engine._database.write(work)

    async def _take_over(self) -> None:
        """What the reaper of another replica does."""
        lost = await self.records.read(
            lambda connection: run_changes.orphans(connection, mine="nobody", under_way=())
        )
        for each in lost:
            await self.records.write(
                lambda connection, each=each: run_changes.take_from(
                    connection, *each, enqueue=Queue().enqueue
                )
            )

    async def _view(self, run: str) -> RunView:
        view = await self.records.read(lambda connection: runs.view(connection, run))
        assert view is not None
        return view

    def _engine(self, database: Any) -> Engine:
        targets = {"here": HostTarget(type="host", name="here")}
        scrub = Scrubber()
        engine = Engine(
            database=database,
            runbooks=runbooks_of({self.runbook: self.text.replace("DIR", str(self.folder))}, targets),
            targets=targets,
            channels={},
            checks=CheckRunner(targets, self.records, scrub, Limits(), now=self.clock),
            scrub=scrub,
            sealer=Sealer(KEY),
            authority=Everybody(),
            now=self.clock,
        )
        engine.connect(Queue())
        return engine


def _next(connection: Any) -> tuple[str, int] | None:
    row = connection.execute(text(_NEXT)).first()
    return (row.run, row.segment) if row else None


def _taken(connection: Any, run: str, segment: int) -> None:
    connection.execute(text(_TAKEN), {"run": run, "segment": segment})
