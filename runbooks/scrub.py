"""Secrets never leave: every known value, and its common encodings, is replaced before text goes out."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import TypeVar, cast
from urllib.parse import quote, quote_plus

T = TypeVar("T")

PLACEHOLDER = "[secret]"
#: Shorter values would blank out ordinary text; maint.yaml refuses secrets shorter than this.
SHORTEST = 4

#: Tokens that are secrets whoever they belong to: Slack, AWS, GitHub, JWT, passwords inside URLs.
_SHAPES = re.compile(
    r"xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
    r"|hooks\.slack\.com/[^\s\"'>]+"
)


def _encodings(value: str) -> Iterable[str]:
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    raw = value.encode()
    # base64 of a text that contains the value depends on where it starts: the three alignments, less
    # the characters at either end that neighbours have a share in.
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        first = (0, 2, 3)[shift]
        inner = text[first : len(text) - (1 if (shift + len(raw)) % 3 else 0)]
        if len(inner) >= 8:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


class Scrubber:
    """Replaces the secrets it was told, and tokens of well-known shapes, in any text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern = re.compile(r"(?!)")
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learns more values. Empty ones and ones shorter than `SHORTEST` are not replaced by value."""
        for secret in secrets:
            if len(secret) >= SHORTEST:
                self._values.update(_encodings(secret))
        longest_first = sorted(self._values, key=len, reverse=True)
        if longest_first:
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        return _SHAPES.sub(PLACEHOLDER, self._pattern.sub(PLACEHOLDER, text))

    def __repr__(self) -> str:
        return f"<Scrubber of {len(self._values)} forms>"


def scrubbed(value: T, scrub: Callable[[str], str]) -> T:
    """The same with every text in it scrubbed, however deep: in maps, lists, tuples and dataclasses."""
    return cast("T", _scrubbed(value, scrub))


def _scrubbed(value: object, scrub: Callable[[str], str]) -> object:
    if isinstance(value, StrEnum):
        return value
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {key: _scrubbed(item, scrub) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_scrubbed(item, scrub) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: _scrubbed(getattr(value, each.name), scrub) for each in fields(value)}
        )
    return value
