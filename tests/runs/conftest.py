"""A whole engine on a real database, looking after this machine, with a clock that tests turn."""

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.engine.authority import Authority, Everybody
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.engine.crew import Crew
from runbooks.engine.engine import Engine
from runbooks.engine.remembering import KeptMemory
from runbooks.engine.replica import Rhythm
from runbooks.engine.sealing import Sealer
from runbooks.records.audit import Filter
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.runs import OVER, RunState, RunView
from runbooks.scrub import Scrubber
from runbooks.spec.arranged import with_window
from runbooks.spec.runbook import from_source
from runbooks.steps import KINDS
from runbooks.targets import HostTarget, TargetBase

RITA = Person(kind="slack", id="U0RITA", name="Rita", team="T1")
SAM = Person(kind="slack", id="U0SAM", name="Sam", team="T1")
OLGA = Person(kind="slack", id="U0OLGA", name="Olga", team="T1")
KEY = "a key of thirty-two letters and more"
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@dataclass
class Clock:
    """What time it is, as far as Maint knows."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def turn(self, **by: float) -> None:
        """Some time passes."""
        self.now += timedelta(**by)


@dataclass
class House:
    """One process that carries runs, and what it looks after. `log` has a line for every effect."""

    engine: Engine
    crew: Crew
    records: Records
    clock: Clock
    folder: Path
    scrub: Scrubber
    cards: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """The file that steps write into: the world outside."""
        return self.folder / "effects"

    def effects(self) -> list[str]:
        """What was done outside, in order."""
        return self.log.read_text().split() if self.log.exists() else []

    async def start(self, name: str, by: Person = RITA, **params: Any) -> str:
        """Starts a run; its id."""
        return (await self.engine.start(name, params, by, channel="C1")).id

    async def until(
        self, run: str, fits: Callable[[RunView], bool], what: str, seconds: float = 20
    ) -> RunView:
        """The run once it is so; fails with where it stands instead."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            view = await self.engine.view(run)
            assert view is not None
            if fits(view):
                return view
            if asyncio.get_running_loop().time() > deadline:
                steps = [(row.path, row.state, row.error or row.progress) for row in view.steps]
                asks = [(ask.path, ask.kind, ask.state, ask.answer) for ask in view.asks]
                raise AssertionError(f"not {what}: {view.run.state} {view.run.waiting_on} {steps} {asks}")
            await asyncio.sleep(0.02)

    async def over(self, run: str, state: str = RunState.SUCCEEDED) -> RunView:
        """The run once it is over, in that state."""
        view = await self.until(run, lambda view: view.run.state in OVER, "over")
        assert view.run.state == state, (view.run.note, [(s.path, s.state, s.error) for s in view.steps])
        return view

    async def asking(self, run: str) -> RunView:
        """The run once it asks people how to go on."""
        return await self.until(run, lambda view: view.run.state == RunState.ASKING, "asking")

    async def waiting(self, run: str, on: str) -> RunView:
        """The run once it waits for that."""
        return await self.until(run, lambda view: view.run.waiting_on == on, f"waiting on {on}")

    async def answer(self, run: str, choice: str, by: Person = SAM, **how: Any) -> Any:
        """Answers the only open question of a run."""
        view = await self.engine.view(run)
        assert view is not None
        (ask,) = [ask for ask in view.open_asks if choice in ask.choices]
        how.setdefault("holds", frozenset({"sre"}))
        return await self.engine.decide(ask.id, choice, by, **how)

    async def actions(self, run: str) -> list[str]:
        """The actions in the audit log about that run, oldest first."""
        events = await self.records.events(Filter(correlation=run), limit=500)
        return [each.event.action for each in reversed(events)]


def runbooks_of(texts: Mapping[str, str], targets: Mapping[str, TargetBase]) -> dict[str, Any]:
    """Runbooks from their texts."""
    types = {name: type(target) for name, target in targets.items()}
    found = [
        from_source(f"{name}.yaml", textwrap.dedent(text).lstrip(), KINDS, types)
        for name, text in texts.items()
    ]
    return {runbook.name: runbook for runbook in found}


@asynccontextmanager
async def house_of(
    url: str,
    folder: Path,
    texts: Mapping[str, str],
    *,
    targets: Mapping[str, TargetBase] | None = None,
    clock: Clock | None = None,
    rhythm: Rhythm | None = None,
    authority: Authority | None = None,
    windows: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[House]:
    """A process that carries runs, from ready to stopped. `authority`: whom each step asks, else nobody.
    `windows`: those that maint.yaml gives to runbooks."""
    clock = clock or Clock()
    scrub = Scrubber()
    here = {"here": HostTarget(type="host", name="here")}
    all_targets = {**here, **(targets or {})}
    records = await Records.open(url, scrub)
    try:
        engine = Engine(
            database=records,
            runbooks={
                name: with_window(each, (windows or {}).get(name))
                for name, each in runbooks_of(texts, all_targets).items()
            },
            targets=all_targets,
            channels={"sec": "C0SEC", "ops": "C0OPS"},
            checks=CheckRunner(
                all_targets, records, scrub, Limits(), now=clock, memory=KeptMemory(records, clock)
            ),
            scrub=scrub,
            sealer=Sealer(KEY),
            now=clock,
            authority=authority or Everybody(),
        )
        crew = Crew(
            engine,
            records,
            records.engine,
            version="test",
            rhythm=rhythm or Rhythm(sweep=0.05, reap=0.2),
            now=clock,
        )
        await crew.start()
        try:
            yield House(engine, crew, records, clock, folder, scrub)
        finally:
            await crew.stop(5)
    finally:
        await records.close()


@pytest.fixture
def build(database_url: str, tmp_path: Path) -> Callable[..., Any]:
    """Makes a house on a fresh database of either kind; the same database each time."""

    def make(texts: Mapping[str, str], **how: Any) -> Any:
        return house_of(database_url, tmp_path, texts, **how)

    return make
