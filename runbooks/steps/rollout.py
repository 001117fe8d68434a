"""`rollout`: more and more traffic for a new version, with checks at every stage, and back if they fail."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from runbooks.errors import StepError
from runbooks.nearest import did_you_mean
from runbooks.spec.model import Duration, Spec, parse_duration, show_duration, up_to
from runbooks.steps.action import ActionTimeout, Risk
from runbooks.steps.comparison import Comparison
from runbooks.steps.gate import Gate
from runbooks.steps.inline_checks import CheckList, check_lines, demand_targets, referred
from runbooks.steps.soak import Interval, SoakTime, failing_line, unmeasured_line
from runbooks.steps.step import Output, Step
from runbooks.steps.traffic import TrafficDriver, driver_of
from runbooks.steps.traffic.placeholders import plain_weight
from runbooks.targets import TargetBase


def _rising(stages: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(stages)):
        raise ValueError("`stages:` rise: each is more than the one before, as in [10, 25, 50, 100]")
    return stages


Weight = Annotated[float, Field(gt=0, le=100, strict=False)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Between(Spec):
    """What stands between a stage and the next one."""

    gate: Gate


class Rollout(Step):
    """Gives the new version each of the stages' weights in turn: sets it, sees that it took, soaks it with
    checks, and goes on, after a gate if there is one. The state before the first stage is what a rollback
    restores.
    """

    kind: ClassVar[str] = "rollout"
    title: ClassVar[str] = "Gradual rollout"
    risk: ClassVar[Risk] = Risk.HIGH
    outputs: ClassVar[Mapping[str, Output]] = {
        "weight": Output(title="weight of the new version", unit="%"),
        "version": Output(title="new version", number=False),
    }

    target: str
    to: Annotated[str, Field(min_length=1, max_length=200)]
    stages: Annotated[tuple[Weight, ...], AfterValidator(_rising)] = Field(
        default=(10, 25, 50, 100), min_length=1, max_length=50, strict=False
    )
    soak: SoakTime | None = None
    every: Interval = parse_duration("1m")
    verify: CheckList = ()
    compare: Annotated[
        tuple[Comparison, ...],
        BeforeValidator(_as_list, json_schema_input_type=Comparison | tuple[Comparison, ...]),
    ] = Field(default=(), strict=False)
    failures: int = Field(default=1, ge=1, le=1000)
    inconclusive: SoakTime = parse_duration("30m")
    between: Between | None = None
    on_failure: Literal["rollback", "ask"] = "rollback"
    gradual_rollback: bool = False
    settle: Annotated[Duration, up_to("6h")] = parse_duration("2m")
    timeout: ActionTimeout = parse_duration("10m")
    grace: Annotated[Duration, up_to("10m")] = parse_duration("10s")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.verify and not self.compare:
            raise ValueError("`verify:` has the checks that decide about each stage; at least one is needed")
        if self.soak is not None and self.every > self.soak:
            raise ValueError(
                f"the checks are made every {show_duration(self.every)}, but a stage soaks only for"
                f" {show_duration(self.soak)}"
            )
        names = [comparison.as_ for comparison in self.compare]
        if len(names) != len(set(names)):
            raise ValueError("each comparison has a name of its own: give them `as:`")
        return self

    def refers_to(self) -> tuple[str, ...]:
        """The paths of the steps whose checks it makes."""
        return referred(self.verify)

    def moved(self, targets: Mapping[str, TargetBase]) -> tuple[TargetBase, TrafficDriver]:
        """Whose traffic is moved, and what moves it. Raises StepError when nothing does."""
        target = targets.get(self.target)
        if target is None:
            hint = did_you_mean(self.target, targets)
            raise StepError(f"there is no target {self.target}" + (f" ({hint})" if hint else ""))
        return target, driver_of(target)

    def demand_stages(self, driver: TrafficDriver) -> None:
        """Raises StepError when the driver cannot set one of the weights."""
        if faults := driver.faults(self.stages):
            raise StepError(f"these stages cannot be set on {self.target}: {'; '.join(faults)}")

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
        """What it would do, for a plan. Raises StepError when its target's traffic cannot be moved so, or a
        check has nothing to look at."""
        target, driver = self.moved(targets)
        self.demand_stages(driver)
        sides = [check for each in self.compare for check in (each.stable, each.canary)]
        demand_targets((*self.verify, *sides), targets)
        soak = f", then soaks {show_duration(self.soak)}" if self.soak else ""
        gate = self.between.gate.plan_lines(targets) if self.between else ()
        return (
            f"notes what {self.target} has now: that is what a rollback restores",
            *(
                f"{show_weight(stage)}: {'; '.join(driver.lines(target, self.to, stage))}{soak}"
                for stage in self.stages
            ),
            f"checks every {show_duration(self.every)}:",
            *check_lines(self.verify),
            *(comparison.line() for comparison in self.compare),
            failing_line(self.failures, self.on_failure),
            unmeasured_line(self.inconclusive),
            *(f"between two stages: {line}" for line in gate),
        )

    def plan_warnings(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
        """What people must know of the way in which the traffic is moved."""
        try:
            _, driver = self.moved(targets)
        except StepError:
            return ()  # the lines say it
        return tuple(f"{self.target}: {warning}" for warning in driver_warnings(driver))

    def gate_words(self) -> str:
        """Who decides between two stages."""
        return "; ".join(self.between.gate.plan_lines({})[:1]) + " between two stages" if self.between else ""

    def undo_lines(self) -> tuple[str, ...]:
        """What a rollback of it would do, for a plan."""
        if not self.gradual_rollback:
            return (f"restores what was noted of {self.target} before the first stage",)
        down = ", ".join(show_weight(stage) for stage in reversed(self.stages))
        return (
            f"down only, every {show_duration(self.every)}, through those of {down} below the weight it has",
            f"then restores what was noted of {self.target} before the first stage",
        )


def driver_warnings(driver: TrafficDriver) -> tuple[str, ...]:
    """What people should know of that way to move traffic before they approve it."""
    told = list(driver.warnings())
    if driver.restarts_pods and not any("restart" in warning for warning in told):
        told.append("every stage restarts all pods")
    if driver.is_flag and not any("flag" in warning for warning in told):
        told.append("the weight is a flag that the program reads, not a share of the traffic")
    return tuple(told)


def show_weight(weight: float) -> str:
    """`25 %`."""
    return f"{plain_weight(weight)} %"
