"""The figures of what was counted: means and percentiles by route, from histograms of milliseconds."""

from __future__ import annotations

from collections import Counter
from typing import Any

from runbooks.steps.there.access_counts import OTHER, Counts, Route

#: Routes and callers that are named; the rest is one row, or one number.
MOST_ROUTES, MOST_CALLERS = 300, 20
_PERCENTS = (50, 95, 99)


def figures(route: Route) -> dict[str, Any]:
    """Requests by status, those with a time, and their mean and percentiles (nearest rank) in ms."""
    timed = sum(route.cells.values())
    found: dict[str, Any] = {"requests": route.requests, "timed": timed, "mean": None}
    found["statuses"] = {str(status): count for status, count in sorted(route.statuses.items())}
    if timed:
        found["mean"] = route.sum_ms / timed
    ordered = sorted(route.cells.items())
    for percent in _PERCENTS:
        found[f"p{percent}"] = _percentile(ordered, timed, percent)
    return found


def _percentile(ordered: list[tuple[int, int]], timed: int, percent: int) -> int | None:
    rank = -(-timed * percent // 100)
    seen = 0
    for milliseconds, count in ordered:
        seen += count
        if seen >= rank:
            return milliseconds
    return None


def summary(counts: Counts) -> dict[str, Any]:
    """All figures, the busiest routes first."""
    counts.bound()
    total, rest = Route(), Route()
    routes: list[dict[str, Any]] = []
    ordered = sorted(counts.routes.items(), key=lambda each: (-each[1].requests, each[0]))
    for name, route in ordered:
        total.take(route)
        if name != OTHER and len(routes) < MOST_ROUTES:
            routes.append({"route": name, **figures(route)})
        else:
            rest.take(route)
    return {
        "lines": counts.lines,
        "understood": counts.understood,
        "unread": counts.unread,
        "outside": counts.outside,
        "samples": counts.samples,
        "coarse": counts.coarse,
        "total": figures(total),
        "routes": routes,
        "rest": figures(rest),
        "clients": _callers(counts.clients),
        "agents": _callers(counts.agents),
    }


def _callers(callers: Counter[str]) -> dict[str, Any]:
    named = sorted(
        ((name, n) for name, n in callers.items() if name != OTHER), key=lambda each: (-each[1], each[0])
    )
    top = named[:MOST_CALLERS]
    all_of_them = sum(callers.values())
    return {"top": [list(each) for each in top], "others": all_of_them - sum(count for _, count in top)}
