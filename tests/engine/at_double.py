"""An `At` in memory, with a clock that tests move and processes that die at any point.

It is a double because what carries runs is tested by itself, with real databases and real deaths; here the
question is what a kind of step makes of each wake, click and death, at more points than a process could be
killed at. It keeps the promises of the real one: what is saved is there after a death, what was not is gone;
an effect has its journal row before and after it; the view is as old as this process's last read.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runbooks.engine.at import Outcome, Runner, Waiting
from runbooks.engine.checks import Result
from runbooks.errors import StepError
from runbooks.records.measurements import Series
from runbooks.records.runs import AskRow, RunRow, RunView, StepRow, VoteRow
from runbooks.spec.runbook import RunbookStep
from runbooks.status import Status
from runbooks.steps.action import Call, Done, Preview
from runbooks.steps.reach import Connections
from runbooks.steps.step import Check, Step
from runbooks.targets import TargetBase

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN, PATH = "run1", "shift"

#: What a check says when it is asked at that time, by the name it has: its status, and its value.
Verdict = Callable[[str, datetime], tuple[Status, float | None]]


class Killed(BaseException):
    """The process died here."""


@dataclass
class Effect:
    """A row of the journal. `begun` counts how often the effect itself was begun."""

    name: str
    attempt: int
    begun: int = 0
    done: Done | None = None


@dataclass
class World:
    """What outlives a process: the database, the clock, and what the checks will say."""

    step: RunbookStep
    targets: Mapping[str, TargetBase]
    verdict: Verdict = lambda _name, _now: (Status.OK, 1.0)
    #: Makes the checks for real, instead of `verdict`.
    measure: Callable[[Sequence[tuple[str, Step]]], Awaitable[tuple[Result, ...]]] | None = None
    models: dict[str, Step] = field(default_factory=dict)
    now: datetime = BEGAN
    data: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    digest: str = "d1"
    progress: str = ""
    asks: list[AskRow] = field(default_factory=list)
    votes: list[VoteRow] = field(default_factory=list)
    journal: list[Effect] = field(default_factory=list)
    audit: list[str] = field(default_factory=list)
    measured: list[tuple[datetime, tuple[str, ...]]] = field(default_factory=list)
    saved: int = 0
    #: At which of the points where a process can die it does; each only once.
    die_at: frozenset[int] = frozenset()
    points: int = 0
    deaths: int = 0

    def point(self) -> None:
        """A process may die here."""
        self.points += 1
        if self.points in self.die_at:
            self.deaths += 1
            raise Killed

    def answer(self, kind: str, choice: str, name: str = "Ann", reason: str = "") -> None:
        """Somebody decides the open ask of that kind."""
        ask = next(ask for ask in self.asks if ask.kind == kind and ask.state == "open")
        assert choice in ask.choices
        vote = {"ask": ask.id, "person": name, "name": name, "kind": kind, "choice": choice}
        self.votes.append(VoteRow(**vote, reason=reason, break_glass=False, at=self.now))
        self._replace(ask, state="closed", answer=choice, answered_by=name, answered_name=name, reason=reason)

    def _replace(self, ask: AskRow, **changes: Any) -> AskRow:
        changed = replace(self.ask_of(ask.id), **changes)
        self.asks = [changed if each.id == ask.id else each for each in self.asks]
        return changed

    def ask_of(self, id_: str) -> AskRow:
        """The ask of that id."""
        return next(ask for ask in self.asks if ask.id == id_)

    @property
    def open_asks(self) -> list[tuple[str, tuple[str, ...]]]:
        """What people are asked now: the kind and the choices."""
        return [(ask.kind, ask.choices) for ask in self.asks if ask.state == "open"]


def _blank(type_: type[Any], **given: Any) -> Any:
    """A row with nothing in it but what is given."""
    empty = {str: "", int: 0, bool: False, datetime: BEGAN, Mapping[str, Any]: {}}
    values = {each.name: empty.get(each.type) for each in fields(type_)}  # type: ignore[call-overload]
    return type_(**(values | given))


class AtDouble:
    """One process's hold on the world's step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.targets = world.targets
        self.step = world.step
        self.plan_digest = world.digest
        self._read()

    def _read(self) -> None:
        world = self.world
        self.row: StepRow = _blank(
            StepRow, run=RUN, path=PATH, attempt=world.attempt, data=world.data, title=world.step.title
        )
        run = _blank(RunRow, id=RUN, requester_name="Rob", locks=())
        self.view = RunView(
            run=run,
            steps=(self.row,),
            asks=tuple(world.asks),
            votes=tuple(world.votes),
            held=(),
            in_the_way=(),
        )

    async def previews(self) -> Mapping[str, Preview]:
        """Nothing is measured here."""
        return {}

    async def agreed(self) -> Mapping[str, str]:
        """Nor does anything take what was shown."""
        return {}

    def plan_change(self) -> tuple[str, ...]:
        return ()

    def now(self) -> datetime:
        return self.world.now

    def model_of(self, path: str) -> Step:
        return self.world.models[path]

    async def save(
        self,
        data: Mapping[str, Any],
        *,
        progress: str | None = None,
        summary: str | None = None,
        audit: str = "",
        details: Mapping[str, Any] | None = None,
        priority: int = 1,
    ) -> None:
        self.world.point()
        self.world.data = json.loads(json.dumps(data))
        self.world.progress = progress or ""
        self.world.saved += 1
        if audit:
            self.world.audit.append(audit)
        self._read()
        self.world.point()

    async def effect(
        self,
        name: str,
        act: Callable[[Call], Awaitable[Done]],
        *,
        repeatable: bool,
        timeout: timedelta,
        grace: timedelta,
        before: Callable[[Call], Awaitable[Mapping[str, Any]]] | None = None,
    ) -> Done:
        assert repeatable
        attempt = self.world.attempt
        found = [each for each in self.world.journal if (each.name, each.attempt) == (name, attempt)]
        row = found[0] if found else Effect(name=name, attempt=attempt)
        if row.done is not None:
            return row.done
        self.world.point()
        if not found:
            self.world.journal.append(row)
        row.begun += 1
        self.world.point()
        async with Connections() as connections:
            call = Call(
                targets=self.targets, connections=connections, key=f"{RUN}:{name}", run=RUN, requester="Rob"
            )
            done = await act(call)
        self.world.point()
        row.done = done
        self.world.point()
        return done

    async def measure(self, checks: Sequence[tuple[str, Step]]) -> tuple[Result, ...]:
        self.world.point()
        self.world.measured.append((self.world.now, tuple(name for name, _ in checks)))
        if self.world.measure is not None:
            return await self.world.measure(checks)
        return tuple(self._result(name, check) for name, check in checks)

    def _result(self, name: str, check: Step) -> Result:
        assert isinstance(check, Check)
        status, value = self.world.verdict(name, self.world.now)
        return Result(
            key=Series("book", name, check.target, check.kind),
            title=name,
            environment="production",
            status=status,
            at=self.world.now,
            duration=timedelta(seconds=1),
            headline_name=check.headline,
            headline=check.outputs[check.headline],
            value=value,
            bound="> 2" if status is Status.CRITICAL else "",
            reasons=() if status is Status.OK else (f"{name} is {status}",),
            values={check.headline: value},
            outputs=check.outputs,
        )

    async def ask(
        self,
        kind: str,
        *,
        title: str,
        choices: Sequence[str],
        spec: Mapping[str, Any] | None = None,
        deadline: datetime | None = None,
        remind_at: datetime | None = None,
        channel: str = "",
        digest: str = "",
        again: bool = False,
    ) -> AskRow:
        self.world.point()
        mine = [ask for ask in self.world.asks if ask.kind == kind]
        newest = max(mine, key=lambda ask: ask.round, default=None)
        if newest is None or (again and newest.state != "open"):
            newest = _blank(
                AskRow,
                id=f"ask{len(self.world.asks)}",
                run=RUN,
                path=PATH,
                kind=kind,
                round=len(mine),
                state="open",
                title=title,
                choices=tuple(choices),
                spec=dict(spec or {}),
                digest=digest,
                opened_at=self.world.now,
                deadline=deadline,
                remind_at=remind_at,
            )
            self.world.asks.append(newest)
        self._read()
        self.world.point()
        return newest

    async def close(self, ask: AskRow, answer: str, reason: str, *, void: bool = False) -> bool:
        self.world.point()
        now = self.world.ask_of(ask.id)
        if now.state == "void" or (now.state == "closed" and not void):
            return False
        self.world._replace(now, state="void" if void else "closed", answer=answer, reason=reason)
        self._read()
        self.world.point()
        return True

    async def remind(self, ask: AskRow, mention: str, text: str, next_at: datetime | None) -> None:
        self.world._replace(ask, remind_at=next_at)
        self._read()

    async def post(self, kind: str, body: Mapping[str, Any], *, channel: str = "", priority: int = 1) -> None:
        raise NotImplementedError


async def look(world: World, runner: Runner, model: Step) -> Outcome | StepError:
    """One wake, in a process of its own; one that dies is followed by the next."""
    while True:
        try:
            return await runner(AtDouble(world), model)  # type: ignore[arg-type]
        except Killed:
            continue
        except StepError as error:
            return error


async def drive(
    world: World,
    runner: Runner,
    model: Step,
    on_wait: Callable[[World, Waiting], bool] = lambda _world, _waiting: False,
    wakes: int = 2000,
) -> Outcome | StepError:
    """Wakes the step whenever it wants to be, until it ends. `on_wait` may click first, and says so."""
    for _ in range(wakes):
        await asyncio.sleep(0)  # nothing here waits for anything real, and the loop has others
        outcome = await look(world, runner, model)
        if not isinstance(outcome, Waiting):
            return outcome
        if on_wait(world, outcome):
            continue
        assert outcome.until is not None, f"nothing would ever wake it: {outcome}"
        world.now = max(world.now, outcome.until)
    raise AssertionError(f"it has no end: {world.progress}")
