"""`hours: Mon-Fri 09:00-18:00`: a part of every week."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from runbooks.spec.when import day_of_week, read_time

_SHAPE = "hours look like `Mon-Fri 09:00-18:00` or `Sat,Sun 00:00-24:00`"


@dataclass(frozen=True)
class Hours:
    """Some days of the week, from a time until another; until one that is not later: of the day after."""

    days: frozenset[int]
    since: time
    until: time

    def hold(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether that moment is within them, on the clocks there."""
        local = at.astimezone(zone)
        clock, day = local.time(), local.weekday()
        if self.since < self.until:
            return day in self.days and self.since <= clock < self.until
        return (day in self.days and clock >= self.since) or (
            (day - 1) % 7 in self.days and clock < self.until
        )


def parse_hours(text: str) -> Hours:
    """The hours that a text names. Raises ValueError."""
    days, _, clocks = text.strip().partition(" ")
    since, dash, until = clocks.strip().partition("-")
    if not dash:
        raise ValueError(_SHAPE)
    # 24:00 is the midnight at which the day ends.
    end = "0:00" if until.strip() == "24:00" else until.strip()
    return Hours(frozenset(_days(days)), time(*read_time(since)), time(*read_time(end)))


def _days(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            begin = day_of_week(first)
            end = day_of_week(last) if dash else begin
        except ValueError:
            raise ValueError(_SHAPE) from None
        yield from ((begin + n) % 7 for n in range((end - begin) % 7 + 1))
