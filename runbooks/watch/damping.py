"""How long something must be bad before it is told, and well before it is over; and what flapping is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: Changes that are remembered of one alert, however often it changes.
MOST_FLAPS = 100


@dataclass(frozen=True, kw_only=True)
class Damping:
    """`wait`: bad for so long before the alert opens; `clear`: well for so long before it is over. So
    many `changes` `within` that time are flapping."""

    wait: timedelta = timedelta(0)
    clear: timedelta = timedelta(0)
    changes: int = 5
    within: timedelta = timedelta(minutes=20)

    def recent(self, flaps: Sequence[datetime], at: datetime) -> tuple[datetime, ...]:
        """The changes that still count at that moment, oldest first."""
        return tuple(flap for flap in flaps if at - flap < self.within)[-MOST_FLAPS:]

    def flaps(self, flaps: Sequence[datetime]) -> bool:
        """Whether so many changes are flapping."""
        return len(flaps) >= self.changes
