"""What somebody saw of a trouble: a check of ours, or a system that told us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runbooks.watch.damping import Damping

#: A label that no sender has: some of the labels are missing, or are not as they were sent.
CUT = "…"


class Seen(StrEnum):
    """What was seen. What could not be judged, for there was nothing to judge, is no signal."""

    BAD = "bad"
    UNKNOWN = "unknown"  #: it could not be measured; that is not well
    HOLD = "hold"  #: inside its thresholds, but not by as much as it takes to be over
    WELL = "well"


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One observation of one trouble. `key`: from other systems, the moment when this firing began there, as
    UTC in ISO form: a later one sorts after it. `at`: when it was seen; of other systems, when it began or
    ended. An older signal than what is known changes nothing. `expected_by`: when somebody
    should have looked again; None: nobody promised to."""

    fingerprint: str
    source: str
    seen: Seen
    at: datetime
    severity: str
    title: str
    summary: str = ""
    value: float | None = None
    unit: str = ""
    runbook: str = ""
    step: str = ""
    target: str = ""
    environment: str = ""
    owner: str = ""
    channel: str = ""
    key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    expected_by: datetime | None = None
    damping: Damping = field(default_factory=Damping)
