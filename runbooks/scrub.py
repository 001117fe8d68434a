"""Secrets never leave: every known value, and its common encodings, is replaced before text goes out."""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

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


def scrubbed(value: Any, scrub: Scrubber) -> Any:
    """JSON with every text in it scrubbed."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {str(key): scrubbed(inner, scrub) for key, inner in value.items()}
    return [scrubbed(inner, scrub) for inner in value] if isinstance(value, (list, tuple)) else value
