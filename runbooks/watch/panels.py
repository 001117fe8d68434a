"""The small trends beside a digest: which there are, and what they show."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

from runbooks.engine.checks import Report, Result
from runbooks.records.buckets import quantile
from runbooks.records.measurements import Series
from runbooks.steps.units import show

#: So far back they go.
SPAN = timedelta(days=7)
#: Kinds of checks that have one, in this order: response time, error rate, connections, hit rate, disk.
CHARTED = ("http.probe", "logs.errors", "postgres.connections", "redis.hit_rate", "host.disk")
#: Pictures of one digest, lines of one picture, points of one line.
MOST_PANELS, MOST_LINES, MOST_POINTS = 6, 4, 84
#: Fewer points than these show no trend.
LEAST_POINTS = 3
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


def charted(report: Report) -> dict[str, list[Result]]:
    """The checks whose trends are worth a picture, by their steps; where none is of a kind that always is,
    the first ones that are numbers."""
    numbers = [result for result in report.results if isinstance(result.value, (int, float))]
    known = sorted(
        (result for result in numbers if result.key.kind in CHARTED),
        key=lambda result: (CHARTED.index(result.key.kind), result.key.step, result.key.target),
    )
    by_step: defaultdict[str, list[Result]] = defaultdict(list)
    for result in known or numbers:
        if result.key.step in by_step or len(by_step) < MOST_PANELS:
            by_step[result.key.step].append(result)
    return {step: results[:MOST_LINES] for step, results in by_step.items()}


def panels(
    by_step: Mapping[str, Sequence[Result]],
    found: Mapping[Series, Sequence[tuple[datetime, float]]],
    since: datetime,
) -> list[Panel]:
    """The pictures of those checks, from what was measured since then; none of what shows no trend yet."""
    drawn: list[Panel] = []
    for results in by_step.values():
        lines: list[Line] = [
            {"name": result.key.target, "points": _thinned(found[result.key], since)}
            for result in results
            if len(found.get(result.key, ())) >= LEAST_POINTS
        ]
        if lines:
            first = results[0]
            drawn.append({"title": first.title, "unit": first.headline.unit, "lines": lines})
    return drawn


def alt_text(drawn: Iterable[Panel]) -> str:
    """What the picture shows, for those who cannot see it."""
    said = []
    for panel in drawn:
        unit = panel["unit"]
        each = [
            f"{line['name']} {show(min(values), unit)} to {show(max(values), unit)}, "
            f"last {show(values[-1], unit)}"
            for line in panel["lines"]
            if (values := [value for _, value in line["points"]])
        ]
        said.append(f"{panel['title']}: {'; '.join(each)}")
    text = f"Trends of {SPAN.days} days. {'. '.join(said)}."
    return text if len(text) <= ALT_LENGTH else text[: ALT_LENGTH - 1] + "…"


def chart_letter(drawn: Sequence[Panel]) -> dict[str, Any]:
    """The letter that brings them into the thread of a digest's card."""
    return {"name": "trends.png", "alt": alt_text(drawn), "panels": list(drawn)}


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
        (start + (number + 0.5) * stretch, quantile(sorted(values), 0.5))
        for number, values in sorted(stretches.items())
    ]
