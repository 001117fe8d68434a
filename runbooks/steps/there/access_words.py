"""What the words of an access log mean: the day, the status, the time that a request took, its route."""

from __future__ import annotations

import re
from datetime import date

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_STATUS = re.compile(rb" [1-9]\d\d ")
_NUMBER = re.compile(rb'(?:[A-Za-z_]+[=:])?"?(\d{1,9})(?:\.(\d{1,9}))?"?')
#: Milliseconds of a whole unit.
_UNITS = {"s": 1000.0, "ms": 1.0, "us": 0.001}
#: A piece of a path that is another for every thing: a number, a hash, a uuid, a token, an address.
_IDS = re.compile(
    r"(?<![A-Za-z0-9%])(?:(?=[0-9A-Fa-f-]{0,40}\d)[0-9A-Fa-f]{8,}(?:-[0-9A-Fa-f]{4,}){0,8}"
    r"|(?=[\w-]{0,200}\d)[\w-]{20,}"
    r"|\d+)(?![A-Za-z0-9])"
    r"|[\w.+-]{1,64}(?:@|%40)[\w.-]{1,255}",
    re.ASCII,
)
#: Characters of a route.
LONGEST_ROUTE = 120
NO_REQUEST = "(no request)"
_METHOD = re.compile(rb"[A-Z]{1,20}")
#: Words that are kept with their meaning: logs say few ones again and again.
_MOST = 50_000
#: Bytes of one that is kept.
_LONGEST = 300


def day_of(text: bytes) -> int | None:
    """The ordinal of a date as `22/Nov/2026`; None when it is none."""
    try:
        if len(text) == 11 and text[2:3] == b"/" == text[6:7]:
            return date(int(text[7:]), _MONTHS[text[3:6]], int(text[:2])).toordinal()
    except (ValueError, KeyError):
        pass
    return None


class Days(dict[bytes, "bool | None"]):
    """Whether `[22/Nov/2026` is one of the days that are looked at; None when it is no date."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last

    def __missing__(self, text: bytes) -> bool | None:
        day = day_of(text[1:]) if text[:1] == b"[" else None
        found = None if day is None else self.first <= day <= self.last
        if len(self) < _MOST:
            self[text] = found
        return found


class Statuses(dict[bytes, "int | None"]):
    """The number in ` 200 `; None when there is none."""

    def __missing__(self, text: bytes) -> int | None:
        found = int(text) if _STATUS.fullmatch(text) else None
        if len(self) < _MOST:
            self[text] = found
        return found


class Times(dict[bytes, "int | None"]):
    """The milliseconds in what follows the user agent (its word `place`, from 1; 0: it has no time), cut to
    whole ones; None when it says none."""

    def __init__(self, place: int, unit: str) -> None:
        super().__init__()
        self.place, self._unit = place, _UNITS[unit]

    def __missing__(self, tail: bytes) -> int | None:
        found = self.of_word(word_of(tail, self.place))
        if len(tail) < _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[tail] = found
        return found

    def of_word(self, word: bytes) -> int | None:
        """The milliseconds that one word says."""
        number = _NUMBER.fullmatch(word.rstrip(b"\r"))
        if number is None:
            return None
        whole, part = int(number[1]), (number[2] or b"").ljust(9, b"0")
        # In whole numbers: a float has no 0.29.
        return int((whole * 1_000_000_000 + int(part)) * int(self._unit * 1000) // 1_000_000_000_000)


def word_of(tail: bytes, place: int) -> bytes:
    """What stands behind that many blanks; nothing for 0, or when there are not so many."""
    words = tail.split(b" ", place + 1) if place else []
    return words[place] if len(words) > place else b""


class Routes(dict[bytes, str]):
    """The route of a request's first line: `GET /products/:id`."""

    def __missing__(self, request: bytes) -> str:
        path, asks, _ = request.partition(b"?")
        if asks:
            return self[path]  # what follows is another each time
        found = route_of(request)
        # Once it is full it stays: what is frequent came early.
        if len(request) < _LONGEST and len(self) < _MOST:
            self[request] = found
        return found


def route_of(request: bytes) -> str:
    """The method and the path without what is another for every thing, and without what follows `?`."""
    words = request.partition(b"?")[0].split(b" ")
    if len(words) < 2 or not _METHOD.fullmatch(words[0]):
        return NO_REQUEST
    return route(words[0].decode(), words[1].decode(errors="backslashreplace"))


def route(method: str, path: str) -> str:
    """The same of a method and a path."""
    path = path.partition("?")[0][: 8 * LONGEST_ROUTE]
    plain = _IDS.sub(":id", path)
    return f"{method} {plain}"[:LONGEST_ROUTE]
