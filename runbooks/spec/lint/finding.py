"""What a rule finds, and what it looks at."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runbooks.errors import Fault
from runbooks.spec.lint.shell import Line
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath, Mark

#: The members of each role of maint.yaml, by the role's name.
Roles = Mapping[str, tuple[str, ...]]


class Level(StrEnum):
    """How bad it is."""

    ERROR = "error"  #: it does not do what it says, or does harm
    WARNING = "warning"  #: worth a second look


@dataclass(frozen=True, kw_only=True)
class StepAt:
    """A step, and where it stands. `at` is the way to the step, `fields_at` to what stands under its kind.

    `lines` are the command lines that it runs, as far as they are written there.
    """

    runbook: Runbook
    document: Document
    step: RunbookStep
    at: KeyPath
    fields_at: KeyPath
    roles: Roles | None
    undoes: bool = False  # it is the rollback of another step, or stands in the runbook's
    lines: tuple[Line, ...] = field(default=(), repr=False)

    def mark(self, *inside: str | int) -> Mark:
        """The place of a field of the step's kind; the kind's own when it is not written."""
        return self.document.mark((*self.fields_at, *inside))

    def head_mark(self, key: str) -> Mark:
        """The place of a key of the step itself."""
        return self.document.keys.get((*self.at, key)) or self.document.mark(self.at)


#: Where a rule finds something, and what it says of this very place, if more than always.
Found = tuple[Mark, str]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`happens` is what comes of it, `instead` what to do; `look` yields the places of one step."""

    id: str
    level: Level
    happens: str
    instead: str
    look: Callable[[StepAt], Iterable[Found]]


@dataclass(frozen=True, order=True, kw_only=True)
class Finding:
    """Something that was found. `silenced`: the file's reason why it is all right; empty when it is not."""

    fault: Fault
    rule: str
    level: Level
    silenced: str = ""

    def __str__(self) -> str:
        told = f"{self.fault.where}: {self.level} {self.rule}: {self.fault.message}"
        told += f"\n    instead: {self.fault.hint}" if self.fault.hint else ""
        return f"{told}\n    silenced: {self.silenced}" if self.silenced else told
