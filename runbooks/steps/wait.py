"""`wait`: lets time pass."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from runbooks.spec.model import Duration, show_duration, up_to
from runbooks.steps.step import Output, Step
from runbooks.targets import TargetBase


class Wait(Step):
    """Goes on when the time is over. No process is needed meanwhile."""

    kind: ClassVar[str] = "wait"
    title: ClassVar[str] = "Wait"
    outputs: ClassVar[Mapping[str, Output]] = {}

    length: Annotated[Duration, up_to("90d")] = Field(alias="for")

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002 - the hook
        """How long."""
        return (f"waits {show_duration(self.length)}",)
