"""Times on a wall: what a clock shows somewhere, and which moment that is."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: As people write the days of a week, Monday first.
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def moment_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The moment (UTC) when clocks there show that time: in a gap the first moment after it, in a fold the
    first of the two."""
    wall = datetime.combine(day, at, zone)
    moment = wall.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return moment
    # The clocks skip it: read with the offset after the gap it is too early, with the one before too late.
    early, late = wall.replace(fold=1).astimezone(UTC), moment
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall.replace(tzinfo=None):
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def day_number(word: str) -> int | None:
    """0 for `Monday`, `mon`; None for other words."""
    folded = word.casefold()
    return next((n for n, day in enumerate(DAYS) if folded in (day, day[:3])), None)


def parse_clock(text: str) -> time:
    """`9:00`, `18:30`. Raises ValueError."""
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isascii() and hours.isdigit() and len(hours) <= 2 and len(minutes) == 2):
        raise ValueError("a time looks like 9:00 or 18:30")
    try:
        return time(int(hours), int(minutes))
    except ValueError:
        raise ValueError("a time looks like 9:00 or 18:30") from None
