"""The status of a check and of a whole report."""

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """What a check found. Unknown is not OK."""

    OK = "ok"  #: measured, and inside its thresholds
    WARNING = "warning"  #: measured, and past a warning threshold
    CRITICAL = "critical"  #: measured, and past a critical threshold, or the system is down
    UNKNOWN = "unknown"  #: could not be measured; its reason says why
    SKIPPED = "skipped"  #: there was nothing to judge (no traffic, say); its reason says what


#: From best to worst. A critical fact weighs more than a doubt, a doubt more than a warning.
SEVERITY = (Status.SKIPPED, Status.OK, Status.WARNING, Status.UNKNOWN, Status.CRITICAL)

#: Exit codes of `maint health`, as monitoring plugins have them.
EXIT_CODES = {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.UNKNOWN: 3, Status.SKIPPED: 3}


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of them. Nothing measured at all is `unknown`: nobody knows."""
    top = max(statuses, key=SEVERITY.index, default=Status.UNKNOWN)
    return Status.UNKNOWN if top is Status.SKIPPED else top
