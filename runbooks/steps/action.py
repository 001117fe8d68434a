"""A step that changes something: how risky it is, whether it may be repeated, and how it is undone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic

from runbooks.backups.backup import Catalogue, NoCatalogue
from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration, up_to
from runbooks.steps.chart import Panel
from runbooks.steps.memory import Forgetful, Memory
from runbooks.steps.reach import Connections, Reach, utc_now
from runbooks.steps.step import Step, TargetT, Value
from runbooks.targets import TargetBase

#: Characters of output that a step may keep; what is longer keeps its beginning and its end.
LONGEST_OUTPUT = 200_000

#: A dump of a large database takes hours.
ActionTimeout = Annotated[Duration, up_to("24h")]

#: What an action gets beyond its grace, to see that what it killed is gone.
LAST_LOOK = timedelta(seconds=10)


class Failed(StepError):
    """The action failed, and it is known how it stands. `output` is what was printed, already cut."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class Doubtful(Failed):
    """Nobody knows whether the action took effect, or whether it still goes on."""


class Risk(StrEnum):
    """What can go wrong at worst."""

    READ = "read"  #: it only looks
    LOW = "low"  #: it changes something that is easily put right
    MEDIUM = "medium"  #: it can be felt, and is put right within minutes
    HIGH = "high"  #: it can hurt the people who use the system


@dataclass(frozen=True, kw_only=True)
class Done:
    """What an action did. `values` are its outputs, `output` what it printed, already cut; `drawn` are
    pictures for who looks at the run."""

    values: Mapping[str, Value] = field(default_factory=dict)
    summary: str = ""
    output: str = ""
    warnings: tuple[str, ...] = ()
    drawn: tuple[Panel, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Call:
    """Handed to an action. `key` is the same whenever this very effect is repeated: an idempotency key.

    `tell` shows a line of progress. `before` is what `record` returned before the effect, on undoing.
    """

    targets: Mapping[str, TargetBase]
    connections: Connections
    key: str
    run: str
    requester: str  # the name of the person who asked for the run
    now: Callable[[], datetime] = utc_now
    tell: Callable[[str], None] = lambda _: None
    before: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory: Memory = field(default_factory=Forgetful)
    backups: Catalogue = field(default_factory=NoCatalogue)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What an action would reach if it began at this moment, as it was measured: in no digest, for it changes
    with the minute. `refused`: why it would not begin."""

    lines: tuple[str, ...] = ()
    refused: str = ""


class Action(Step, Generic[TargetT]):
    """A step that acts. A subclass is one step kind: its fields are the YAML keys.

    `act` raises StepError when it certainly failed, and says what is to be done; `Doubtful` when nobody
    knows. It is cancelled at its timeout and when people cancel the run: it then ends what it began, and
    raises CancelledError, or Doubtful when it cannot tell that it has ended. That takes `ends_within`.
    """

    #: None: it acts on no target of ours, and `target` is not given.
    needs: ClassVar[type[TargetBase] | None]
    risk: ClassVar[Risk]
    #: Whether doing it twice is the same as doing it once. False: after a crash a person decides.
    safe_to_repeat: ClassVar[bool]
    #: Whether `undo` puts back what `record` noted.
    reversible: ClassVar[bool] = False

    timeout: ActionTimeout = parse_duration("10m")
    grace: Annotated[Duration, up_to("10m")] = parse_duration("10s")

    @property
    def repeatable(self) -> bool:
        """Whether this one may be repeated; kinds whose effect the file defines have a field for it."""
        return self.safe_to_repeat

    @property
    def people(self) -> int:
        """How many must have approved, in one gate before it. A plan without that gate is refused."""
        return 0

    @property
    def agreed(self) -> str:
        """What was shown of exactly what it takes: people who say yes at a gate before it say so to that, and
        to nothing else. Empty: it takes nothing that was shown."""
        return ""

    @property
    def seconds(self) -> float:
        """What the action gives its own calls: a little less than `timeout`, so that it is the action which
        says what did not end."""
        whole = self.timeout.total_seconds()
        return whole - min(0.5, whole * 0.1)

    @property
    def ends_within(self) -> timedelta:
        """How long it may take to end what it began, after it was cancelled."""
        return self.grace + LAST_LOOK

    def lines(self, target: TargetT) -> tuple[str, ...]:
        """What it would do there, for a plan: touches nothing, and shows no secret."""
        raise NotImplementedError

    async def foresee(self, target: TargetT, reach: Reach) -> Preview | None:  # noqa: ARG002 - a hook
        """What it would reach now; None when there is nothing to measure. It only reads. Raises StepError."""
        return None

    async def record(self, target: TargetT, call: Call) -> Mapping[str, Any]:  # noqa: ARG002 - a hook
        """The state before the effect, as JSON: what `undo` puts back."""
        return {}

    async def act(self, target: TargetT, call: Call) -> Done:
        """Does it."""
        raise NotImplementedError

    async def undo(self, target: TargetT, call: Call) -> Done:
        """Puts back `call.before`. Doing it twice is the same as doing it once."""
        raise NotImplementedError

    async def changed_since(self, target: TargetT, call: Call, after: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG002
        """What is not any more as the effect left it (`after` is what `record` says right after it), in
        words. Empty: undoing it undoes nothing else."""
        return ()
