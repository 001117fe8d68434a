"""Measurements are thinned: nothing is lost of counts and extremes, whatever the order and however often."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from runbooks.records import trends
from runbooks.records.buckets import Bucket, bucket_of, merged, quantile
from runbooks.records.measurements import Series, StoredResult
from runbooks.records.records import Records
from runbooks.records.schema import check_results, measurements
from runbooks.records.watch_tables import trends as table
from runbooks.status import Status
from runbooks.watch.thinning import Keep, Thinning

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
DISK, LOAD = (Series("health", step, "web-1", f"host.{step}") for step in ("disk", "load"))
KEEP = Keep(
    full=timedelta(days=2), hourly=timedelta(days=5), daily=timedelta(days=20), most_bytes=1_000_000_000
)

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
found = st.lists(
    st.tuples(st.sampled_from([str(status) for status in Status]), st.none() | numbers), max_size=30
)


@given(st.lists(numbers, min_size=1, max_size=40), st.floats(0, 1))
def test_a_quantile_lies_among_the_values(values: list[float], share: float) -> None:
    """Rounding never puts it outside."""
    ordered = sorted(values)

    assert ordered[0] <= quantile(ordered, share) <= ordered[-1]


@given(st.lists(found, max_size=6))
def test_merging_keeps_counts_and_extremes(parts: list[list[tuple[str, float | None]]]) -> None:
    """They are those of all the results at once, and the percentiles stay in their order between them."""
    whole = bucket_of([each for part in parts for each in part])
    pieced = merged(bucket_of(part) for part in parts)

    for name in ("ok", "warning", "critical", "unknown", "skipped", "count", "low", "high"):
        assert getattr(pieced, name) == getattr(whole, name)
    if pieced.count:
        order = [pieced.low, pieced.p50, pieced.p95, pieced.p99, pieced.high]
        assert all(a is not None and b is not None and a <= b for a, b in pairwise(order))
        assert pieced.mean is not None
        assert pieced.low is not None
        assert pieced.high is not None
        assert pieced.low <= pieced.mean <= pieced.high


def result(series: Series, at: datetime, value: float | None, status: Status = Status.OK) -> StoredResult:
    """One that was measured then, with a second value beside its headline."""
    values = {} if value is None else {"used": value, "free": 1.0}
    return StoredResult(
        series=series,
        correlation="c",
        status=status,
        summary="",
        headline="used",
        values=values,
        units={"used": "%"},
        duration_ms=1.0,
        at=at,
    )


class Shelf:
    """A database with a clock, and what was put into it."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.now = NOW

    def thinning(self, keep: Keep = KEEP) -> Thinning:
        """A replica's."""
        return Thinning(self.records, keep, lambda: self.now)

    async def counted(self, now: datetime, keep: Keep = KEEP) -> dict[Series, tuple[int, Counter[str]]]:
        """Of each series, how many numbers and which judgements there are, in whatever form; each form
        holds only what is of its age."""

        def look(connection: Any) -> dict[Series, tuple[int, Counter[str]]]:
            totals: dict[Series, tuple[int, Counter[str]]] = {}

            def add(row: Any, count: int, judged: dict[str, int]) -> None:
                series = Series(row.runbook, row.step, row.target, row.kind)
                had, statuses = totals.get(series, (0, Counter()))
                totals[series] = (had + count, statuses + Counter(judged))

            for row in connection.execute(select(check_results)):
                assert row.at >= trends.hour_of(now - keep.full)
                add(row, int(row.value is not None), {row.status: 1})
            for row in connection.execute(select(table)):
                if row.resolution == trends.HOUR:
                    assert trends.day_of(now - keep.hourly) <= row.at < trends.hour_of(now - keep.full)
                else:
                    assert row.at < trends.day_of(now - keep.hourly)
                add(row, row.count, {str(s): n for s in Status if (n := getattr(row, str(s)))})
            return totals

        return await self.records.read(look)


@pytest.fixture
async def shelf(database_url: str) -> AsyncIterator[Shelf]:
    """On both databases."""
    records = await Records.open(database_url)
    yield Shelf(records)
    await records.close()


ages = st.lists(
    st.tuples(
        st.integers(0, 9 * 24 * 60),  # minutes ago
        st.sampled_from([DISK, LOAD]),
        st.none() | st.floats(-1e6, 1e6),
        st.sampled_from(list(Status)),
    ),
    max_size=25,
)
passing = st.lists(st.integers(1, 72), min_size=1, max_size=4)  # hours


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(measured=ages, hours=passing)
def test_thinning_loses_no_count_and_twice_is_once(
    tmp_path_factory: pytest.TempPathFactory,
    measured: list[tuple[int, Series, float | None, Status]],
    hours: list[int],
) -> None:
    """Whenever it is done: what is old enough is thinned, nothing else is, and all of it is counted once."""
    folder: Path = tmp_path_factory.mktemp("trends")

    async def tried() -> None:
        records = await Records.open(f"sqlite:///{folder}/maint.db")
        try:
            shelf = Shelf(records)
            results = [
                result(series, NOW - timedelta(minutes=ago), value, status)
                for ago, series, value, status in measured
            ]
            await records.keep(results)
            expected: dict[Series, tuple[int, Counter[str]]] = {}
            for each in results:
                had, statuses = expected.get(each.series, (0, Counter()))
                number = int(each.values.get("used") is not None)
                expected[each.series] = (had + number, statuses + Counter([str(each.status)]))
            for passed in hours:
                shelf.now += timedelta(hours=passed)
                await shelf.thinning().round()
                assert await shelf.counted(shelf.now) == expected
                assert not any((await shelf.thinning().round()).values())
        finally:
            await records.close()

    asyncio.run(tried())


async def test_replicas_that_thin_at_once_count_nothing_twice(shelf: Shelf) -> None:
    """Each batch is one replica's; the measurements go with their results."""
    old = [result(DISK, NOW - timedelta(days=4, minutes=n), float(n)) for n in range(300)]
    await shelf.records.keep(old)

    await asyncio.gather(*(shelf.thinning().round() for _ in range(4)))

    assert await shelf.counted(NOW) == {DISK: (300, Counter({"ok": 300}))}
    left = await shelf.records.read(lambda connection: connection.execute(select(measurements)).all())
    assert left == []


async def test_a_batch_of_a_crowded_hour_becomes_a_part_of_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions stay small, and the hour is right in the end."""
    monkeypatch.setattr(trends, "BATCH", 7)
    hour = trends.hour_of(NOW - timedelta(days=4))
    await shelf.records.keep([result(LOAD, hour + timedelta(minutes=n), float(n)) for n in range(60)])

    await shelf.thinning().round()

    rows = await shelf.records.read(lambda connection: connection.execute(select(table)).all())
    assert [(row.at, row.count, row.low, row.high, row.unit) for row in rows] == [(hour, 60, 0.0, 59.0, "%")]
    assert rows[0].mean == pytest.approx(29.5)


async def test_days_go_when_they_are_old(shelf: Shelf) -> None:
    """And what is younger stays."""
    await shelf.records.keep([result(DISK, NOW - timedelta(days=n), 1.0) for n in (6, 19, 30)])

    done = await shelf.thinning().round()

    assert done == {"results": 3, "hours": 3, "days": 1, "early": 0}


async def test_what_is_too_much_is_thinned_before_its_time(shelf: Shelf) -> None:
    """The oldest first, and never the last day."""
    every = [result(DISK, NOW - timedelta(minutes=20 * n), 1.0) for n in range(3 * 24 * 2)]
    await shelf.records.keep(every)
    before = await shelf.records.read(trends.size)
    keep = Keep(full=KEEP.full, hourly=KEEP.hourly, daily=KEEP.daily, most_bytes=before.bytes // 2)

    done = await shelf.thinning(keep).round()

    after = await shelf.records.read(trends.size)
    assert done["early"]
    assert after.bytes < before.bytes
    first = select(check_results.c.at).order_by(check_results.c.at)
    oldest = await shelf.records.read(lambda connection: connection.execute(first).scalar())
    assert NOW - timedelta(days=2) < oldest <= NOW - timedelta(days=1) + timedelta(hours=1)


async def test_the_estimate_is_about_what_the_database_takes(tmp_path: Path) -> None:
    """Within a factor of two, of what a file grows by: results, then their hours."""
    records = await Records.open(f"sqlite:///{tmp_path}/maint.db")

    async def used() -> int:
        def pages(connection: Any) -> int:
            of = partial(connection.exec_driver_sql)
            count = of("PRAGMA page_count").scalar() - of("PRAGMA freelist_count").scalar()
            return int(count * of("PRAGMA page_size").scalar())

        return await records.read(pages)

    try:
        empty = await used()
        every = [
            result(
                Series("health", f"step-{n % 24}", "web-1", "host.disk"), NOW - timedelta(minutes=n), n / 7
            )
            for n in range(6_000)
        ]
        for start in range(0, len(every), 500):
            await records.keep(every[start : start + 500])
        real, said = await used() - empty, (await records.read(trends.size)).bytes
    finally:
        await records.close()
    assert real / 2 < said < real * 2


async def test_readings_over_the_thinned_and_the_new(shelf: Shelf) -> None:
    """Points are hours' medians and then results; buckets count all of them."""
    old, new = NOW - timedelta(days=4), NOW - timedelta(hours=1)
    await shelf.records.keep([result(DISK, old + timedelta(minutes=n), float(n)) for n in (0, 1, 2)])
    await shelf.records.keep(
        [result(DISK, new, 9.0, Status.CRITICAL), result(LOAD, new, None, Status.UNKNOWN)]
    )
    await shelf.thinning().round()

    points = await shelf.records.read(
        partial(trends.points, series=[DISK, LOAD], since=NOW - timedelta(days=7))
    )
    whole = await shelf.records.read(
        partial(trends.buckets, runbook="health", since=NOW - timedelta(days=7), until=NOW)
    )

    assert points == {DISK: [(trends.hour_of(old), 1.0), (new, 9.0)]}
    assert (whole[DISK].count, whole[DISK].ok, whole[DISK].critical, whole[DISK].up) == (4, 3, 1, 0.75)
    assert whole[LOAD] == Bucket(unit="%", unknown=1)
    assert whole[LOAD].up == 0
