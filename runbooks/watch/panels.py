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
    drawn = []
    for results in by_step.values():
        first = results[0]
        lines = {result.key.target: found.get(result.key, ()) for result in results}
        drawn.append(panel(first.title, first.headline.unit, lines, since))
    return [each for each in drawn if each is not None]


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


def alt_text(drawn: Iterable[Panel], span: timedelta = SPAN) -> str:
    """What the picture shows, for those who cannot see it. `span`: so far back it goes."""
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
    length = f"{span.days} days" if span.days > 1 else f"{span // timedelta(hours=1)} hours"
    text = f"Trends of {length}. {'. '.join(said)}."
    return text if len(text) <= ALT_LENGTH else text[: ALT_LENGTH - 1] + "…"


def chart_letter(drawn: Sequence[Panel], span: timedelta = SPAN, name: str = "trends.png") -> dict[str, Any]:
    """The letter that brings them into the thread of a card. `name`: that of the file."""
    return {"name": name, "alt": alt_text(drawn, span), "panels": list(drawn)}


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
