"""`gate`: a point where people decide whether the run goes on."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runbooks.spec.model import Duration, Name, parse_duration, show_duration, up_to
from runbooks.steps.holders import Holder, listed, most_people
from runbooks.steps.step import Output, Step
from runbooks.targets import TargetBase

#: Who is reminded more often than that does not read it any more.
MOST_REMINDERS = 10


class Gate(Step):
    """Asks people. Nothing but enough of them lets the run pass: no time that runs out does."""

    kind: ClassVar[str] = "gate"
    title: ClassVar[str] = "Approval"
    outputs: ClassVar[Mapping[str, Output]] = {"approved_by": Output(title="Approved by", number=False)}

    approvers: tuple[Holder, ...] = Field(strict=False, min_length=1)
    quorum: int = Field(default=1, ge=1, le=20)
    requester_may_approve: bool = False
    expires: Annotated[Duration, up_to("30d")] = parse_duration("1d")
    on_expiry: Literal["hold", "deny"] = "deny"
    remind: tuple[Annotated[Duration, up_to("30d")], ...] = Field(
        default=(), strict=False, max_length=MOST_REMINDERS
    )
    then: Holder | None = None
    policy: Name | None = None
    channel: Name | None = None
    message: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _can_be_satisfied(self) -> Self:
        most = most_people([*self.approvers, *([self.then] if self.then else [])])
        if most is not None and most < self.quorum:
            raise ValueError(
                f"quorum: {self.quorum} can never be reached: only {_people(most)} may approve; "
                "name more, or a role"
            )
        check_reminders(self.remind, self.expires)
        if self.then and not self.remind:
            raise ValueError(f"{self.then} is asked with the last reminder: give `remind` as well")
        return self

    def stuck_for(self, requester: str) -> str:
        """Why nobody can approve what that person (a user id) asks for; empty when somebody can."""
        holders = {*self.approvers, *([self.then] if self.then else [])}
        most = most_people(holders if self.requester_may_approve else holders - {requester})
        if most is None or most >= self.quorum:
            return ""
        return (
            f"{_people(self.quorum)} of {listed(self.approvers)} must approve, and {requester}, who asks for "
            "the run, may not: somebody else must ask for it"
        )

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002 - the hook
        """Who decides, until when, and what happens if nobody does."""
        lines = [f"{_people(self.quorum)} of {listed(self.approvers)} must approve"]
        if self.requester_may_approve:
            lines.append("who asked for the run may approve it as well")
        over = "denied" if self.on_expiry == "deny" else "held until somebody asks again"
        lines.append(f"not approved within {show_duration(self.expires)}: {over}")
        if self.remind:
            lines.append(f"reminds after {listed(map(show_duration, self.remind), 'and')}")
        if self.then:
            lines.append(f"{self.then} is asked with the last reminder, and may approve from then on")
        if self.policy:
            lines.append(f"the policy {self.policy} says who hears of it next, and may approve from then on")
        if self.channel:
            lines.append(f"asks in {self.channel}")
        return tuple(lines)


def check_reminders(remind: tuple[timedelta, ...], expires: timedelta | None) -> None:
    """Raises ValueError when reminders do not come one after another, before the time is over."""
    if any(later <= earlier for earlier, later in pairwise(remind)):
        raise ValueError("remind: each time is counted from the beginning, and comes after the one before")
    if remind and expires is not None and remind[-1] >= expires:
        raise ValueError(
            f"remind: {show_duration(remind[-1])} is not before it expires ({show_duration(expires)})"
        )


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} different people"
