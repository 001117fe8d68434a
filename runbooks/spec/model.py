"""What every file-shaped model shares: strict types, no unknown keys, frozen."""

import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from runbooks.nearest import did_you_mean

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Spec(BaseModel):
    """A part of a file that people write. Its fields are the YAML keys."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )
    #: Fields that whoever loads the file fills in.
    filled: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def written(cls) -> list[str]:
        """The keys that people may write."""
        return [each.alias or name for name, each in cls.model_fields.items() if name not in cls.filled]


_NAME = re.compile(r"[a-z][a-z0-9-]*")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is small letters, digits and dashes, and begins with a letter")
    return value


#: How people name things in the files: `web-1`.
Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9-]*$"})
]


def parse_duration(value: Any) -> Any:
    """`500ms`, `10s`, `5m`, `1h30m`, `7d`, `2w` as a timedelta; raises ValueError for other words."""
    if isinstance(value, timedelta):
        return value
    parts = _DURATION.findall(value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("a duration is a number and a unit: 500ms, 10s, 5m, 1h30m, 7d, 2w")
    try:
        return timedelta(seconds=sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError("that is longer than any clock can count") from None


def show_duration(value: timedelta) -> str:
    """The shortest exact way to write it: `1h30m`, `10s`, `500ms`."""
    rest = round(value.total_seconds() * 1000)
    words = []
    for unit in ("w", "d", "h", "m", "s", "ms"):
        size = round(_UNIT_SECONDS[unit] * 1000)
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$", "examples": ["10s", "5m"]}
    ),
]


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # unknown; no name at all; a folder of names
        hint = did_you_mean(value, available_timezones()) or "one like Europe/Berlin"
        raise ValueError(f"there is no time zone {value[:40]!r} ({hint})") from None
    return value


def known_zone(name: str) -> str:
    """The name of that time zone; UTC when there is none of it."""
    try:
        return _timezone(name) if name else "UTC"
    except ValueError:
        return "UTC"


#: A name in the IANA database: `Europe/Berlin`.
Timezone = Annotated[str, AfterValidator(_timezone)]


def up_to(longest: str) -> AfterValidator:
    """For a Duration: more than nothing, and not longer than that."""
    most = parse_duration(longest)

    def check(value: timedelta) -> timedelta:
        if not timedelta(0) < value <= most:
            raise ValueError(f"it must be longer than 0s and at most {longest}")
        return value

    return AfterValidator(check)


def at_least(shortest: str) -> AfterValidator:
    """For a Duration: not shorter than that."""
    least = parse_duration(shortest)

    def check(value: timedelta) -> timedelta:
        if value < least:
            raise ValueError(f"it must be at least {shortest}")
        return value

    return AfterValidator(check)
