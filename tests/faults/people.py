"""The people of the torture: they start runs, and click whatever is there to be clicked, always twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from runbooks.engine.decided import Verdict
from runbooks.engine.engine import Engine
from runbooks.errors import MaintError, RecordsError
from runbooks.records.person import Person
from runbooks.records.runs import OVER, AskKind, RunState
from tests.faults.work import APPS, HOSTS, choose

T = TypeVar("T")

RITA, SAM, OLGA = (
    Person(kind="slack", id=f"U0{name.upper()}", name=name, team="T00SANDBOX")
    for name in ("rita", "sam", "olga")
)
OPS = "C000000OPS"
_OPEN = tuple(state for state in RunState if state not in OVER)


@dataclass
class People:
    """What they did is counted by what it came to."""

    engine: Engine
    chance: random.Random
    in_flight: int = 20
    started: dict[str, str] = field(default_factory=dict)  # key: run
    said: Counter[str] = field(default_factory=Counter)
    starting: bool = True

    async def work(self) -> None:
        """Until they are told to stop: refill, and decide."""
        while True:
            try:
                open_runs = await self.engine.runs(states=_OPEN, limit=200)
                if self.starting:
                    for _ in range(min(4, self.in_flight - len(open_runs))):
                        await self._start()
                await self._decide()
                if open_runs and self.chance.random() < 0.02:
                    await self._cancel(self.chance.choice(open_runs).id)
            except RecordsError:
                self.said["database away"] += 1
            await asyncio.sleep(0.25)

    async def _start(self) -> None:
        names = [f"mixed{self.chance.randrange(HOSTS)}", f"ship{self.chance.randrange(APPS)}"]
        name = self.chance.choice([*names, *names, "fails", "goesback", "sides"])
        key = f"click-{len(self.started)}"
        params = {"version": f"2.0.{len(self.started)}"} if name.startswith("ship") else {}

        async def start() -> str:
            return (await self.engine.start(name, params, RITA, channel=OPS, key=key)).id

        found = set(await asyncio.gather(_surely(start), _surely(start)))
        assert len(found) == 1, f"{key} began {found}"
        self.started[key] = found.pop()

    async def _decide(self) -> None:
        kinds = (AskKind.GATE, AskKind.FAILED, AskKind.IN_DOUBT, AskKind.CANCELLED)
        for ask in await self.engine.open_asks(kinds, limit=30):
            if self.chance.random() < 0.4:
                continue
            choice = choose(ask.kind, ask.choices, self.chance)
            for person in (SAM, OLGA) if ask.kind == AskKind.GATE else (SAM,):
                await self._click(ask.id, choice, person)

    async def _click(self, ask: str, choice: str, person: Person) -> None:
        async def click() -> Verdict:
            how: dict[str, Any] = {"holds": frozenset({"sre"}), "reason": "torture"}
            return (await self.engine.decide(ask, choice, person, **how)).outcome

        for outcome in await asyncio.gather(_surely(click), _surely(click)):
            self.said[outcome] += 1

    async def _cancel(self, run: str) -> None:
        decided = await self.engine.cancel(run, SAM, "torture")
        self.said[f"cancel {decided.outcome}"] += 1


async def _surely(act: Callable[[], Awaitable[T]]) -> T:
    """Whoever gets no answer tries again."""
    while True:
        try:
            return await act()
        except RecordsError:
            await asyncio.sleep(0.3)
        except MaintError:
            raise
