"""`soak`: a time in which checks are made again and again, and must hold."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runbooks.spec.model import Duration, parse_duration, show_duration, up_to
from runbooks.steps.inline_checks import CheckList, check_lines, demand_targets, referred
from runbooks.steps.step import Output, Step
from runbooks.targets import TargetBase

#: How long a soak may last, and how long its checks may rest.
SoakTime = Annotated[Duration, up_to("31d")]
Interval = Annotated[Duration, up_to("1d")]


class Soak(Step):
    """Waits that long, and makes the checks every so often. No process is needed in between.

    `failures` is how many critical rounds in a row make it fail. A round that could not be measured holds
    the soak; when there were only such rounds for `inconclusive`, people are asked.
    """

    kind: ClassVar[str] = "soak"
    title: ClassVar[str] = "Soak"
    outputs: ClassVar[Mapping[str, Output]] = {
        "rounds": Output(title="rounds of checks"),
        "failed_rounds": Output(title="rounds that failed"),
    }

    for_: SoakTime = Field(alias="for")
    every: Interval = parse_duration("1m")
    checks: CheckList = Field(min_length=1)
    failures: int = Field(default=1, ge=1, le=1000)
    inconclusive: SoakTime = parse_duration("30m")
    on_failure: Literal["ask", "rollback", "continue"] = "ask"

    @model_validator(mode="after")
    def _has_rounds(self) -> Self:
        if self.every > self.for_:
            raise ValueError(
                f"the checks are made every {show_duration(self.every)}, but it lasts only"
                f" {show_duration(self.for_)}"
            )
        return self

    def refers_to(self) -> tuple[str, ...]:
        """The paths of the steps whose checks it makes."""
        return referred(self.checks)

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
        """What it would do, for a plan. Raises StepError when a check has nothing to look at."""
        demand_targets(self.checks, targets)
        return (
            f"for {show_duration(self.for_)}, with checks every {show_duration(self.every)}",
            *check_lines(self.checks),
            failing_line(self.failures, self.on_failure),
            unmeasured_line(self.inconclusive),
        )


_CONSEQUENCES = {
    "ask": "people are asked",
    "rollback": "everything is rolled back",
    "continue": "the run goes on, with a warning",
}


def failing_line(failures: int, on_failure: str) -> str:
    """What a failing check leads to."""
    when = "a critical check" if failures == 1 else f"{failures} critical rounds in a row"
    return f"{when}: {_CONSEQUENCES[on_failure]}"


def unmeasured_line(limit: Duration) -> str:
    """What checks that measure nothing lead to."""
    return f"checks that measure nothing hold it; after {show_duration(limit)} of only that, people are asked"
