"""`command`: runs a program with its arguments on a host."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from runbooks.steps.action import Call
from runbooks.steps.job import Job
from runbooks.steps.program import Program, Word, shown
from runbooks.targets import HostTarget


def _names_a_program(run: tuple[str, ...]) -> tuple[str, ...]:
    if not run[0].strip() or run[0].startswith("-"):
        raise ValueError("the first word names the program")
    if len(run) == 1 and " " in run[0]:
        raise ValueError(
            "each word is an item of its own: [systemctl, restart, app.service]; no shell reads it"
        )
    return run


class Command(Program):
    """An argument list, which no shell reads: a parameter stays one argument, whatever is in it."""

    kind: ClassVar[str] = "command"
    title: ClassVar[str] = "Command"

    run: Annotated[tuple[Word, ...], AfterValidator(_names_a_program)] = Field(min_length=1, strict=False)

    def lines(self, target: HostTarget) -> tuple[str, ...]:
        """The command as it would be typed, and where."""
        return (f"{target.name} ({target.where()}): {shown(self.run)}", *self._options())

    def job(self, call: Call) -> Job:
        """The program and its arguments."""
        return self._job(call, self.run)
