"""`script`: runs a shell script on a host. Parameters are environment variables, never part of the text."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints

from runbooks.steps.action import Call
from runbooks.steps.job import Job
from runbooks.steps.program import Program, Word, shown
from runbooks.targets import HostTarget
from runbooks.visible import printable

_REFERENCE = re.compile(r"\{\{\s*((?:params|steps|run|item)\b[^{}]*?)\s*\}\}")


def _no_reference(text: str) -> str:
    if found := _REFERENCE.search(text):
        reference = found[1]
        name = re.sub(r"\W+", "_", reference.rpartition(".")[2]).upper() or "VALUE"
        raise ValueError(
            "a script holds no reference: the shell would read its value as commands. Hand it over in"
            f' `environment: {{{name}: "{{{{ {reference} }}}}"}}`, and write "${name}" in the script'
        )
    if "\0" in text:
        raise ValueError("it holds a NUL character, which no shell reads")
    return text


class Script(Program):
    """A text that a shell reads; it comes as a file, so no argument list shows it."""

    kind: ClassVar[str] = "script"
    title: ClassVar[str] = "Script"
    literal: ClassVar[frozenset[str]] = frozenset({"run"})

    run: Annotated[str, StringConstraints(min_length=1, max_length=100_000), AfterValidator(_no_reference)]
    shell: tuple[Word, ...] = Field(default=("/bin/sh", "-eu"), min_length=1, strict=False)

    def lines(self, target: HostTarget) -> tuple[str, ...]:
        """The whole script, and where."""
        text = printable(self.run).rstrip().split("\n")
        return (
            f"{target.name} ({target.where()}): {shown(self.shell)} reads:",
            *(f"  {line}" for line in text),
            *self._options(),
        )

    def job(self, call: Call) -> Job:
        """The shell, and the script as its file."""
        return self._job(call, self.shell, self.run)
