"""Values from outside, of whatever type: made fit to keep and to show, or left out."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from runbooks.visible import one_line, printable
from runbooks.watch.signal import CUT

#: Characters of a title, and of what stands below it.
TITLE, SUMMARY = 200, 1000
#: Characters of an address: a query of Prometheus in it is long.
_ADDRESS = 2000
#: Characters of all names and values of one map together, and of one value of those that may be cut.
_MAP, _VALUE = 16_000, 2000
#: How far a sender's clock may be ahead of ours.
_AHEAD = timedelta(minutes=5)
#: Moments before that are no moments: Go's zero time is in the year 1.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
#: From here on a number of seconds is one of milliseconds.
_MILLISECONDS = 100_000_000_000


def text(value: Any, most: int = TITLE) -> str:
    """One line; of a number its digits; of anything else nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, int) and value.bit_length() > 256:
        return ""  # Python does not write such a number out
    return one_line(str(value), most)


def texts(value: Any) -> dict[str, str]:
    """A map of texts as it was sent; `CUT` is in it when something had to be left out or changed."""
    if not isinstance(value, Mapping):
        return {}
    kept: dict[str, str] = {}
    room, whole = _MAP, True
    for name, each in sorted(value.items()):
        said = each if isinstance(each, str) else text(each)
        clean = printable(said)
        room -= len(name) + len(clean)
        if room < 0 or printable(name) != name or name == CUT:
            whole = False
            continue
        whole = whole and clean == each
        kept[name] = clean
    return kept if whole else {**kept, CUT: "not all of them as they were sent"}


def shortened(value: Any) -> dict[str, str]:
    """A map of texts to read: long ones are cut."""
    return {name: each[:_VALUE] for name, each in texts(value).items() if name != CUT}


def number(value: Any) -> float | None:
    """A number that can be kept."""
    if isinstance(value, str):
        try:
            value = float(value[:50])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def address(value: Any) -> str:
    """An address of the web; empty for anything else."""
    if not isinstance(value, str) or len(value) > _ADDRESS or not value.isprintable():
        return ""
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or any(c in value for c in ' <>|"`'):
        return ""
    return value


def moment(value: Any) -> datetime | None:
    """A moment as ISO 8601 or as seconds (or milliseconds) since 1970; without a zone it is UTC."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
            found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found >= _EARLIEST else None


def not_ahead(found: datetime, now: datetime) -> datetime:
    """A moment that is not in the future: a sender whose clock is wrong must not outlast all later ones."""
    return found if found <= now + _AHEAD else now


def key_of(start: datetime) -> str:
    """The moment when a firing began, so that a later one sorts after it."""
    return start.astimezone(UTC).isoformat(timespec="microseconds")
