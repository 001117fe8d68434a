"""Lines of nginx's and Apache's `combined`, counted block by block: what takes time is done by loops in C.

Most lines fall into seven parts at their quotation marks: who and when, the request, status and size, the
referer, a blank, the user agent, and the rest with the time that it took. Those are judged by four places
in them; every other line by a regular expression. DuckDB is held against the same places.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import compress
from operator import itemgetter
from typing import Any

from runbooks.steps.there.access_counts import Counts
from runbooks.steps.there.access_words import Days, Routes, Statuses, Times, day_of

#: Parts of a line.
PARTS = 7
#: Where a part that ends with `[22/Nov/2026:06:25:01 +0000] ` has its date.
DAY = slice(-29, -17)
STATUS = slice(0, 5)
#: The blank between referer and user agent.
BLANK = b" "
REFUSED = frozenset((401, 403))
_REFUSED = frozenset(b" %d " % status for status in REFUSED)
#: Bytes of a client's address and of a user agent that are kept.
CLIENT, AGENT = 100, 200
#: Bytes of a block that is not taken apart further, but read line by line.
_SMALL = 2048
#: Different things that are counted before they are looked at.
_MOST_PENDING = 60_000

_first = itemgetter(slice(0, 1))
_day = itemgetter(DAY)
_status = itemgetter(STATUS)

_LINE = re.compile(
    rb'(\S+) [^"]*\[(\d\d/[A-Z][a-z]{2}/\d{4}):\d\d:\d\d:\d\d [+-]\d{4}\] '
    rb'"((?:[^"\\]|\\.)*)" ([1-9]\d\d) (?:\d+|-)'
    rb'(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)"((?: .*)?))?$',
    re.DOTALL,
)


class NginxLines:
    """Counts lines into `counts`; `finish` when there are no more."""

    def __init__(self, counts: Counts, asked: dict[str, Any]) -> None:
        self._counts = counts
        self._days = Days(asked["first_day"], asked["last_day"])
        self._statuses = Statuses()
        self._times = Times(asked["time_word"], asked["time_unit"])
        self._routes = Routes()
        self._pending: Counter[tuple[str, bytes]] = Counter()  # route and ` 200 `
        self._pending_times: Counter[tuple[str, int | None]] = Counter()

    def block(self, data: bytes) -> None:
        """Counts the lines in it, which are parted by line breaks."""
        if not self._at_once(data):
            if len(data) > _SMALL and (middle := data.find(b"\n", len(data) // 2)) >= 0:
                self.block(data[:middle])
                self.block(data[middle + 1 :])
            else:
                for line in data.split(b"\n"):
                    self.line(line)

    def _at_once(self, data: bytes) -> bool:
        """Whether all lines in it were like most, and of one kind of day; then they are counted."""
        parts = data.replace(b"\n", b'"\n').split(b'"')
        heads = parts[0::PARTS]
        # There are as many line breaks as lines, each before a head: then every line has its seven parts.
        as_many = len(parts) == PARTS * len(heads) == PARTS * (data.count(b"\n") + 1)
        if not as_many or not set(map(_first, heads[1:])) <= {b"\n"} or set(parts[4::PARTS]) != {BLANK}:
            return False
        inside = {self._days[day] for day in set(map(_day, heads))}
        statuses = list(map(_status, parts[2::PARTS]))
        kinds = set(statuses)
        if len(inside) > 1 or None in inside or any(self._statuses[each] is None for each in kinds):
            return False
        if inside == {False}:
            self._counts.outside += len(heads)
            return True
        self._count(parts, statuses)
        if kinds & _REFUSED:
            for head, agent in compress(zip(heads, parts[5::PARTS]), map(_REFUSED.__contains__, statuses)):
                self._counts.add_refused(client_of(head.lstrip(b"\n")), agent_of(agent))
        return True

    def _count(self, parts: list[bytes], statuses: list[bytes]) -> None:
        routes = list(map(self._routes.__getitem__, parts[1::PARTS]))
        times = map(self._times.__getitem__, parts[6::PARTS])
        self._pending.update(zip(routes, statuses))
        self._pending_times.update(zip(routes, times))
        if len(self._pending) + len(self._pending_times) > _MOST_PENDING:
            self._settle()

    def line(self, line: bytes) -> None:
        """Counts one line."""
        parts = line.split(b'"')
        if len(parts) == PARTS:
            self._seven(line, parts)
        else:
            self._odd(line)

    def _seven(self, line: bytes, parts: list[bytes]) -> None:
        inside, status = self._days[parts[0][DAY]], self._statuses[parts[2][STATUS]]
        if inside is None or status is None or parts[4] != BLANK:
            self._counts.add_unread(line)
        elif not inside:
            self._counts.outside += 1
        else:
            self._counts.add(self._routes[parts[1]], status, self._times[parts[6]])
            if status in REFUSED:
                self._counts.add_refused(client_of(parts[0]), agent_of(parts[5]))

    def _odd(self, line: bytes) -> None:
        found = _LINE.match(line.rstrip(b"\r"))
        day = day_of(found[2]) if found else None
        if found is None or day is None:
            self._counts.add_unread(line)
        elif not self._days.first <= day <= self._days.last:
            self._counts.outside += 1
        else:
            status = int(found[4])
            self._counts.add(self._routes[found[3]], status, self._times[found[6] or b""])
            if status in REFUSED:
                self._counts.add_refused(client_of(found[1]), agent_of(found[5] or b"-"))

    def _settle(self) -> None:
        for (route, status), count in self._pending.items():
            number = self._statuses[status]
            assert number is not None
            self._counts.add_requests(route, number, count)
        for (route, milliseconds), count in self._pending_times.items():
            self._counts.add_times(route, milliseconds, count)
        self._pending.clear()
        self._pending_times.clear()
        self._counts.bound()

    def finish(self) -> None:
        """Counts what was put off."""
        self._settle()


def client_of(head: bytes) -> str:
    """The client's address: the first word of a line."""
    return head.partition(b" ")[0][:CLIENT].decode(errors="backslashreplace")


def agent_of(agent: bytes) -> str:
    """The user agent, cut."""
    return agent[:AGENT].decode(errors="backslashreplace")
