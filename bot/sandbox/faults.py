"""What goes wrong on purpose."""

from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """A way in which a request to the Web API, an upload or a response URL fails."""

    RATELIMITED = "ratelimited"  # 429 with Retry-After, nothing done
    SERVER_ERROR = "server_error"  # 500 or 503, nothing done
    DROP_BEFORE = "drop_before"  # the connection is cut, nothing done
    DROP_AFTER = "drop_after"  # done, but the connection is cut before the answer
    LATE = "late"  # done, but the answer comes late
    BLACK_HOLE = "black_hole"  # nothing done, and never an answer


@dataclass
class Fault:
    """Trouble for the next `times` calls. `seconds` is how late, or what Retry-After says."""

    trouble: Trouble
    times: int = 1
    seconds: float = 1.0
    status: int = 503


class Faults:
    """The trouble that is still to come."""

    def __init__(self) -> None:
        self._planned: dict[str, list[Fault]] = {}

    def plan(self, method: str, fault: Fault) -> None:
        """Trouble for a Web API method, `upload`, `response_url`, or `*` for all of them."""
        self._planned.setdefault(method, []).append(fault)

    def take(self, method: str) -> Fault | None:
        """The trouble of this call, if any."""
        for name in (method, "*"):
            for fault in self._planned.get(name, []):
                if fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def clear(self) -> None:
        """From now on all is well."""
        self._planned.clear()
