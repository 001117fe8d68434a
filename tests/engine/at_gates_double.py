"""A step of a run in a real database, and a clock that tests move: `At`, as far as people and time go."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from runbooks.engine.at import Outcome
from runbooks.engine.decided import Decided
from runbooks.engine.decisions import decide, permitted
from runbooks.records import asks
from runbooks.records.asks import Question
from runbooks.records.person import Person
from runbooks.records.runs import AskRow, RunView, StepRow, view
from runbooks.spec.runbook import RunbookStep
from runbooks.steps.action import Preview
from runbooks.steps.step import Step
from runbooks.targets import TargetBase
from tests.records.run_rows import NOON, add_run

T = TypeVar("T")
#: Who holds what, for the decisions of tests.
ROLES: Mapping[str, frozenset[str]] = {
    "U1": frozenset({"sre"}),
    "U2": frozenset({"sre"}),
    "U3": frozenset({"sre"}),
    "U4": frozenset({"oncall"}),
}


class Stage:
    """One step of one run. `look` is a wake-up: the view is read anew, and the runner called."""

    def __init__(self, engine: Engine, step: RunbookStep) -> None:
        self.engine = engine
        self._step = step
        self.clock = NOON
        self.digest, self.changes = "d1", ("step shift: 10 % became 50 %",)
        self.reminders: list[tuple[str, str]] = []
        self.woken: list[str] = []
        self.attempt = 1
        self.data: Mapping[str, Any] = {}
        #: Called right before an ask is closed by itself: what somebody else does in that moment.
        self.just_before_closing: Callable[[], object] = lambda: None
        with engine.begin() as connection:
            self.run = add_run(connection)

    async def look(self, runner: Callable[..., Any], **named: Any) -> Outcome:
        """Wakes the step once."""
        outcome: Outcome = await runner(await self.at(), self._step.sample, **named)
        return outcome

    async def at(self) -> "AtDouble":
        """The step as somebody who wakes now sees it."""
        at = AtDouble(self)
        await at.read()
        return at

    async def asks(self) -> tuple[AskRow, ...]:
        """Every ask of the run, oldest first."""
        return (await self.at()).view.asks

    async def ask(self) -> AskRow:
        """The only open ask."""
        (found,) = [ask for ask in await self.asks() if ask.state == "open"]
        return found

    async def decide(self, choice: str, by: Person, ask: AskRow | None = None, **changes: Any) -> Decided:
        """What a person decides about the open ask, or about another."""
        about = ask or await self.ask()
        return await self.transact(lambda connection: self._decide(connection, about, choice, by, **changes))

    def decide_now(self, choice: str, by: Person, ask: AskRow, **changes: Any) -> Decided:
        """The same, where nothing can be awaited."""
        with self.engine.begin() as connection:
            return self._decide(connection, ask, choice, by, **changes)

    def _decide(
        self, connection: Connection, ask: AskRow, choice: str, by: Person, **changes: Any
    ) -> Decided:
        said: dict[str, Any] = {
            "ask_id": ask.id,
            "holds": ROLES.get(by.id, frozenset()).intersection(permitted(ask)),
            "now": self.clock,
            "wake": lambda _, run: self.woken.append(run),
        } | changes
        return decide(connection, choice=choice, by=by, **said)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Does it in a transaction, off the event loop."""

        def in_thread() -> T:
            with self.engine.begin() as connection:
                return work(connection)

        return await asyncio.to_thread(in_thread)

    def later(self, **length: float) -> None:
        """Moves the clock."""
        self.clock += timedelta(**length)

    @property
    def step(self) -> RunbookStep:
        """The step as the runbook has it."""
        return self._step


class AtDouble:
    """The stage as a runner sees it: what it read when it was woken, and its own writes."""

    targets: Mapping[str, TargetBase] = {}

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._view: RunView | None = None

    async def read(self) -> None:
        self._view = await self._stage.transact(lambda connection: view(connection, self._stage.run))

    @property
    def view(self) -> RunView:
        assert self._view is not None
        return self._view

    @property
    def row(self) -> StepRow:
        return StepRow(
            run=self._stage.run,
            path="go",
            ordinal=1,
            phase="forward",
            kind=self.step.kind,
            title=self.step.title,
            state="running",
            attempt=self._stage.attempt,
            outputs={},
            summary="",
            progress="",
            error="",
            data=self._stage.data,
            started_at=NOON,
            ended_at=None,
        )

    @property
    def step(self) -> RunbookStep:
        return self._stage.step

    @property
    def plan_digest(self) -> str:
        return self._stage.digest

    async def previews(self) -> Mapping[str, Preview]:
        """Nothing is measured here."""
        return {}

    async def agreed(self) -> Mapping[str, str]:
        """Nor does anything take what was shown."""
        return {}

    def plan_change(self) -> tuple[str, ...]:
        return self._stage.changes if self._stage.digest != "d1" else ()

    def now(self) -> datetime:
        return self._stage.clock

    def model_of(self, path: str) -> Step:
        raise NotImplementedError

    async def save(self, data: Mapping[str, Any], **_: Any) -> None:
        self._stage.data = dict(data)

    async def effect(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def measure(self, checks: Sequence[tuple[str, Step]]) -> Any:
        raise NotImplementedError

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
        question = Question(
            run=self._stage.run,
            path="go",
            kind=kind,
            title=title,
            choices=tuple(choices),
            spec=spec or {},
            deadline=deadline,
            remind_at=remind_at,
            channel=channel,
            digest=digest,
        )
        ask, _ = await self._write(lambda c: asks.open_ask(c, question, self.now(), again=again))
        return ask

    async def close(self, ask: AskRow, answer: str, reason: str, *, void: bool = False) -> bool:
        await asyncio.to_thread(self._stage.just_before_closing)
        if void:
            return await self._write(lambda c: asks.void(c, ask.id, reason, self.now())) is not None
        closed = await self._write(
            lambda c: asks.close_ask(c, ask.id, answer=answer, reason=reason, at=self.now())
        )
        return closed is not None

    async def remind(self, ask: AskRow, mention: str, text: str, next_at: datetime | None) -> None:
        if await self._write(lambda c: asks.reminded(c, ask, next_at)):
            self._stage.reminders.append((mention, text))

    async def post(self, kind: str, body: Mapping[str, Any], *, channel: str = "", priority: int = 1) -> None:
        raise NotImplementedError

    async def _write(self, work: Callable[[Connection], T]) -> T:
        done = await self._stage.transact(work)
        await self.read()
        return done


def step_of(model: type[Step], fields: Mapping[str, Any]) -> RunbookStep:
    """A runbook's step `go` of that kind."""
    return RunbookStep(
        id="go",
        title="Go live?",
        kind=model.kind,
        line=1,
        fields=fields,
        model=model,
        sample=model.model_validate(fields),
    )
