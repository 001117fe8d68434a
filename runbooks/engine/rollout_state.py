"""What a rollout keeps in its step's data: the recorded state, the stages, and the soak of this one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from runbooks.engine.soak_state import SoakState
from runbooks.steps.traffic import Traffic
from runbooks.steps.traffic.placeholders import plain_weight

#: The key in the step's data.
KEY = "rollout"


class RolloutPhase(StrEnum):
    """What a rollout does at this moment."""

    RECORD = "record"
    SET = "set"
    SETTLE = "settle"  #: it was set, and is waited for to take
    SOAK = "soak"
    GATE = "gate"
    DONE = "done"


class RolloutEnding(StrEnum):
    """How it has ended, if not well."""

    NOT_YET = ""
    UNDO = "undo"
    ASK = "ask"


class StageState(StrEnum):
    """One piece of the bar."""

    DONE = "done"
    NOW = "now"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class RolloutState:
    """A rollout that is under way. `stage` counts from 0.

    `recorded` is what was there before the first stage, and `left` what the rollout itself set last, both as
    `traffic_data` writes them. `answered` is the round of the last ask that was heeded. `set_anyway`: people
    said to retry, so what is live need not be what was left.
    """

    attempt: int
    to: str
    stages: tuple[float, ...]
    phase: RolloutPhase = RolloutPhase.RECORD
    stage: int = 0
    recorded: Mapping[str, Any] | None = None
    left: Mapping[str, Any] | None = None
    soak: SoakState | None = None
    settle_by: datetime | None = None
    held: bool = False
    held_by: str = ""
    promoted: bool = False
    passed_gate: bool = False
    set_anyway: bool = False
    answered: int = -1
    warnings: tuple[str, ...] = ()
    ending: RolloutEnding = RolloutEnding.NOT_YET
    reason: str = ""

    @property
    def weight(self) -> float:
        """The weight of the present stage."""
        return self.stages[self.stage]

    @property
    def last(self) -> bool:
        """Whether no stage comes after this one."""
        return self.stage == len(self.stages) - 1

    def bar(self) -> tuple[tuple[float, StageState], ...]:
        """Every stage's weight, and where it stands."""
        now = StageState.FAILED if self.ending else StageState.NOW
        here = StageState.DONE if self.phase is RolloutPhase.DONE else now
        if self.phase is RolloutPhase.RECORD:
            here = StageState.PENDING
        states = [StageState.DONE] * self.stage + [here]
        states += [StageState.PENDING] * (len(self.stages) - len(states))
        return tuple(zip(self.stages, states, strict=True))

    def all_warnings(self) -> tuple[str, ...]:
        """What is worth a look so far, at which weight."""
        said = self.soak.warnings if self.soak else ()
        return (*self.warnings, *(f"at {plain_weight(self.weight)} % {warning}" for warning in said))

    def again(self, attempt: int) -> Self:
        """The same on people's word to retry: at its stage, from setting it on. What was recorded before
        the first stage stays what it was."""
        return replace(
            self,
            attempt=attempt,
            phase=RolloutPhase.SET if self.recorded is not None else RolloutPhase.RECORD,
            soak=None,
            settle_by=None,
            held=False,
            held_by="",
            promoted=False,
            passed_gate=False,
            set_anyway=True,
            ending=RolloutEnding.NOT_YET,
            reason="",
        )

    def next_stage(self) -> Self:
        """The same at the stage after this one."""
        return replace(
            self,
            warnings=self.all_warnings(),
            phase=RolloutPhase.SET,
            stage=self.stage + 1,
            soak=None,
            held=False,
            held_by="",
            promoted=False,
            passed_gate=False,
        )

    def as_data(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            **asdict(replace(self, soak=None)),
            "soak": self.soak.as_data() if self.soak else None,
            "settle_by": self.settle_by.isoformat() if self.settle_by else None,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The rollout that `as_data` wrote."""
        return cls(
            **{
                **data,
                "stages": tuple(data["stages"]),
                "phase": RolloutPhase(data["phase"]),
                "soak": SoakState.from_data(data["soak"]) if data["soak"] else None,
                "settle_by": datetime.fromisoformat(data["settle_by"]) if data["settle_by"] else None,
                "warnings": tuple(data["warnings"]),
                "ending": RolloutEnding(data["ending"]),
            }
        )


def rollout_of(data: Mapping[str, Any]) -> RolloutState | None:
    """The rollout of a step, from the step's data; None before it began."""
    return RolloutState.from_data(data[KEY]) if data.get(KEY) else None


def recorded_of(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What was there before the first stage, from the step's data; None when no stage was begun."""
    state = rollout_of(data)
    return state.recorded if state else None


def traffic_data(traffic: Traffic) -> dict[str, Any]:
    """What is live, as JSON."""
    return asdict(traffic)


def traffic_of(data: Mapping[str, Any]) -> Traffic:
    """What `traffic_data` wrote."""
    return Traffic(version=data["version"], weight=data["weight"], detail=data["detail"])
