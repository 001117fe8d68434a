"""`manual`: something that a person does, and says how it went."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runbooks.spec.model import Duration, show_duration, up_to
from runbooks.steps.gate import MOST_REMINDERS, check_reminders
from runbooks.steps.holders import Holder, listed
from runbooks.steps.step import Output, Step
from runbooks.targets import TargetBase


class Manual(Step):
    """Shows instructions, and waits for Done, Failed or Cannot."""

    kind: ClassVar[str] = "manual"
    title: ClassVar[str] = "By hand"
    outputs: ClassVar[Mapping[str, Output]] = {
        "done_by": Output(title="Done by", number=False),
        "evidence": Output(title="Evidence", number=False),
    }

    instructions: str = Field(min_length=1, max_length=10_000)
    evidence: Literal["optional", "required"] = "optional"
    who: tuple[Holder, ...] = Field(default=(), strict=False)
    assign: Holder | None = None
    expires: Annotated[Duration, up_to("90d")] | None = None
    remind: tuple[Annotated[Duration, up_to("90d")], ...] = Field(
        default=(), strict=False, max_length=MOST_REMINDERS
    )

    @model_validator(mode="after")
    def _reminders_come_in_time(self) -> Self:
        check_reminders(self.remind, self.expires)
        return self

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002 - the hook
        """The instructions, who follows them, and until when."""
        lines = [line for line in self.instructions.splitlines() if line.strip()]
        who = listed(self.who) if self.who else "who may run this runbook"
        proof = ", with evidence" if self.evidence == "required" else ""
        lines.append(f"a person ({who}) says that it is done{proof}")
        if self.assign:
            lines.append(f"{self.assign} is asked to do it")
        if self.expires:
            lines.append(f"fails when nobody says so within {show_duration(self.expires)}")
        return tuple(lines)
