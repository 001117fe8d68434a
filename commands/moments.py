"""Moments to come, as people say them: `Monday 8:00`, `tomorrow 9:00`, `18:30`, `2h`, `2026-12-01 8:00`."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from commands.words import quoted
from runbooks.errors import UsageError
from runbooks.spec.model import parse_duration
from runbooks.spec.when import read_time, weekday
from runbooks.watch.fire_times import moment_of

#: The farthest moment that anybody means.
FARTHEST = timedelta(days=366)
#: When a day begins that is named without a time.
_MORNING = "9:00"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_EXAMPLES = "Monday 8:00, tomorrow 9:00, 18:30, 2h, 3d, 2026-12-01 8:00"


def moment_to_come(text: str, now: datetime, timezone: str) -> datetime:
    """The moment, in UTC, on the clock of that zone. Raises UsageError for what is none, or not to come."""
    try:
        found = _read(text.strip().casefold(), now, ZoneInfo(timezone))
    except (ValueError, OverflowError):
        raise UsageError(f"{quoted(text)} is no time to come. Write it like {_EXAMPLES}.") from None
    if not now < found <= now + FARTHEST:
        raise UsageError(f"{quoted(text)} is not to come within a year: {found:%Y-%m-%d %H:%M} UTC.")
    return found


def _read(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    if text[:1].isdigit() and text[-1:].isalpha():
        return (now + _length(text.replace(" ", ""))).astimezone(UTC)
    day, _, time = text.replace("t", " ", 1).rpartition(" ") if _DATE.match(text) else text.rpartition(" ")
    day = day.strip().removesuffix(" at").removesuffix(",")
    if text and ":" not in time:  # a day alone
        day, time = text, _MORNING
    hour, minute = read_time(time)
    today = now.astimezone(zone).date()
    found = _on(_day(day, today), hour, minute, zone)
    if found <= now and day == "":
        return _on(today + timedelta(days=1), hour, minute, zone)
    if found <= now and not _DATE.match(day) and day not in ("today", "tomorrow"):
        return _on(_day(day, today) + timedelta(days=7), hour, minute, zone)
    return found


def _length(text: str) -> timedelta:
    length: timedelta = parse_duration(text)
    return length


def _day(text: str, today: date) -> date:
    if text in ("", "today"):
        return today
    if text == "tomorrow":
        return today + timedelta(days=1)
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    wanted = weekday(text.removeprefix("next ").removeprefix("on "))
    return today + timedelta(days=(wanted - today.isoweekday() % 7) % 7)


def _on(day: date, hour: int, minute: int, zone: ZoneInfo) -> datetime:
    return moment_of(datetime.fromisoformat(f"{day.isoformat()}T{hour:02}:{minute:02}"), zone)


def local(at: datetime, timezone: str) -> str:
    """`Mon 2026-11-23 08:00 Europe/Berlin`, for who reads it there."""
    return f"{at.astimezone(ZoneInfo(timezone)):%a %Y-%m-%d %H:%M} {timezone}"
