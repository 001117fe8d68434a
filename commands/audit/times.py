"""Moments as people type them: `2d`, `yesterday`, `2026-11-01`, `2026-11-01T09:30`. All of them in UTC."""

import re
from datetime import UTC, datetime, timedelta

from commands.words import quoted
from runbooks.errors import UsageError

_UNITS = {
    "minutes": ("m", "min", "mins", "minute", "minutes"),
    "hours": ("h", "hour", "hours"),
    "days": ("d", "day", "days"),
    "weeks": ("w", "week", "weeks"),
}
#: Each way to write a unit, with what it is.
UNITS = {word: unit for unit, words in _UNITS.items() for word in words}
_SPAN = re.compile(r"([0-9]{1,6}) ?([a-z]+)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY = timedelta(days=1)


def moment(text: str, now: datetime, *, end: bool = False) -> datetime:
    """The moment. A day is its beginning, with `end` its end: `until yesterday` has all of that day.

    Raises UsageError for what is none.
    """
    word = text.strip().casefold()
    now = now.astimezone(UTC)
    try:
        return _day(word, now, end) or _span(word, now) or _written(word)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{quoted(text)} is no time. Times look like 90m, 12h, 2d, 3w (ago), today, yesterday, "
            "2026-11-01 or 2026-11-01T09:30 (UTC)."
        ) from None


def _day(word: str, now: datetime, end: bool) -> datetime | None:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = {"today": today, "yesterday": today - _DAY}.get(word)
    if found is None and _DATE.fullmatch(word):
        found = datetime.fromisoformat(word).replace(tzinfo=UTC)
    return found + _DAY if found and end else found


def _span(word: str, now: datetime) -> datetime | None:
    found = _SPAN.fullmatch(word)
    if word == "now" or found is None:
        return now if word == "now" else None
    return now - timedelta(**{UNITS[found[2]]: int(found[1])}) if found[2] in UNITS else None


def _written(word: str) -> datetime:
    at = datetime.fromisoformat(word)
    # `+02:00` may lead out of the years that there are.
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def written(at: datetime) -> str:
    """As it is read again, to the microsecond."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
