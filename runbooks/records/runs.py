"""What a run is, as it stands in the database: its row, its steps, what was done, what people are asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, select

from runbooks.records.freezes import Freeze, not_ended
from runbooks.records.run_tables import asks, effects, locks, run_snapshots, run_steps, runs, votes
from runbooks.records.switches import paused_reason

RowT = TypeVar("RowT")


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"  #: it has not begun: it waits for its locks, or everything is stopped
    RUNNING = "running"  #: a step is under way, or is about to be
    WAITING = "waiting"  #: for people or for the time: rows only, no process
    ASKING = "asking"  #: a step failed or is in doubt, and a person decides how to go on
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"


#: Nothing more will happen to these.
OVER = frozenset(
    {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.ROLLED_BACK, RunState.ABANDONED}
)


class WaitingOn(StrEnum):
    """What a run waits for."""

    NOTHING = ""
    LOCK = "lock"
    PAUSE = "pause"
    GATE = "gate"
    MANUAL = "manual"
    TIME = "time"
    SOAK = "soak"
    WINDOW = "window"  #: for the end of a freeze, or for the hours in which it may go on
    QUESTION = "question"


class Phase(StrEnum):
    """Which way the steps lead."""

    FORWARD = "forward"
    ROLLBACK = "rollback"


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    OK = "ok"
    WARNING = "warning"  #: done, and something is worth a look
    FAILED = "failed"
    IN_DOUBT = "in_doubt"  #: it may have half happened
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


#: The run goes on after these.
PASSED = frozenset({StepState.OK, StepState.WARNING, StepState.SKIPPED})


class AskKind(StrEnum):
    """What people are asked."""

    GATE = "gate"  #: approve, reject
    FAILED = "failed"  #: retry, skip, rollback, abandon
    IN_DOUBT = "in_doubt"  #: retry, done, rollback, abandon
    CANCELLED = "cancelled"  #: rollback, abandon
    MANUAL = "manual"  #: done, failed, cannot
    ROLLOUT = "rollout"  #: promote, hold, resume, rollback: open while a rollout is under way
    REVIEW = "review"  #: reviewed: somebody broke the glass, and a second person looks at why


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One row of `runs`."""

    id: str
    key: str | None
    runbook: str
    title: str
    snapshot: str
    params: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    plan: Mapping[str, Any] = field(repr=False)
    plan_digest: str
    state: str
    waiting_on: str
    wake_at: datetime | None
    segment: int
    fence: int
    executor: str
    phase: str
    stopping: str
    stop_reason: str
    requester_kind: str
    requester_id: str
    requester_name: str
    team: str
    channel: str
    channel_name: str
    rollback_of: str | None
    locks: tuple[str, ...]
    note: str
    version: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in OVER


#: What stands in the row of every run before it begins.
UNBEGUN: Mapping[str, Any] = {
    "state": RunState.QUEUED,
    "waiting_on": WaitingOn.NOTHING,
    "wake_at": None,
    "segment": 1,
    "fence": 0,
    "executor": "",
    "stopping": "",
    "stop_reason": "",
    "version": 1,
    "started_at": None,
    "ended_at": None,
}


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """One row of `run_steps`. Paths: `shift`; in a list `nodes[2].drain`; what undoes it `rollback:shift`."""

    run: str
    path: str
    ordinal: int
    phase: str
    kind: str
    title: str
    state: str
    attempt: int
    outputs: Mapping[str, Any]
    summary: str
    progress: str
    error: str
    data: Mapping[str, Any]
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """One row of the journal. `step_attempt`: that of its step, which only people and `retry:` raise."""

    id: int
    run: str
    path: str
    name: str
    attempt: int
    step_attempt: int
    key: str
    repeatable: bool
    state: str
    executor: str
    fence: int
    before: Mapping[str, Any]
    result: Mapping[str, Any]
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class AskRow:
    """Where people decide. `choices` are the words that they may answer with; `spec` is the kind's own."""

    id: str
    run: str
    path: str
    kind: str
    round: int
    state: str
    title: str
    choices: tuple[str, ...]
    spec: Mapping[str, Any]
    digest: str
    channel: str
    opened_at: datetime
    deadline: datetime | None
    remind_at: datetime | None
    reminded: int
    answer: str
    answered_by: str
    answered_name: str
    reason: str
    evidence: str
    closed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class VoteRow:
    """What one person said to an ask."""

    ask: str
    person: str
    name: str
    kind: str
    choice: str
    reason: str
    break_glass: bool
    at: datetime


@dataclass(frozen=True, kw_only=True)
class LockRow:
    """Who holds a target."""

    target: str
    run: str
    since: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class RunView:
    """Everything that a card shows of a run, read in one transaction.

    `held` are its own locks; `in_the_way` are those of others that it waits for.
    """

    run: RunRow
    steps: tuple[StepRow, ...]
    asks: tuple[AskRow, ...]
    votes: tuple[VoteRow, ...]
    held: tuple[LockRow, ...]
    in_the_way: tuple[LockRow, ...]
    paused: str = ""  # why everything is stopped, if it is
    freezes: tuple[Freeze, ...] = ()  # all that hold, whether they touch it or not

    def step(self, path: str) -> StepRow | None:
        """The step of that path."""
        return next((step for step in self.steps if step.path == path), None)

    def ask(self, path: str, kind: str) -> AskRow | None:
        """The newest ask of that kind at that step."""
        found = [ask for ask in self.asks if ask.path == path and ask.kind == kind]
        return max(found, key=lambda ask: ask.round, default=None)

    @property
    def open_asks(self) -> tuple[AskRow, ...]:
        """What people are asked at this moment."""
        return tuple(ask for ask in self.asks if ask.state == "open")


def as_row(type_: type[RowT], row: Row[Any]) -> RowT:
    """The dataclass of a row."""
    values = dict(row._mapping)
    for name in ("locks", "choices"):
        if name in values:
            values[name] = tuple(values[name])
    return type_(**{each.name: values[each.name] for each in fields(type_)})  # type: ignore[arg-type]


def run_row(connection: Connection, run: str) -> RunRow | None:
    """The run of that id."""
    row = connection.execute(select(runs).where(runs.c.id == run)).first()
    return as_row(RunRow, row) if row else None


def step_rows(connection: Connection, run: str) -> tuple[StepRow, ...]:
    """The steps of a run, in their order."""
    query = select(run_steps).where(run_steps.c.run == run).order_by(run_steps.c.ordinal, run_steps.c.path)
    return tuple(as_row(StepRow, row) for row in connection.execute(query))


def effect_rows(connection: Connection, run: str) -> tuple[EffectRow, ...]:
    """The journal of a run, oldest first."""
    query = select(effects).where(effects.c.run == run).order_by(effects.c.id)
    return tuple(as_row(EffectRow, row) for row in connection.execute(query))


def source_of(connection: Connection, digest: str) -> tuple[str, str]:
    """The path and the text of a runbook as it was when a run of it began."""
    row = connection.execute(select(run_snapshots).where(run_snapshots.c.digest == digest)).one()
    return row.path, row.source


def view(connection: Connection, run: str) -> RunView | None:
    """Everything that a card shows of a run."""
    found = run_row(connection, run)
    if found is None:
        return None
    asked = connection.execute(select(asks).where(asks.c.run == run).order_by(asks.c.opened_at, asks.c.id))
    said = connection.execute(
        select(votes).join(asks, votes.c.ask == asks.c.id).where(asks.c.run == run).order_by(votes.c.at)
    )
    wanted = select(locks).where(locks.c.target.in_(found.locks)).order_by(locks.c.target)
    held = tuple(as_row(LockRow, row) for row in connection.execute(wanted))
    return RunView(
        run=found,
        steps=step_rows(connection, run),
        asks=tuple(as_row(AskRow, row) for row in asked),
        votes=tuple(as_row(VoteRow, row) for row in said),
        held=tuple(lock for lock in held if lock.run == run),
        in_the_way=tuple(lock for lock in held if lock.run != run) if not found.over else (),
        paused=paused_reason(connection),
        freezes=not_ended(connection) if not found.over else (),
    )


def find(connection: Connection, beginning: str, limit: int = 5) -> tuple[RunRow, ...]:
    """The runs whose id ends or begins so, newest first: people type the last letters of it."""
    typed = beginning.casefold()
    query = select(runs).where(
        runs.c.id.endswith(typed, autoescape=True) | (runs.c.id.startswith(typed, autoescape=True))
    )
    return _rows(connection, query.order_by(runs.c.created_at.desc()).limit(limit))


def still_open(connection: Connection, ids: Iterable[str]) -> frozenset[str]:
    """Those of the runs that are not over."""
    query = select(runs.c.id).where(runs.c.id.in_(tuple(ids)), runs.c.state.not_in(tuple(OVER)))
    return frozenset(connection.scalars(query))


def newest(connection: Connection, *, states: Iterable[str] = (), limit: int = 20) -> tuple[RunRow, ...]:
    """The newest runs, of those states if any are given."""
    query = select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
    wanted = tuple(states)
    return _rows(connection, query.where(runs.c.state.in_(wanted)) if wanted else query)


def _rows(connection: Connection, query: Select[Any]) -> tuple[RunRow, ...]:
    return tuple(as_row(RunRow, row) for row in connection.execute(query))
