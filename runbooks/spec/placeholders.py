r"""References in the values of a runbook: `{{ params.version }}`, `{{ steps.backup.key }}`, `{{ item }}`.

A value that is only a reference becomes what it refers to, and keeps its type; inside a text it becomes text.
Braces that are meant as such are written `\{{`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from runbooks.spec.source import KeyPath

_PLACEHOLDER = re.compile(r"\\(?P<literal>\{\{)|\{\{(?P<name>[^{}]*)\}\}|(?P<open>\{\{)")

#: What `find` of `fill` answers for something that people may leave out and have left out.
ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "ABSENT"})()


class NotGiven(LookupError):
    """Something that was left out is needed: its name."""


def names_in(text: str) -> tuple[str, ...]:
    """What a text refers to, in order: `("params.version",)`."""
    return tuple(match["name"].strip() for match in _PLACEHOLDER.finditer(text) if match["name"] is not None)


def only_name(text: Any) -> str | None:
    """What a value refers to that is nothing but one reference; None for every other."""
    match = _PLACEHOLDER.fullmatch(text.strip()) if isinstance(text, str) else None
    return match["name"].strip() if match and match["name"] is not None else None


def is_broken(text: str) -> bool:
    """Whether braces are opened and not closed."""
    return any(match["open"] for match in _PLACEHOLDER.finditer(text))


def texts_in(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every text in maps and lists, with the way to it. Keys are no texts."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_in(inner, (*at, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from texts_in(inner, (*at, index))


def mentioned(value: Any) -> frozenset[str]:
    """Everything that a value refers to, at any depth."""
    return frozenset(name for _, text in texts_in(value) for name in names_in(text))


def fill(value: Any, find: Callable[[str], Any]) -> Any:
    """The value with each reference replaced by what `find` says of its name.

    When that is ABSENT, the key that it is the value of is left out; raises NotGiven in a list or a text.
    """
    if isinstance(value, dict):
        filled = {key: fill(inner, find) for key, inner in value.items()}
        return {key: inner for key, inner in filled.items() if inner is not ABSENT}
    if isinstance(value, list | tuple):
        return [_present(fill(inner, find), inner) for inner in value]
    if not isinstance(value, str):
        return value
    name = only_name(value)
    return find(name) if name is not None else fill_text(value, find)


def fill_text(text: str, find: Callable[[str], Any]) -> str:
    """The text with what `find` says put into it; raises NotGiven."""

    def replace(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match["literal"] or match["open"]
        name = match["name"].strip()
        return as_text(_present(find(name), name))

    return _PLACEHOLDER.sub(replace, text)


def as_text(value: Any) -> str:
    """A value inside a text: `5`, `true`, `web-1, web-2`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return ", ".join(map(as_text, value)) if isinstance(value, list | tuple) else str(value)


def _present(value: Any, name: Any) -> Any:
    if value is ABSENT:
        raise NotGiven(only_name(name) or str(name))
    return value
