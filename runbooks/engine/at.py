"""Where a run stands while a step of it proceeds: what the step may read, keep, do and ask.

Every method that writes is one transaction with the fence in it: when another replica has taken the run
over, it raises Fenced, and whatever was under way here ends without a further word.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from runbooks.engine.checks import Result
from runbooks.errors import MaintError, StepError
from runbooks.records.runs import AskRow, RunView, StepRow, WaitingOn
from runbooks.spec.runbook import RunbookStep
from runbooks.steps.action import Call, Done, Preview
from runbooks.steps.chart import Panel
from runbooks.steps.step import Step, Value
from runbooks.targets import TargetBase


class Fenced(MaintError):
    """Another replica has this run now."""


class InDoubt(MaintError):
    """An effect that may not be repeated may have half happened. `output`: what it printed until then."""

    def __init__(self, text: str, output: str = "") -> None:
        self.output = output
        super().__init__(text)


class Stopped(MaintError):
    """People stopped the run while the step was under way; the step was asked to end, then killed. `left`:
    what it said that it could not put in order."""

    def __init__(self, text: str, left: str = "") -> None:
        self.left = left
        super().__init__(text)


class NotApproved(StepError):
    """People said no, or not enough of them said yes in time. Neither `on_failure: continue`, nor `retry`,
    nor Skip leads past it. `again`: whether Retry is offered, which asks them once more."""

    def __init__(self, text: str, *, again: bool) -> None:
        self.again = again
        super().__init__(text)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The step is done. With warnings it is worth a look."""

    outputs: Mapping[str, Value] = field(default_factory=dict)
    summary: str = ""
    output: str = ""
    warnings: tuple[str, ...] = ()
    drawn: tuple[Panel, ...] = ()
    noted: bool = False  # the step's row says so already


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The step waits: for people, until a time, or both. No process is needed until then."""

    on: WaitingOn
    until: datetime | None = None
    progress: str = ""


@dataclass(frozen=True, kw_only=True)
class Undo:
    """The step wants the run rolled back, and says why."""

    reason: str


Outcome = Finished | Waiting | Undo


class At(Protocol):
    """Handed to whatever carries out a kind of step."""

    @property
    def view(self) -> RunView:
        """The run as it was last read, this process's own writes included."""

    @property
    def row(self) -> StepRow:
        """This step's row; `row.data` is what it kept."""

    @property
    def step(self) -> RunbookStep:
        """The step as the runbook has it."""

    @property
    def targets(self) -> Mapping[str, TargetBase]: ...

    @property
    def plan_digest(self) -> str:
        """The digest of the plan as it would be made at this moment: with today's targets."""

    def plan_change(self) -> tuple[str, ...]:
        """How the plan of this moment differs from the one that was shown, in words."""

    def now(self) -> datetime: ...

    async def previews(self) -> Mapping[str, Preview]:
        """What the steps that follow this one would reach at this moment, by path: up to the next gate."""

    async def agreed(self) -> Mapping[str, str]:
        """What was shown of exactly what those steps take, as digests by path."""

    def model_of(self, path: str) -> Step:
        """Another step's model with its values filled in: `shift` for the checks of `shift.verify`."""

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
        """Keeps the step's data, and redraws the card. `audit`: the action of an event to record with it."""

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
        """Does something outside, with a journal row before and after it.

        Done before (this attempt, this name): returns what it returned then. Raises InDoubt when it was
        begun, is not repeatable, and nobody knows how it ended; StepError when it failed; Stopped. `before`
        is asked first, and its answer kept in the journal: `Call.before` of a repetition has it.
        """

    async def measure(self, checks: Sequence[tuple[str, Step]]) -> tuple[Result, ...]:
        """Runs checks, given with their names, once, now. Keeps their values under this run's step."""

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
        """The newest ask of that kind at this step; opened now if there is none, or if `again` and the newest
        is closed."""

    async def close(self, ask: AskRow, answer: str, reason: str, *, void: bool = False) -> bool:
        """Closes an ask by itself: its time is over, or the plan has changed. False when it was closed.

        With `void` also one that was approved: no vote of it counts any more. False when it was void, or was
        answered otherwise.
        """

    async def remind(self, ask: AskRow, mention: str, text: str, next_at: datetime | None) -> None:
        """Posts a reminder once, and notes when the next one is due. `mention`: roles, user ids, usergroups
        and e-mail addresses, with spaces in between; empty: nobody."""

    async def post(
        self, kind: str, body: Mapping[str, Any], *, channel: str = "", priority: int = 1, key: str = ""
    ) -> None:
        """Puts a message into the outbox: in the card's thread, or in a channel. With a `key`, unique within
        the step, only once however often it is put there."""


class Runner(Protocol):
    """Carries out one kind of step. It is called again whenever the run wakes, until it is finished."""

    async def __call__(self, at: At, model: Any) -> Outcome: ...
