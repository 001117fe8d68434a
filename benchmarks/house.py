"""The engine as `maint serve` has it, without Slack: on a real database, with a step that does nothing."""

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import text

from runbooks.engine.authority import Everybody
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.engine.crew import Crew
from runbooks.engine.engine import Engine
from runbooks.engine.sealing import Sealer
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.runs import OVER, RunState
from runbooks.scrub import Scrubber
from runbooks.spec.runbook import Runbook, from_source
from runbooks.steps import KINDS
from runbooks.steps.action import Action, Call, Done, Risk
from runbooks.targets import TargetBase

RITA = Person(kind="slack", id="U0RITA", name="Rita", team="T1")
SAM = Person(kind="slack", id="U0SAM", name="Sam", team="T1")
#: Seconds that a run of a benchmark may take.
LONGEST = 300.0


class Nothing(Action[TargetBase]):
    """Does nothing, as often as one likes, and notes when it began: by the run."""

    kind: ClassVar[str] = "bench.nothing"
    title: ClassVar[str] = "Nothing"
    needs: ClassVar[type[TargetBase] | None] = None
    risk: ClassVar[Risk] = Risk.READ
    safe_to_repeat: ClassVar[bool] = True
    began: ClassVar[dict[str, float]] = {}

    def lines(self, target: TargetBase) -> tuple[str, ...]:  # noqa: ARG002 - the hook
        """Nothing."""
        return ("nothing",)

    async def act(self, target: TargetBase, call: Call) -> Done:  # noqa: ARG002 - the hook
        """Returns at once."""
        self.began[call.run] = time.perf_counter()
        return Done()


KINDS[Nothing.kind] = Nothing


def steps(number: int) -> str:
    """A runbook of so many steps that do nothing."""
    lines = [f"  - {{id: s{n}, bench.nothing: {{}}}}" for n in range(number)]
    return "\n".join([f"name: steps-{number}", "title: Steps", "steps:", *lines, ""])


GATED = """
    name: gated
    title: Gated
    steps:
      - id: go
        gate: {approvers: [sre], expires: 10d}
      - {id: after, bench.nothing: {}}
    """


@dataclass(frozen=True, kw_only=True)
class House:
    """A process that carries runs."""

    engine: Engine
    crew: Crew
    records: Records

    async def start(self, runbook: str, channel: str = "C1") -> str:
        """Starts a run, with a card as in Slack; its id."""
        return (await self.engine.start(runbook, {}, RITA, channel=channel)).id

    async def over(self, run: str) -> None:
        """Returns when the run is done. Raises when it did not succeed."""
        state = await self.until(run, lambda state, _: state in OVER)
        if state != RunState.SUCCEEDED:
            raise RuntimeError(f"not a fair run: {state}")

    async def until(self, run: str, fits: Callable[[str, str], bool]) -> str:
        """The run's state as soon as that and what it waits on fit; asks for no more than these two."""
        query = text("SELECT state, waiting_on FROM runs WHERE id = :run")
        async with asyncio.timeout(LONGEST):
            while True:
                row = await self.records.read(
                    lambda connection: connection.execute(query, {"run": run}).one()
                )
                if fits(row.state, row.waiting_on):
                    return str(row.state)
                await asyncio.sleep(0.02)


def _runbook(source: str) -> Runbook:
    return from_source("bench.yaml", textwrap.dedent(source).lstrip(), KINDS, {})


@asynccontextmanager
async def house(url: str, *sources: str) -> AsyncIterator[House]:
    """Carries runs of those runbooks, from ready to stopped."""
    scrub = Scrubber()
    runbooks = {runbook.name: runbook for runbook in map(_runbook, sources)}
    targets: dict[str, Any] = {}
    records = await Records.open(url, scrub)
    try:
        engine = Engine(
            database=records,
            runbooks=runbooks,
            targets=targets,
            channels={},
            checks=CheckRunner(targets, records, scrub, Limits()),
            scrub=scrub,
            sealer=Sealer(""),
            authority=Everybody(),
        )
        crew = Crew(engine, records, records.engine, version="bench")
        await crew.start()
        try:
            yield House(engine=engine, crew=crew, records=records)
        finally:
            await crew.stop(5)
    finally:
        await records.close()
