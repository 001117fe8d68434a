"""Carries out tests: the real engine on a database of its own, in this process, with a clock that jumps."""

import asyncio
import shutil
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from runbooks.engine.authority import Everybody
from runbooks.engine.decided import Verdict
from runbooks.engine.decisions import permitted
from runbooks.engine.engine import Engine
from runbooks.errors import UsageError
from runbooks.records import run_changes
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.runs import AskKind, AskRow, RunView, WaitingOn
from runbooks.rehearsal.case import Case
from runbooks.rehearsal.doubles import MemorySealer, Play, SaidChecks, kinds_for, soak_of, targets_for
from runbooks.scrub import Scrubber
from runbooks.spec.kind_reading import Kinds
from runbooks.spec.runbook import Runbook, from_source
from runbooks.steps import KINDS
from runbooks.targets import TargetBase

#: When every test begins, and who asks for the run.
BEGINS = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_REQUESTER = Person(kind="terminal", id="U0REQUESTER", name="the requester", team="")
#: Segments and jumps of the clock in one test: a month of hourly rounds, and some.
MOST_TURNS = 3000
#: Of these questions the run waits for an answer; a rollout goes on without one.
_ASKED = (AskKind.FAILED, AskKind.IN_DOUBT, AskKind.MANUAL)


class Endless(UsageError):
    """The run does not come to rest."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What tests stand on: the targets and channels of maint.yaml, and the kinds of steps."""

    targets: Mapping[str, TargetBase]
    channels: Mapping[str, str]
    kinds: Kinds = field(default_factory=lambda: KINDS)


class _Queue:
    """Segments wait their turn in this process."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, int]] = deque()

    def enqueue(self, _connection: Any, run: str, segment: int) -> None:
        self.waiting.append((run, segment))

    def nudge(self) -> None:
        pass


class Stage:
    """A database that is thrown away, on which tests are carried out one after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder: Path
        self._records: Records

    async def __aenter__(self) -> "Stage":
        self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="maint-test-"))
        self._records = await Records.open(f"sqlite:///{self._folder / 'rehearsal.db'}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._records.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def play(self, runbook: Runbook, case: Case, targets: Mapping[str, TargetBase]) -> RunView:
        """The run when nothing more happens by itself. Raises UsageError when it cannot begin."""
        play = Play(given=case.given)
        there = targets_for({**self._world.targets, **targets}, play)
        return await _Rehearsal(self._records, self._world, play, there).go(runbook)


class _Rehearsal:
    def __init__(self, records: Records, world: World, play: Play, targets: Mapping[str, TargetBase]) -> None:
        self._records = records
        self._play = play
        self._targets = targets
        self._kinds = kinds_for(world.kinds, play)
        self._queue = _Queue()
        self._answered: dict[tuple[str, str], int] = {}
        self._time = BEGINS
        self._types = {name: type(target) for name, target in targets.items()}
        self._channels = world.channels
        self._engine: Engine

    def _now(self) -> datetime:
        return self._time

    async def go(self, runbook: Runbook) -> RunView:
        still = from_source(runbook.path, runbook.source, self._kinds, self._types)
        self._engine = Engine(
            database=self._records,
            runbooks={still.name: still},
            targets=self._targets,
            channels=self._channels,
            checks=SaidChecks(self._targets, self._play, self._view, self._now),
            scrub=Scrubber(),
            sealer=MemorySealer(),
            authority=Everybody(),
            now=self._now,
            kinds=self._kinds,
        )
        self._engine.connect(self._queue)
        run = (await self._engine.start(still.name, self._play.given.params, _REQUESTER)).id
        try:
            return await self._through(run)
        finally:
            await self._leave(run)

    async def _leave(self, run: str) -> None:
        """The next test finds every target free."""
        for lock in await self._engine.locks():
            if lock.run == run:
                await self._engine.unlock(lock.target, _REQUESTER, "the test is over")

    async def _view(self, run: str) -> RunView:
        found = await self._engine.view(run)
        assert found is not None
        return found

    async def _through(self, run: str) -> RunView:
        for _ in range(MOST_TURNS):
            if self._queue.waiting:
                segment = self._queue.waiting.popleft()
                await self._engine.advance(*segment, "rehearsal", _at_once)
                continue
            view = await self._view(run)
            if view.run.over or not await self._move(view):
                return view
        raise Endless("The run does not come to rest: an answer is given again and again, or time goes on.")

    async def _move(self, view: RunView) -> bool:
        """Answers what is asked, or lets time pass. False when the test says of neither."""
        for ask in view.open_asks:
            if ask.kind == AskKind.GATE:
                word = self._word(self._play.given.gates, ask)
                if word in ("approved", "rejected"):
                    await self._decide(ask, word)
                    return True
            elif ask.kind in _ASKED:
                word = self._word(self._play.given.answers, ask)
                if word not in ("", "expired"):
                    await self._answer(ask, word)
                    return True
            else:
                continue
            if not word:
                return False
        until = _wakes(view, self._play)
        if until is None:
            return False
        self._time = max(self._time, until)
        await self._records.write(
            partial(run_changes.wake, run=view.run.id, now=self._time, enqueue=self._queue.enqueue)
        )
        return True

    def _word(self, said: Mapping[str, tuple[str, ...]], ask: AskRow) -> str:
        """What is said to this question; the last word to a step counts for every further one."""
        words = said.get(ask.path, ())
        return words[min(self._answered.get((ask.path, ask.kind), 0), len(words) - 1)] if words else ""

    async def _decide(self, ask: AskRow, word: str) -> None:
        people = int(ask.spec["quorum"]) if word == "approved" else 1
        choice = "approve" if word == "approved" else "reject"
        for number in range(people):
            person = Person(kind="terminal", id=f"U0PERSON{number}", name=f"person {number + 1}", team="")
            await self._engine.decide(
                ask.id, choice, person, holds=frozenset(permitted(ask)), reason="as the test says"
            )
        self._count(ask)

    async def _answer(self, ask: AskRow, word: str) -> None:
        person = Person(kind="terminal", id="U0PERSON0", name="person 1", team="")
        decided = await self._engine.decide(
            ask.id,
            word,
            person,
            holds=frozenset(permitted(ask)),
            reason="as the test says",
            evidence="as the test says",
        )
        if decided.outcome is not Verdict.CLOSED:
            raise UsageError(
                f"`{ask.path}` cannot be answered with {word}: {decided.text} It asks for one of"
                f" {', '.join(ask.choices)}."
            )
        self._count(ask)

    def _count(self, ask: AskRow) -> None:
        key = (ask.path, ask.kind)
        self._answered[key] = self._answered.get(key, 0) + 1


def _wakes(view: RunView, play: Play) -> datetime | None:
    """When the run goes on by itself. Rounds of checks in which nothing can happen are passed over: the time
    at which the soak ends, or something is said to happen, is as good."""
    wakes = view.run.wake_at
    if wakes is None or view.run.waiting_on != WaitingOn.SOAK:
        return wakes
    later = []
    for row in view.steps:
        if row.state != "waiting" or (soak := soak_of(row)) is None:
            continue
        said = play.nth(row.path, row.attempt - 1)
        begins = soak.began + (said.after or timedelta(0))
        later.append(soak.ends_at if said.word == "ok" else max(wakes, min(begins, soak.ends_at)))
    return max(wakes, min(later)) if later else wakes


async def _at_once() -> None:
    """There is no other replica to be proven alive to."""
