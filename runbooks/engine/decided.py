"""What came of a decision."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether it counts."""

    COUNTED = "counted"  #: it counts, and more people are needed
    CLOSED = "closed"  #: it is decided
    LATE = "late"  #: somebody else was first, or the time was over
    DUPLICATE = "duplicate"  #: the same person said the same before
    DENIED = "denied"  #: the person may not
    REASON_NEEDED = "reason_needed"  #: say it again, with a reason, evidence or a person's name
    UNKNOWN = "unknown"  #: there is no such question, or no such answer to it


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What to tell the person, and only that person."""

    outcome: Verdict
    text: str
    run: str = ""
