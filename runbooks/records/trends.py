"""How measurements were over time: kept one by one for a while, then by the hour, then by the day.

Thinning takes one batch in each transaction, under a lock that all replicas share: what is in a bucket is not
kept one by one any more, and nothing is counted twice, whoever dies in between.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, select, text

from runbooks.records.buckets import Bucket, bucket_of, merged
from runbooks.records.insert import insert_into
from runbooks.records.measurements import Series, as_table
from runbooks.records.schema import check_results, measurements
from runbooks.records.watch_tables import trends

HOUR, DAY = "hour", "day"
#: Rows that one transaction takes out.
BATCH = 2_000
#: Bytes that a row takes, indexes and all: some more than were counted on both databases.
RESULT_BYTES, MEASUREMENT_BYTES, TREND_BYTES = 350, 60, 300
#: "trends" in ASCII: the advisory lock of who thins on PostgreSQL.
_LOCK = 0x7472656E6473
_KEY = ("runbook", "step", "target", "kind")
_BUCKET = tuple(each.name for each in fields(Bucket))


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many rows there are, and what they take on the disk, about."""

    results: int
    measurements: int
    hours: int
    days: int

    @property
    def bytes(self) -> int:
        """An estimate that knows nothing of space that is free again, but not given back."""
        own = self.results * RESULT_BYTES + self.measurements * MEASUREMENT_BYTES
        return own + (self.hours + self.days) * TREND_BYTES


def hour_of(at: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> datetime:
    """The beginning of its day, in UTC."""
    return hour_of(at).replace(hour=0)


def thin_results(connection: Connection, before: datetime) -> int:
    """Turns one batch of results from hours that ended by then into their hours; how many there were."""
    _hold(connection)
    until = hour_of(before)
    first = connection.scalar(select(func.min(check_results.c.at)).where(check_results.c.at < until))
    if first is None:
        return 0
    hour = hour_of(first)
    own = check_results.c
    query = (
        select(own.id, *(own[name] for name in _KEY), own.status, own.value, own.unit)
        .where(own.at >= hour, own.at < hour + timedelta(hours=1))
        .order_by(own.at, own.id)
        .limit(BATCH)
    )
    rows: list[Any] = list(connection.execute(query))
    by_series: defaultdict[Series, list[Any]] = defaultdict(list)
    for row in rows:
        by_series[_series(row)].append(row)
    found = {
        series: bucket_of(
            ((row.status, row.value) for row in theirs), next((row.unit for row in theirs if row.unit), "")
        )
        for series, theirs in by_series.items()
    }
    _add(connection, HOUR, hour, found)
    connection.execute(delete(check_results).where(own.id.in_([row.id for row in rows])))
    return len(rows)


def thin_hours(connection: Connection, before: datetime) -> int:
    """Turns the hours of the first day that ended by then into a day; how many hours there were."""
    _hold(connection)
    until = day_of(before)
    own = trends.c
    first = connection.scalar(select(func.min(own.at)).where(own.resolution == HOUR, own.at < until))
    if first is None:
        return 0
    day = day_of(first)
    that_day = and_(own.resolution == HOUR, own.at >= day, own.at < day + timedelta(days=1))
    by_series: defaultdict[Series, list[Bucket]] = defaultdict(list)
    for row in connection.execute(select(trends).where(that_day).order_by(own.at)):
        by_series[_series(row)].append(_bucket(row))
    _add(connection, DAY, day, {series: merged(hours) for series, hours in by_series.items()})
    connection.execute(delete(trends).where(that_day))
    return sum(map(len, by_series.values()))


def drop_days(connection: Connection, before: datetime) -> int:
    """Removes the days of the first date that ended by then; how many there were."""
    own = trends.c
    first = connection.scalar(select(func.min(own.at)).where(own.resolution == DAY, own.at < day_of(before)))
    if first is None:
        return 0
    gone = delete(trends).where(own.resolution == DAY, own.at == first)
    return len(connection.execute(gone.returning(own.at)).all())


def size(connection: Connection) -> Size:
    """What the trends take. It counts, and is not for every second."""
    resolutions = select(trends.c.resolution, func.count()).group_by(trends.c.resolution)
    counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(resolutions)}
    return Size(
        results=connection.scalar(select(func.count()).select_from(check_results)) or 0,
        measurements=connection.scalar(select(func.count()).select_from(measurements)) or 0,
        hours=counts.get(HOUR, 0),
        days=counts.get(DAY, 0),
    )


def points(
    connection: Connection, series: Iterable[Series], since: datetime
) -> dict[Series, list[tuple[datetime, float]]]:
    """The headlines of each series since then, oldest first: one by one, and of what was thinned the
    hours' and days' medians. A series without any is left out."""
    wanted = list(dict.fromkeys(series))
    if not wanted:
        return {}
    found: defaultdict[Series, list[tuple[datetime, float]]] = defaultdict(list)
    for table, value in ((trends, trends.c.p50), (check_results, check_results.c.value)):
        keys = as_table(wanted)
        query = (
            select(keys.c.number, table.c.at, value)
            .select_from(keys)
            .join(table, and_(*(table.c[name] == keys.c[name] for name in _KEY)))
            .where(table.c.at >= since, value.is_not(None))
            .order_by(table.c.at)
        )
        for number, at, number_found in connection.execute(query):
            found[wanted[number]].append((at, number_found))
    return {key: sorted(found[key]) for key in wanted if key in found}


def buckets(
    connection: Connection, runbook: str, since: datetime, until: datetime
) -> Mapping[Series, Bucket]:
    """What there is of each series of a runbook between two moments, as one bucket each: exact as far as the
    results are kept one by one."""
    own = check_results.c
    parts: defaultdict[Series, list[Bucket]] = defaultdict(list)
    thinned = select(trends).where(trends.c.runbook == runbook, trends.c.at >= since, trends.c.at < until)
    for row in connection.execute(thinned.order_by(trends.c.at)):
        parts[_series(row)].append(_bucket(row))
    kept = select(*(own[name] for name in _KEY), own.status, own.value, own.unit).where(
        own.runbook == runbook, own.at >= since, own.at < until
    )
    single: defaultdict[Series, list[tuple[str, float | None]]] = defaultdict(list)
    units: dict[Series, str] = {}
    for row in connection.execute(kept):
        series = _series(row)
        single[series].append((row.status, row.value))
        if row.unit:
            units[series] = row.unit
    for series, results in single.items():
        parts[series].append(bucket_of(results, units.get(series, "")))
    return {series: merged(theirs) for series, theirs in parts.items()}


def measured(
    connection: Connection, kind: str, target: str, since: datetime
) -> tuple[Bucket, list[tuple[datetime, float]]]:
    """What checks of that kind saw on that target since then, whichever runbooks and steps they stand in: as
    one bucket, and over time (of what was thinned the medians), oldest first."""
    own = check_results.c
    thinned = select(trends).where(trends.c.kind == kind, trends.c.target == target, trends.c.at >= since)
    parts, points = [], []
    for row in connection.execute(thinned.where(trends.c.resolution.in_((HOUR, DAY)))):
        parts.append(_bucket(row))
        if row.p50 is not None:
            points.append((row.at, row.p50))
    kept = select(own.at, own.status, own.value, own.unit).where(
        own.kind == kind, own.target == target, own.at >= since
    )
    rows: list[Any] = list(connection.execute(kept))
    parts.append(bucket_of(((row.status, row.value) for row in rows), rows[0].unit if rows else ""))
    points += [(row.at, row.value) for row in rows if row.value is not None]
    return merged(parts), sorted(points)


def _add(connection: Connection, resolution: str, at: datetime, found: Mapping[Series, Bucket]) -> None:
    """Adds to the buckets that begin then; of one that is there already it becomes a part."""
    place = (trends.c.resolution == resolution, trends.c.at == at)
    there = {_series(row): _bucket(row) for row in connection.execute(select(trends).where(*place))}
    for series, bucket in found.items():
        whole = merged([there[series], bucket]) if series in there else bucket
        values = {name: getattr(whole, name) for name in _BUCKET}
        statement = insert_into(connection, trends).values(
            **asdict(series), resolution=resolution, at=at, **values
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[trends.c[name] for name in (*_KEY, "resolution", "at")], set_=values
            )
        )


def _hold(connection: Connection) -> None:
    """Nobody else thins until the transaction ends; on SQLite nobody writes meanwhile."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _series(row: Row[Any]) -> Series:
    return Series(row.runbook, row.step, row.target, row.kind)


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(**{name: getattr(row, name) for name in _BUCKET})
