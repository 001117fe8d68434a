"""The small trends beside a digest: which there are, and what they show."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from runbooks.engine.checks import Report, Result
from runbooks.records.measurements import Series
from runbooks.steps.chart import Panel, panel

#: So far back they go.
SPAN = timedelta(days=7)
#: Kinds of checks that have one, in this order: response time, error rate, connections, hit rate, disk.
CHARTED = ("http.probe", "logs.errors", "postgres.connections", "redis.hit_rate", "host.disk")
#: Pictures of one digest, lines of one picture.
MOST_PANELS, MOST_LINES = 6, 4


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
