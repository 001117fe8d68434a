"""Every error that people may read.

    MaintError            str() is safe and fit to show: what happened, where, what to do
     ├─ ConfigError       maint.yaml or a runbook is wrong; holds every fault at once
     ├─ UsageError        the words typed do not fit; names the nearest right ones
     ├─ Refused           the person may not do this here
     │   └─ Unsure        nobody knows now whether they may, which counts as no
     ├─ StepError         a step could not measure or act; the check is `unknown`
     ├─ RecordsError      the database does not answer or is not ours to use
     └─ SlackError        Slack refused us, or cannot be reached

Anything else is a fault of ours: people get a reference id, the log has the trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in a file, and where: `line` and `column` count from 1, 0 when unknown."""

    path: str
    line: int
    column: int
    message: str
    hint: str = ""

    @property
    def where(self) -> str:
        """`runbooks/daily/health.yaml:12:5`, the form that editors and terminals make a link of."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class MaintError(Exception):
    """The root. `str()` of any of these may be shown to people: no secret, no trace."""


class ConfigError(MaintError):
    """Files that cannot be used. `faults` has everything that is wrong, in order of file and line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UsageError(MaintError):
    """The words typed do not fit a command."""


class Refused(MaintError):
    """The person may not do this, here."""


class Unsure(Refused):
    """Whether the person may is not known now: who knows it cannot be asked. That counts as no.

    `patient`: another process of Maint will know, so that people need not be asked what to do.
    """

    def __init__(self, text: str, *, patient: bool = False) -> None:
        self.patient = patient
        super().__init__(text)


class StepError(MaintError):
    """A step could not measure, or not act. The text names the system and the reason, no secret."""


class RecordsError(MaintError):
    """The database cannot be used."""


class SlackError(MaintError):
    """Slack refused us, or cannot be reached."""
