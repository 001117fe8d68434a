"""Steps made of steps: several at the same time, or several for each item of a list."""

from collections.abc import Mapping
from typing import ClassVar

from runbooks.steps.step import Step
from runbooks.targets import TargetBase


class Parallel(Step):
    """`parallel: [steps]`: all of them at the same time; it is done when each of them is."""

    kind: ClassVar[str] = "parallel"
    title: ClassVar[str] = "At the same time"

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002
        return ("all of these at the same time",)


class Each(Step):
    """`for_each:` with `steps: [steps]`: these one after the other, for each item."""

    kind: ClassVar[str] = "each"
    title: ClassVar[str] = "For each"

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002
        return ("these, one after the other, for each item",)
