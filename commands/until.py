"""A moment to come on the clocks of a place, as people say it: `Monday 8:00`, `tomorrow`, `18:00`, `3d`."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from commands.words import quoted
from runbooks.errors import UsageError
from runbooks.spec.model import parse_duration
from runbooks.watch.local_time import day_number, moment_of, parse_clock

#: Nobody means a time that far away.
_FARTHEST = timedelta(days=366)
#: When a day begins that is named without a time.
_MORNING = "9:00"


def moment_in(words: Sequence[str], now: datetime, zone: ZoneInfo) -> datetime:
    """The moment that the words name. Raises UsageError for others, and for what is over."""
    text = " ".join(words)
    try:
        found = _length(words, now) or _on_the_wall(words, now, zone)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{quoted(text)} is no time: say 18:00, tomorrow 9:00, Monday 8:00, 2026-12-27 9:00, 8h or 3d."
        ) from None
    if not now < found <= now + _FARTHEST:
        raise UsageError(f"{quoted(text)} is over already, or more than a year away.")
    return found


def _length(words: Sequence[str], now: datetime) -> datetime | None:
    try:
        length: timedelta = parse_duration(words[0]) if len(words) == 1 else timedelta(0)
    except ValueError:
        return None
    return now + length if length else None


def _on_the_wall(words: Sequence[str], now: datetime, zone: ZoneInfo) -> datetime:
    here = now.astimezone(zone).date()
    if len(words) == 1 and ":" in words[0]:
        found = moment_of(here, parse_clock(words[0]), zone)
        return found if found > now else moment_of(here + timedelta(days=1), parse_clock(words[0]), zone)
    if not 1 <= len(words) <= 2:
        raise ValueError(words)
    day, clock = words[0], words[1] if len(words) == 2 else _MORNING
    time, number = parse_clock(clock), day_number(day)
    if number is not None:
        ahead = (number - here.weekday()) % 7
        found = moment_of(here + timedelta(days=ahead), time, zone)
        return found if found > now else moment_of(here + timedelta(days=ahead + 7), time, zone)
    if day.casefold() == "tomorrow":
        return moment_of(here + timedelta(days=1), time, zone)
    return moment_of(date.fromisoformat(day), time, zone)
