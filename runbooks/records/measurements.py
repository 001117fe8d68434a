"""What the checks found, kept so that the next report can say how it was before."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    String,
    and_,
    column,
    exists,
    func,
    insert,
    select,
    values,
)

from runbooks.records.database import scrubber_of
from runbooks.records.schema import check_results, measurements
from runbooks.status import Status

#: A number, a text, or no data: as steps have it, whose package brings every client with it.
Value = float | str | None

_KEY = ("runbook", "step", "target", "kind")


@dataclass(frozen=True)
class Series:
    """What is comparable over time: one step of one runbook on one target, while it is of one kind."""

    runbook: str
    step: str
    target: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """What one step found. `values` has every output with its value, the headline too; `units` are theirs.

    `duration_ms` in milliseconds.
    """

    series: Series
    correlation: str
    status: Status
    summary: str
    headline: str
    values: Mapping[str, Value] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    duration_ms: float
    at: datetime


@dataclass(frozen=True)
class Last:
    """The values of a series' last measurement, and when it was taken (UTC)."""

    at: datetime
    values: Mapping[str, Value]


def keep(connection: Connection, results: Sequence[StoredResult]) -> None:
    """Saves the results of a report within the caller's transaction."""
    scrub = scrubber_of(connection)
    if not results:
        return
    ids = connection.scalars(
        insert(check_results).returning(check_results.c.id, sort_by_parameter_order=True),
        [
            {
                **{name: getattr(result.series, name) for name in _KEY},
                "correlation": result.correlation,
                "status": result.status,
                "summary": scrub(result.summary),
                "headline": result.headline,
                "value": _number(result.values.get(result.headline)),
                "unit": result.units.get(result.headline, ""),
                "duration_ms": result.duration_ms,
                "at": result.at,
            }
            for result in results
        ],
    )
    rows = [
        {
            "result": id_,
            "output": output,
            "number": _number(value),
            "text": scrub(value) if isinstance(value, str) else None,
            "unit": result.units.get(output, ""),
        }
        for id_, result in zip(ids, results, strict=True)
        for output, value in result.values.items()
    ]
    if rows:
        connection.execute(insert(measurements), rows)


def previous(connection: Connection, series: Iterable[Series]) -> dict[Series, Last]:
    """The last values of each series, and when; reports in which it measured nothing do not count."""
    wanted = list(dict.fromkeys(series))
    if not wanted:
        return {}
    keys = as_table(wanted)
    earlier = check_results.alias("earlier")
    last = (
        select(earlier.c.id)
        .where(*(earlier.c[name] == keys.c[name] for name in _KEY))
        .where(exists().where(measurements.c.result == earlier.c.id))
        .order_by(earlier.c.at.desc())
        .limit(1)
        .correlate(keys)
        .scalar_subquery()
    )
    query = (
        select(keys.c.number.label("series"), check_results.c.at, measurements)
        .select_from(keys)
        .join(check_results, check_results.c.id == last)
        .join(measurements, measurements.c.result == check_results.c.id)
    )
    at: dict[Series, datetime] = {}
    found: defaultdict[Series, dict[str, Value]] = defaultdict(dict)
    for row in connection.execute(query):
        key = wanted[row.series]
        at[key] = row.at
        found[key][row.output] = row.text if row.number is None else row.number
    return {key: Last(at[key], found[key]) for key in found}


def medians(
    connection: Connection, series: Iterable[Series], days: float = 7, now: datetime | None = None
) -> dict[Series, float]:
    """The median headline of each series over the last days; a series without a number is left out."""
    wanted = list(dict.fromkeys(series))
    if not wanted:
        return {}
    keys = as_table(wanted)
    number = keys.c.number
    ranked = (
        select(
            number,
            check_results.c.value,
            func.row_number().over(partition_by=number, order_by=check_results.c.value).label("place"),
            func.count().over(partition_by=number).label("count"),
        )
        .select_from(keys)
        .join(check_results, and_(*(check_results.c[name] == keys.c[name] for name in _KEY)))
        .where(check_results.c.at >= (now or datetime.now(UTC)) - timedelta(days=days))
        .where(check_results.c.value.is_not(None))
        .subquery("ranked")
    )
    # The one in the middle, or the mean of the two there.
    middle = ranked.c.place.in_([(ranked.c.count + 1) // 2, (ranked.c.count + 2) // 2])
    query = select(ranked.c.number, func.avg(ranked.c.value)).where(middle).group_by(ranked.c.number)
    return {wanted[number]: median for number, median in connection.execute(query)}


def as_table(wanted: Sequence[Series]) -> CTE:
    """The series as a table, numbered: a number is sorted faster than four texts."""
    columns: list[ColumnElement[Any]] = [column("number", Integer), *(column(name, String) for name in _KEY)]
    rows = [(n, one.runbook, one.step, one.target, one.kind) for n, one in enumerate(wanted)]
    return values(*columns, name="wanted").data(rows).cte("series")


def _number(value: Value) -> float | None:
    # SQLite has no NaN, and a median of one would be no number: it is "no data".
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
