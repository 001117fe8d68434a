"""What the lines of access logs add up to, in bounded memory. What is too much to be kept apart is counted
under OTHER; no line is dropped in silence."""

from __future__ import annotations

from collections import Counter
from typing import Any

OTHER = "(other)"
#: What is kept apart: routes, and clients and agents that were turned away.
MOST_ROUTES = 1000
MOST_CALLERS = 5000
#: Cells of all histograms; with more, times are kept to two digits.
MOST_CELLS = 250_000
#: Lines that were not understood, of which a piece is kept.
MOST_SAMPLES, SAMPLE = 5, 400


def bucket(milliseconds: int) -> int:
    """The cell of a time: exact to 1 ms up to 10 s, to 10 ms up to a minute, to 1 s up to an hour."""
    if milliseconds <= 10_000:
        return milliseconds
    step = 10 if milliseconds <= 60_000 else 1000
    return min(-(-milliseconds // step) * step, 3_600_000)


def two_digits(milliseconds: int) -> int:
    """The same to two digits, rounded up."""
    step = int("1".ljust(len(str(milliseconds)) - 1, "0"))
    return -(-milliseconds // step) * step


class Route:
    """The requests of one route: by status, and their times in a histogram of milliseconds."""

    __slots__ = ("cells", "statuses", "sum_ms")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.cells: dict[int, int] = {}
        self.sum_ms = 0

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.statuses.values())

    def add_time(self, milliseconds: int, count: int) -> None:
        """Counts so many requests that took as long."""
        cell = bucket(milliseconds)
        self.cells[cell] = self.cells.get(cell, 0) + count
        self.sum_ms += milliseconds * count

    def take(self, other: Route) -> None:
        """Counts what the other has counted."""
        for mine, theirs in ((self.statuses, other.statuses), (self.cells, other.cells)):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count
        self.sum_ms += other.sum_ms

    def coarsen(self) -> None:
        """Keeps the times to two digits."""
        cells: dict[int, int] = {}
        for cell, count in self.cells.items():
            rough = two_digits(cell)
            cells[rough] = cells.get(rough, 0) + count
        self.cells = cells


class Counts:
    """`lines` is the sum of `understood`, `unread` (not understood) and `outside` (of other days)."""

    def __init__(self) -> None:
        self.understood = 0
        self.unread = 0
        self.outside = 0
        self.coarse = False
        self.routes: dict[str, Route] = {}
        self.clients: Counter[str] = Counter()
        self.agents: Counter[str] = Counter()
        self.samples: list[str] = []

    @property
    def lines(self) -> int:
        """All that were read."""
        return self.understood + self.unread + self.outside

    def _route(self, name: str) -> Route:
        found = self.routes.get(name)
        if found is None:
            found = self.routes[name] = Route()
        return found

    def add(self, route: str, status: int, milliseconds: int | None) -> None:
        """Counts one request; without a time when the log has none."""
        self.add_requests(route, status, 1)
        self.add_times(route, milliseconds, 1)

    def add_requests(self, route: str, status: int, count: int) -> None:
        """Counts so many requests with that status."""
        statuses = self._route(route).statuses
        statuses[status] = statuses.get(status, 0) + count
        self.understood += count

    def add_times(self, route: str, milliseconds: int | None, count: int) -> None:
        """Counts how long so many of them took."""
        if milliseconds is not None:
            self._route(route).add_time(milliseconds, count)

    def add_refused(self, client: str, agent: str, count: int = 1) -> None:
        """Counts who was turned away (401, 403); their requests are counted by `add`."""
        self.clients[client] += count
        self.agents[agent] += count

    def add_unread(self, line: bytes) -> None:
        """Counts a line that was not understood."""
        self.unread += 1
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(line[:SAMPLE].decode(errors="backslashreplace"))

    def bound(self) -> None:
        """Gives memory back: the rarest routes and callers become OTHER."""
        if len(self.routes) > 2 * MOST_ROUTES:
            ordered = sorted(self.routes, key=lambda name: self.routes[name].requests, reverse=True)
            rest = self.routes.setdefault(OTHER, Route())
            for name in ordered[MOST_ROUTES:]:
                if name != OTHER:
                    rest.take(self.routes.pop(name))
        for callers in (self.clients, self.agents):
            if len(callers) > 2 * MOST_CALLERS:
                _keep_most(callers)
        if sum(len(route.cells) for route in self.routes.values()) > MOST_CELLS:
            self.coarse = True
        if self.coarse:
            for route in self.routes.values():
                route.coarsen()

    def take(self, other: Counts) -> None:
        """Counts what the other has counted."""
        self.understood += other.understood
        self.unread += other.unread
        self.outside += other.outside
        self.coarse = self.coarse or other.coarse
        for name, route in other.routes.items():
            self.routes.setdefault(name, Route()).take(route)
        self.clients.update(other.clients)
        self.agents.update(other.agents)
        self.samples = [*self.samples, *other.samples][:MOST_SAMPLES]
        self.bound()

    def as_json(self) -> dict[str, Any]:
        """All of it, for another process."""
        return {
            "understood": self.understood,
            "unread": self.unread,
            "outside": self.outside,
            "coarse": self.coarse,
            "routes": {
                name: [list(route.statuses.items()), list(route.cells.items()), route.sum_ms]
                for name, route in self.routes.items()
            },
            "clients": dict(self.clients),
            "agents": dict(self.agents),
            "samples": self.samples,
        }


def counts_from(said: dict[str, Any]) -> Counts:
    """What `as_json` has written."""
    counts = Counts()
    for name in ("understood", "unread", "outside", "coarse", "samples"):
        setattr(counts, name, said[name])
    counts.clients, counts.agents = Counter(said["clients"]), Counter(said["agents"])
    for name, (statuses, cells, sum_ms) in said["routes"].items():
        route = counts.routes[name] = Route()
        route.statuses, route.cells, route.sum_ms = dict(statuses), dict(cells), sum_ms
    return counts


def _keep_most(callers: Counter[str]) -> None:
    kept = dict(callers.most_common(MOST_CALLERS))
    rest = sum(callers.values()) - sum(kept.values())
    callers.clear()
    callers.update(kept)
    callers[OTHER] += rest
