"""What people give for a parameter, read as its type; every refusal in words that say what would fit."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import regex

from runbooks.nearest import did_you_mean
from runbooks.scrub import SHORTEST, Scrubber
from runbooks.spec.model import parse_duration, show_duration
from runbooks.spec.placeholders import as_text
from runbooks.targets import TARGET_TYPES, TargetBase

if TYPE_CHECKING:
    from runbooks.spec.params import Single

#: Characters of one value. What is longer is a file.
LONGEST = 4000
#: Items of one list.
MOST_ITEMS = 200
#: Seconds that a pattern may search one value: some patterns search for hours in hostile texts.
SEARCH_SECONDS = 1.0
#: Beyond these a double does not tell whole numbers apart, and JSON loses digits.
_LARGEST_WHOLE = 2**53
#: Characters of a value that a refusal repeats.
_SHOWN = 40

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(\|[^<>]*)?>")
_PERSON = re.compile(r"@?[\w.-]{1,80}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_well_known_secrets = Scrubber()


class NotFitting(ValueError):
    """A value that a parameter does not take; its text says what it takes, and quotes no secret."""


def read_value(
    param: "Single",
    value: Any,
    targets: Mapping[str, TargetBase] | None,
    choices: Sequence[str] | None = None,
) -> Any:
    """The value as the parameter's type has it; raises NotFitting.

    `targets`: None when they are not known, and any name may be one. `choices`: those that were looked up.
    """
    if param.type == "list":
        return _list(param, value, targets)
    if param.type == "target":
        return _target(param, _text(param, value), targets)
    read = _READERS[param.type](param, value)
    allowed = param.choices or choices
    if param.type == "choice" and allowed is not None and read not in allowed:
        hint = did_you_mean(read, allowed) or f"one of {', '.join(allowed[:20])}"
        raise NotFitting(f"there is no {_quote(read)} ({hint})")
    if param.pattern is not None:
        _matches(param, param.pattern, read)
    _within(param, read)
    return read


def bound(param: "Single", limit: Any) -> Any:
    """What `min` or `max` is compared as; raises NotFitting."""
    if param.type in ("string", "list"):
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            raise NotFitting("it counts " + ("characters" if param.type == "string" else "items"))
        return limit
    return _measure(param, _READERS[param.type](param, limit))


def _measure(param: "Single", value: Any) -> Any:
    """What of a value is compared with `min` and `max`."""
    if param.type in ("string", "list"):
        return len(value)
    return parse_duration(value) if param.type == "duration" else value


def _within(param: "Single", value: Any) -> None:
    unit = {"string": " characters", "list": " items"}.get(param.type, "")
    if param.min is not None and _measure(param, value) < bound(param, param.min):
        raise NotFitting(f"must be at least {as_text(param.min)}{unit}")
    if param.max is not None and _measure(param, value) > bound(param, param.max):
        raise NotFitting(f"must be at most {as_text(param.max)}{unit}")


def _matches(param: "Single", pattern: str, text: str) -> None:
    try:
        fits = regex.fullmatch(pattern, text, timeout=SEARCH_SECONDS)
    except TimeoutError:
        raise NotFitting(f"took too long to be compared with the pattern {pattern}") from None
    if not fits:
        got = "" if _is_secret(param) else f", {_quote(text)} does not"
        raise NotFitting(f"must match {pattern}{got}")


def _text(param: "Single", value: Any) -> str:
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise NotFitting("expected a text")
    text = as_text(value)
    if len(text) > LONGEST:
        raise NotFitting(f"is longer than {LONGEST} characters")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise NotFitting("has a character that is none")
    if _is_secret(param) and len(text) < SHORTEST:
        raise NotFitting(f"a secret has at least {SHORTEST} characters, or it cannot be kept out of texts")
    return text


def _is_secret(param: "Single") -> bool:
    return getattr(param, "secret", False)


def _integer(param: "Single", value: Any) -> int:
    text = _text(param, value).strip()
    if isinstance(value, bool) or not _WHOLE.fullmatch(text) or abs(int(text)) > _LARGEST_WHOLE:
        raise NotFitting(f"expected a whole number, got {_quote(text)}")
    return int(text)


def _number(param: "Single", value: Any) -> float:
    text = _text(param, value).strip()
    if isinstance(value, bool) or not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise NotFitting(f"expected a number, got {_quote(text)}")
    return float(text)


def _boolean(param: "Single", value: Any) -> bool:
    text = _text(param, value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise NotFitting(f"expected true or false, got {_quote(text)}")
    return text in _TRUE


def _date(param: "Single", value: Any) -> str:
    text = _text(param, value).strip()
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise NotFitting(f"expected a date like 2026-01-31, got {_quote(text)}") from None


def _duration(param: "Single", value: Any) -> str:
    try:
        return show_duration(parse_duration(_text(param, value).strip()))
    except ValueError as error:
        raise NotFitting(str(error)) from None


def _user(param: "Single", value: Any) -> str:
    text = _text(param, value).strip()
    mention = _MENTION.fullmatch(text)
    if mention:
        return mention[1]
    if not _PERSON.fullmatch(text):
        raise NotFitting(f"expected a person like @anna, got {_quote(text)}")
    return text


def _target(param: "Single", text: str, targets: Mapping[str, TargetBase] | None) -> str:
    name = text.strip()
    if targets is None:
        return name
    fitting = [
        known
        for known, target in targets.items()
        if (param.of is None or isinstance(target, TARGET_TYPES[param.of]))
        and (not param.environment or target.environment in param.environment)
    ]
    if name in fitting:
        return name
    what = f"{param.of} target" if param.of else "target"
    where = f" in {' or '.join(param.environment)}" if param.environment else ""
    there = f"there are: {', '.join(sorted(fitting)[:20])}" if fitting else "there is none"
    raise NotFitting(f"there is no {what} {_quote(name)}{where} ({did_you_mean(name, fitting) or there})")


def _list(param: "Single", value: Any, targets: Mapping[str, TargetBase] | None) -> list[Any]:
    given = _split(value) if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise NotFitting("expected a list: one, two, three")
    if len(given) > MOST_ITEMS:
        raise NotFitting(f"has more than {MOST_ITEMS} items")
    single = getattr(param, "items", None)
    items: list[Any] = []
    for number, item in enumerate(given, start=1):
        try:
            read = _text(param, item) if single is None else read_value(single, item, targets)
        except NotFitting as error:
            raise NotFitting(f"item {number}: {error}") from None
        # Whatever is done for each item would be done twice.
        if read in items:
            raise NotFitting(f"item {number}: {_quote(as_text(read))} is in the list twice")
        items.append(read)
    _within(param, items)
    return items


def _split(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise NotFitting("expected a list: one, two, three") from None
    return [item.strip() for item in text.split(",") if item.strip()]


_READERS: Mapping[str, Callable[["Single", Any], Any]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "choice": _text,
    "date": _date,
    "duration": _duration,
    "user": _user,
}


def _quote(text: str) -> str:
    text = _well_known_secrets(text)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
