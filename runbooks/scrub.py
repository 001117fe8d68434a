"""Secrets never leave: every known value, however it is written, is replaced before text goes out."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import TypeVar, cast
from urllib.parse import quote

from runbooks.readings import Reading, Span, breaks, readings
from runbooks.token_shapes import tokens

T = TypeVar("T")

PLACEHOLDER = "[secret]"
#: Shorter values would blank out ordinary text; maint.yaml refuses secrets shorter than this.
SHORTEST = 4
#: Characters of a secret from which on it is also found across line breaks, and of which it must be left
#: with what its neighbours share in base64.
SHORTEST_BROKEN, SHORTEST_INNER = 8, 6
#: Characters of a line of a secret from which on the line alone is one: a key is printed line by line.
SHORTEST_LINE = 16


class Scrubber:
    """Replaces the secrets it was told, and tokens of well-known shapes, in any text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: Counter[str] = Counter()
        self._owned: dict[str, tuple[str, ...]] = {}
        self._sought: dict[str, list[str]] = {}  # by how they begin
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learns more values, for good. Ones shorter than `SHORTEST` are not replaced by value."""
        self._forms.update(_forms(secrets))
        self._look()

    def learn(self, owner: str, *secrets: str) -> None:
        """Learns values until `forget(owner)`; the same again changes nothing."""
        known = self._owned.get(owner, ())
        new = tuple(secret for secret in dict.fromkeys(secrets) if secret not in known)
        if new:
            self._owned[owner] = (*known, *new)
            self.add(*new)

    def forget(self, owner: str) -> None:
        """No longer knows what nobody else has a share in."""
        self._forms -= Counter(_forms(self._owned.pop(owner, ())))
        self._look()

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose values are known until they are forgotten."""
        return tuple(self._owned)

    def _look(self) -> None:
        sought: dict[str, list[str]] = {}
        for form in self._forms:
            sought.setdefault(form[:SHORTEST], []).append(form)
        self._sought = sought  # at once: threads scrub too

    def __call__(self, text: str) -> str:
        found = [*tokens(text), *self._known(text)]
        if not found:
            return text
        pieces: list[str] = []
        done = 0
        for begin, end in _merged(found):
            pieces += (text[done:begin], PLACEHOLDER)
            done = end
        return "".join((*pieces, text[done:]))

    def _known(self, text: str) -> Iterator[Span]:
        if not self._sought:
            return
        for reading in readings(text):
            yield from self._places(reading)

    def _places(self, reading: Reading) -> Iterator[Span]:
        text = reading.text
        # Short ones across line breaks would be chance.
        shortest = SHORTEST_BROKEN if reading.joined else SHORTEST
        sought = self._sought
        # Most secrets are in no text: nothing in it even begins as they do.
        beginnings = sought.keys() & {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
        for form in (form for beginning in beginnings for form in sought[beginning]):
            at = text.find(form) if len(form) >= shortest else -1
            while at >= 0:
                yield reading.span(at, at + len(form))
                at = text.find(form, at + 1)

    def __repr__(self) -> str:
        return f"<Scrubber of {len(self._forms)} forms>"


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """The same parts, in order, those that overlap as one."""
    first, *rest = sorted(spans)
    begin, end = first
    for next_begin, next_end in rest:
        if next_begin < end:
            end = max(end, next_end)
            continue
        yield begin, end
        begin, end = next_begin, next_end
    yield begin, end


def _forms(secrets: Iterable[str]) -> list[str]:
    """What to look for, each once a secret: a form that two secrets share is there twice."""
    return [form for secret in secrets if len(secret) >= SHORTEST for form in set(_written(secret))]


def _written(secret: str) -> Iterator[str]:
    """How a secret may be written, beside the escapes that a reading undoes."""
    yield secret
    yield secret.replace(" ", "+")  # in the query of an address
    joined = Reading(secret).read(breaks).text
    if len(joined) >= SHORTEST:
        yield joined
    if joined != secret:
        yield from (
            line
            for line in map(str.strip, secret.splitlines())
            if len(line) >= SHORTEST_LINE and not any(map(str.isspace, line))
        )
    for inner in {secret, quote(secret, safe="", errors="surrogatepass"), json.dumps(secret)[1:-1]}:
        yield from _encoded(inner.encode("utf-8", "surrogatepass"))


def _encoded(raw: bytes) -> Iterator[str]:
    yield raw.hex()
    yield raw.hex().upper()
    whole = base64.b64encode(raw).decode()
    yield whole
    yield base64.urlsafe_b64encode(raw).decode()
    # base64 of a text that contains the value depends on where it starts: the three alignments, less
    # the characters at either end that neighbours have a share in.
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        first = (0, 2, 3)[shift]
        inner = text[first : len(text) - (1 if (shift + len(raw)) % 3 else 0)]
        if len(inner) >= SHORTEST_INNER:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


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
