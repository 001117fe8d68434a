"""Pictures of numbers over time: what they show. They are kept as JSON until somebody draws them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any, TypedDict

from runbooks.steps.units import show

#: Points of one line; with fewer than the least, there is no trend.
MOST_POINTS, LEAST_POINTS = 84, 3
#: Characters of a description: Slack takes 1,000.
ALT_LENGTH = 900


class Line(TypedDict):
    """One line of a picture; each point is a moment, in seconds since 1970, with its value."""

    name: str
    points: list[tuple[float, float]]


class Panel(TypedDict):
    """One picture. They are kept as JSON until they are drawn."""

    title: str
    unit: str
    lines: list[Line]


def panel(
    title: str, unit: str, found: Mapping[str, Sequence[tuple[datetime, float]]], since: datetime
) -> Panel | None:
    """One picture, with a line for each name, from what was measured since then; None where there is no
    trend yet."""
    lines: list[Line] = [
        {"name": name, "points": _thinned(points, since)}
        for name, points in found.items()
        if len(points) >= LEAST_POINTS
    ]
    return {"title": title, "unit": unit, "lines": lines} if lines else None


def alt_text(drawn: Sequence[Panel]) -> str:
    """What the pictures show, for those who cannot see them."""
    said = []
    for each in drawn:
        unit = each["unit"]
        lines = [
            f"{line['name']} {show(min(values), unit)} to {show(max(values), unit)}, "
            f"last {show(values[-1], unit)}"
            for line in each["lines"]
            if (values := [value for _, value in line["points"]])
        ]
        said.append(f"{each['title']}: {'; '.join(lines)}")
    moments = [at for each in drawn for line in each["lines"] for at, _ in line["points"]]
    first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}" for at in (min(moments), max(moments)))
    text = f"Trends from {first} to {last} UTC. {'. '.join(said)}."
    return text if len(text) <= ALT_LENGTH else text[: ALT_LENGTH - 1] + "…"


def chart_letter(drawn: Sequence[Panel], name: str = "trends.png") -> dict[str, Any]:
    """The letter that brings them into the thread of a card. `name`: that of the file."""
    return {"name": name, "alt": alt_text(drawn), "panels": list(drawn)}


def _thinned(found: Sequence[tuple[datetime, float]], since: datetime) -> list[tuple[float, float]]:
    """So many points at most: of each stretch of time the median, at its middle."""
    if len(found) <= MOST_POINTS:
        return [(at.timestamp(), value) for at, value in found]
    start = since.timestamp()
    stretch = max(1.0, (found[-1][0].timestamp() - start) / MOST_POINTS)
    stretches: defaultdict[int, list[float]] = defaultdict(list)
    for at, value in found:
        stretches[min(MOST_POINTS - 1, int((at.timestamp() - start) // stretch))].append(value)
    return [
        (start + (number + 0.5) * stretch, median(values)) for number, values in sorted(stretches.items())
    ]
