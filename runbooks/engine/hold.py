"""A run that this process has in its hands: what it knows of it, and the only way to write for it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog

from runbooks.engine.at import Fenced
from runbooks.engine.events import nameless, of_run, people_of, targets_of
from runbooks.errors import RecordsError
from runbooks.records import run_changes, runs
from runbooks.records.audit import Event, append, append_once
from runbooks.records.person import Person
from runbooks.records.runs import RunView, StepRow

log = structlog.get_logger()
T = TypeVar("T")

#: Seconds between two tries of a write that the database did not take.
PATIENCE = 1.0


class Database(Protocol):
    """One transaction that reads, and one that writes. Both raise RecordsError."""

    async def read(self, work: Callable[[Any], T]) -> T: ...
    async def write(self, work: Callable[[Any], T]) -> T: ...


@dataclass(frozen=True)
class _Write:
    work: Callable[[Any], Any]
    step: tuple[str, dict[str, Any]] | None
    events: tuple[Event, ...]
    priority: int
    values: dict[str, Any]


class Hold:
    """From a claim to the moment when the run rests, is over, or is somebody else's."""

    def __init__(
        self,
        database: Database,
        view: RunView,
        fence: int,
        executor: str,
        now: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self.run = view.run.id
        self.view = view
        self.fence = fence
        self.executor = executor
        self.now = now
        self._database = database
        self._changed = changed
        self._rows = {row.path: row for row in view.steps}
        #: A step begins as soon as the one that is under way is done, and nothing is waited for in between.
        self.follows = False
        self._waiting: list[_Write] = []
        #: By path: a plan has many steps, and a step many events.
        self._targets: dict[str, tuple[str, ...]] = {}

    def row(self, path: str) -> StepRow | None:
        """A step's row, as this process last wrote it."""
        return self._rows.get(path)

    def rows(self) -> tuple[StepRow, ...]:
        """All of them, in their order."""
        return tuple(sorted(self._rows.values(), key=lambda row: (row.ordinal, row.path)))

    async def read(self, work: Callable[[Any], T]) -> T:
        """Reads, however long the database takes to answer again."""
        await self.settle()
        return await patiently(self.run, lambda: self._database.read(work))

    async def write_once(self, work: Callable[[Any], T]) -> T:
        """A transaction that itself sees to it that the run is still ours: one that lets go of it."""
        await self.settle()
        return await patiently(self.run, lambda: self._database.write(work))

    async def refresh(self) -> RunView:
        """Reads the run anew: what people said in the meantime is in it."""
        found = await self.read(lambda connection: runs.view(connection, self.run))
        assert found is not None
        self.view = found
        self._rows = {row.path: row for row in found.steps}
        return found

    async def write(
        self,
        work: Callable[[Any], T],
        *,
        step: tuple[str, dict[str, Any]] | None = None,
        events: Iterable[Event] = (),
        priority: int = 1,
        **values: Any,
    ) -> T:
        """One transaction, if the run is still ours: `values` into the run, `step` into a step, the work, the
        events. Raises Fenced. A database that does not answer is asked again: it may have done it already, so
        the work must be such that doing it twice is the same."""
        write = _Write(work, step, tuple(events), priority, values)
        waiting, self._waiting = self._waiting, []
        try:
            result: T = await self._commit([*waiting, write])
        except (Fenced, asyncio.CancelledError):
            raise
        except Exception:
            if waiting:  # what was refused is this write, not what has happened before it
                await self._commit(waiting)
            raise
        return result

    async def write_with_next(
        self,
        work: Callable[[Any], None],
        *,
        step: tuple[str, dict[str, Any]] | None,
        events: Iterable[Event],
    ) -> None:
        """As `write`; where a step `follows` at once, in the transaction that notes its beginning: one wait
        for the disk less. Whatever else comes first, a read too, writes it before."""
        if not self.follows:
            await self.write(work, step=step, events=events)
            return
        write = _Write(work, step, tuple(events), 1, {})
        self._waiting.append(write)
        self._apply(write)

    async def settle(self) -> None:
        """Writes what was to be written together with the next step's beginning, which is not yet to come."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            await self._commit(waiting)

    async def _commit(self, writes: list["_Write"]) -> Any:
        values = {name: value for write in writes for name, value in write.values.items()}
        priority = max(write.priority for write in writes)
        events = [event for write in writes for event in write.events]
        tries = 0

        def transaction(connection: Any) -> Any:
            nonlocal tries
            tries += 1
            if not run_changes.touch(connection, self.run, self.fence, priority, **values):
                raise Fenced(f"run {self.run} is carried by another replica")
            result = None
            for write in writes:
                if write.step is not None:
                    path, changes = write.step
                    run_changes.change_step(connection, self.run, path, **changes)
                result = write.work(connection)
            (append if tries == 1 else append_once)(connection, *events)
            return result

        result = await patiently(self.run, lambda: self._database.write(transaction))
        for write in writes:
            self._apply(write)
        self._changed()
        return result

    def _apply(self, write: "_Write") -> None:
        if write.step is not None and write.step[0] in self._rows:
            self._rows[write.step[0]] = replace(self._rows[write.step[0]], **write.step[1])

    async def add_steps(self, rows: tuple[StepRow, ...]) -> None:
        """Steps that were not known when the run began."""
        await self.write(lambda connection: run_changes.add_steps(connection, rows))
        for row in rows:
            self._rows.setdefault(row.path, row)

    def event(self, action: str, path: str, outcome: str, **details: Any) -> Event:
        """What Maint itself did in the course of the run."""
        run = self.view.run
        maint = Person(kind="maint", id=self.executor, name="Maint", team=run.team)
        if path not in self._targets:
            self._targets[path] = targets_of(run.plan, path)
        told = nameless(details, people_of(self.view))
        event = of_run(maint, action, run, outcome, self.now(), told, self._targets[path])
        return replace(event, object=f"{run.runbook}/{path}") if path else event


async def patiently(run: str, ask: Callable[[], Awaitable[T]]) -> T:
    """What the database says, however long it takes to answer again. What is asked must be such that doing it
    twice is the same: an answer may get lost."""
    while True:
        try:
            return await ask()
        except RecordsError as error:
            # A database that restarts must not fail a run: 9 of 97 did, before there was this rule.
            log.warning("run.database", run=run, error=str(error))
            await asyncio.sleep(PATIENCE)
