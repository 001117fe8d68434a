"""An access review in words: what there was, what failed, who was turned away, and what moved."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runbooks.steps.log_signatures import fold
from runbooks.steps.units import show
from runbooks.visible import one_line

#: Routes that last time's row keeps, for the next time.
REMEMBERED = 200
#: Requests below which nobody is told that a route moved.
_FEW = 50
#: Factors of a route's 95th percentile, and percent of failures more, that are worth a line.
_SLOWER, _MORE_FAILURES = 1.25, 1.0
_CALLERS = {"clients": "client", "agents": "user agent"}


def count_of(statuses: Mapping[str, int], hundred: int) -> int:
    """How many answers were of that hundred: 4 for 404 and its like."""
    return sum(count for status, count in statuses.items() if status[0] == str(hundred))


def percent(part: int, whole: int) -> float | None:
    """The share; None of nothing."""
    return 100 * part / whole if whole else None


def to_remember(found: Mapping[str, Any], first_day: int, last_day: int) -> dict[str, Any]:
    """What the next review compares itself with."""
    return {
        "first_day": first_day,
        "last_day": last_day,
        "total": _kept(found["total"]),
        "routes": {row["route"]: _kept(row) for row in found["routes"][:REMEMBERED]},
        "callers": {each: dict(found[each]["top"]) for each in _CALLERS},
    }


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    statuses = row["statuses"]
    return {
        "requests": row["requests"],
        "failed": count_of(statuses, 5),
        "p95": row["p95"],
        "mean": row["mean"],
    }


def report(found: Mapping[str, Any], before: Mapping[str, Any] | None, top: int) -> str:
    """The whole review, for the thread of a run's card."""
    parts = [
        _table("Routes", _routes(found, top)),
        _table("Failed (5xx)", _failed(found, 5, top)),
        _table("Refused (4xx)", _failed(found, 4, top)),
        _table("401 and 403 by route", _turned_away(found, top)),
        _table("401 and 403 by client", _callers(found["clients"], top)),
        _table("401 and 403 by user agent", _callers(found["agents"], top)),
        _table("Answers by status", _statuses(found["total"]["statuses"])),
        _table(
            "Moved against the time before", moved(found, before, top) if before else ["nothing to compare"]
        ),
    ]
    if before:
        parts += [
            _table(f"401 and 403 by {title}, against the time before", _turned(found, before, each, top))
            for each, title in _CALLERS.items()
        ]
    if found["unread"]:
        samples = [one_line(fold(sample), 200) for sample in found["samples"]]
        parts.append(_table(f"{found['unread']:,} lines not understood, such as", samples))
    return "\n\n".join(part for part in parts if part)


def _table(title: str, rows: Sequence[str] | Iterator[str]) -> str:
    lines = [f"  {row}" for row in rows]
    return "\n".join([title, *lines]) if lines else ""


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _routes(found: Mapping[str, Any], top: int) -> Iterator[str]:
    yield f"{'requests':>12} {'4xx':>9} {'5xx':>9} {'mean ms':>8} {'p50':>7} {'p95':>7} {'p99':>7}  route"
    rows = [*found["routes"][:top]]
    hidden = found["routes"][top:]
    for row in [*rows, {**found["total"], "route": "all of them"}]:
        statuses = row["statuses"]
        times = [_milliseconds(row[name]) for name in ("mean", "p50", "p95", "p99")]
        yield (
            f"{row['requests']:>12,} {count_of(statuses, 4):>9,} {count_of(statuses, 5):>9,} {times[0]:>8}"
            f" {times[1]:>7} {times[2]:>7} {times[3]:>7}  {one_line(row['route'])}"
        )
    rest = sum(row["requests"] for row in hidden) + found["rest"]["requests"]
    if rest:
        yield f"{rest:>12,} requests of other routes"


def _failed(found: Mapping[str, Any], hundred: int, top: int) -> Iterator[str]:
    rows = [(count_of(row["statuses"], hundred), row) for row in found["routes"]]
    for count, row in sorted(rows, key=lambda each: -each[0])[:top]:
        if count:
            share = show(percent(count, row["requests"]), "%")
            kinds = ", ".join(f"{n:,} x {s}" for s, n in row["statuses"].items() if s[0] == str(hundred))
            yield f"{count:>12,}  {one_line(row['route'])}: {share} of its requests ({kinds})"


def _turned_away(found: Mapping[str, Any], top: int) -> Iterator[str]:
    rows = [
        (row["statuses"].get("401", 0), row["statuses"].get("403", 0), row["route"])
        for row in found["routes"]
    ]
    for denied, forbidden, route in sorted(rows, key=lambda each: -(each[0] + each[1]))[:top]:
        if denied + forbidden:
            yield f"{denied + forbidden:>12,}  {one_line(route)} ({denied:,} x 401, {forbidden:,} x 403)"


def _callers(callers: Mapping[str, Any], top: int) -> Iterator[str]:
    rest = callers["others"]
    for place, (name, count) in enumerate(callers["top"]):
        if place < top:
            yield f"{count:>12,}  {one_line(name)}"
        else:
            rest += count
    if rest:
        yield f"{rest:>12,}  others"


def _statuses(statuses: Mapping[str, int]) -> Iterator[str]:
    for status, count in sorted(statuses.items(), key=lambda each: -each[1]):
        yield f"{count:>12,}  {status}"


def moved(found: Mapping[str, Any], before: Mapping[str, Any], top: int) -> list[str]:
    """What is not as it was the time before: requests first, the largest change before others."""
    was, now = before["routes"], {row["route"]: row for row in found["routes"]}
    changes = []
    for route in {*was, *now}:
        then = was.get(route, {"requests": 0, "failed": 0, "p95": None})
        row = now.get(route)
        requests = row["requests"] if row else 0
        if max(requests, then["requests"]) >= _FEW:
            changes.append((abs(requests - then["requests"]), route, then, row))
    changes.sort(key=lambda each: (-each[0], each[1]))
    lines = [line for _, route, then, row in changes if (line := _change(route, then, row))]
    return lines[:top] or ["nothing to speak of"]


def _turned(found: Mapping[str, Any], before: Mapping[str, Any], which: str, top: int) -> Iterator[str]:
    """Who is turned away more or less often than then. Of those who are not among the most frequent, nobody
    knows how often that was."""
    now, then = dict(found[which]["top"]), before.get("callers", {}).get(which)
    if then is None:  # remembered by an earlier version
        return
    rows = [(now.get(name), then.get(name), name) for name in {*now, *then}]
    rows.sort(key=lambda each: (-abs((each[0] or 0) - (each[1] or 0)), each[2]))
    told = 0
    for count, was, name in rows:
        if max(count or 0, was or 0) < _FEW or told == top or _is_alike(count, was):
            continue
        told += 1
        words = ["few" if each is None else f"{each:,}" for each in (was, count)]
        yield f"{one_line(name)}: {' -> '.join(words)}"


def _is_alike(count: int | None, was: int | None) -> bool:
    return bool(count and was and abs(count - was) * 10 < was)


def _change(route: str, then: Mapping[str, Any], row: Mapping[str, Any] | None) -> str:
    said = []
    requests = row["requests"] if row else 0
    if not then["requests"]:
        said.append(f"new: {requests:,} requests")
    elif not requests:
        said.append(f"gone: {then['requests']:,} requests before")
    else:
        change = 100 * (requests - then["requests"]) / then["requests"]
        if abs(change) >= 10:
            said.append(f"{then['requests']:,} -> {requests:,} requests ({change:+.0f} %)")
    if row and row["p95"] is not None and then["p95"] and row["p95"] > _SLOWER * then["p95"]:
        said.append(f"p95 {then['p95']:,} -> {row['p95']:,} ms")
    failed = percent(count_of(row["statuses"], 5), requests) if row else None
    failed_then = percent(then["failed"], then["requests"])
    if failed is not None and failed - (failed_then or 0) >= _MORE_FAILURES:
        said.append(f"5xx {show(failed_then or 0.0, '%')} -> {show(failed, '%')}")
    return f"{one_line(route)}: {'; '.join(said)}" if said else ""
