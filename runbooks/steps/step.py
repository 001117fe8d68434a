"""What a step is: a model whose fields are YAML keys, with declared outputs and thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field, field_validator

from runbooks.spec.model import Duration, Spec, parse_duration, up_to
from runbooks.status import Status
from runbooks.steps.thresholds import Condition, Thresholds
from runbooks.targets import TargetBase

if TYPE_CHECKING:
    from runbooks.steps.chart import Panel
    from runbooks.steps.reach import Reach

Value = float | str | None
TargetT = TypeVar("TargetT", bound=TargetBase)

#: `target: '*'` is every target of the type that the step needs.
EVERY = "*"
#: A check that takes longer holds up the report that it is a row of.
Timeout = Annotated[Duration, up_to("10m")]
#: How long something is bad before people are told.
AlertWait = Annotated[Duration, up_to("24h")]


@dataclass(frozen=True, kw_only=True)
class Output:
    """One value that a step measures. `unit` is `ms`, `s`, `%`, `bytes`, `days`, `/s`, or empty (a count)."""

    title: str
    unit: str = ""
    number: bool = True


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a step saw. Thresholds are judged by the caller; `findings` are facts the step itself judges
    (refused, not found, expired), worst first in the report."""

    values: Mapping[str, Value] = field(default_factory=dict)
    summary: str = ""  # a few words beside the headline value: "primary, 3 idle in transaction"
    findings: tuple[tuple[Status, str], ...] = ()
    details: tuple[str, ...] = ()  # lines for the thread
    skipped: str = ""  # why there is nothing to judge
    drawn: tuple["Panel", ...] = ()  # pictures, for the thread of a run's card


class Step(Spec):
    """What a step of a runbook says under its kind's key."""

    kind: ClassVar[str]  # "http.probe"
    title: ClassVar[str]  # "HTTP probe", for help and rows
    #: Fields that are taken as they are written: no reference in them is ever filled in.
    literal: ClassVar[frozenset[str]] = frozenset()
    #: Fields beside `target` that name targets, and of which type.
    also_names: ClassVar[Mapping[str, type[TargetBase]]] = {}
    #: Of kinds that have some; a kind whose outputs the file defines has a field of that name instead.
    outputs: ClassVar[Mapping[str, Output]]

    @classmethod
    async def lacks(cls, target: Any, reach: "Reach") -> tuple[str, ...] | None:  # noqa: ARG003 - a hook
        """What Maint's login lacks there for steps of this kind, each with what to grant; for `maint doctor`.
        None: this kind has nothing to look at. It changes nothing. Raises StepError when it cannot look."""
        return None

    def declared(self) -> Mapping[str, Output]:
        """The outputs of this very step; kinds whose outputs the file defines override it."""
        return getattr(type(self), "outputs", {})

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
        """What it would do, for a plan: touches nothing, and shows no secret. Checks and actions have words
        of their own."""
        raise NotImplementedError

    def plan_warnings(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002 - a hook
        """What people must know before they say yes, beside what it does."""
        return ()

    def undo_lines(self) -> tuple[str, ...]:
        """What a rollback of it would do, for a plan; nothing when it has none of its own."""
        return ()

    def refers_to(self) -> tuple[str, ...]:
        """The paths of the steps whose checks it makes."""
        return ()

    def gate_words(self) -> str:
        """Who decides whether the run goes on, if people do: `2 of sre, within 4h`."""
        return ""


class Check(Step, Generic[TargetT]):
    """A step that only reads. A subclass is one step kind: its fields are the YAML keys.

    `measure` raises StepError when it cannot measure; the caller gives it `timeout`, and turns every
    failure into `unknown` for this one row.
    """

    needs: ClassVar[type[TargetBase]]
    headline: ClassVar[str]  # the output that a row shows, and that `warning: {above: 80}` means
    #: Whether what it lists goes into the thread when it is a step of a run.
    lists: ClassVar[bool] = False

    target: str = EVERY
    timeout: Timeout = parse_duration("10s")
    warning: Thresholds = Field(default_factory=dict)
    critical: Thresholds = Field(default_factory=dict)
    #: In a report that opens alerts: how long it must be bad, and what it takes to be well again.
    for_: AlertWait | None = Field(default=None, alias="for")
    clear: Thresholds = Field(default_factory=dict)

    def applies_to(self, target: TargetT) -> bool:  # noqa: ARG002 - a hook; most steps fit every target
        """Whether this step has something to look at there (`host.service` needs units to be named)."""
        return True

    @property
    def seconds(self) -> float:
        """What the step gives its own calls: a little less than `timeout`, so that it is the step which says
        what did not answer."""
        whole = self.timeout.total_seconds()
        return whole - min(0.5, whole * 0.1)

    async def measure(self, target: TargetT, reach: "Reach") -> Measured:
        """Looks, and says what it saw."""
        raise NotImplementedError

    def may_clear(self, values: Mapping[str, Value]) -> bool:
        """Whether a check that is inside its thresholds is so by as much as `clear:` asks for."""
        return all(
            value is not None and condition.holds(value)
            for name, condition in self.clear.items()
            for value in [values.get(name)]
        )

    @field_validator("warning", "critical", "clear", mode="after")
    @classmethod
    def _names_outputs(cls, thresholds: dict[str, Condition]) -> dict[str, Condition]:
        named = {name or cls.headline: condition for name, condition in thresholds.items()}
        for name in named:
            if name not in cls.outputs:
                raise ValueError(f"{cls.kind} has no output {name!r}; it has {', '.join(cls.outputs)}")
        return named
