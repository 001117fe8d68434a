"""`measured.trend` reads what the checks on a schedule have seen, on both databases."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from runbooks.records import measurements, trends
from runbooks.records.measurements import Series, StoredResult
from runbooks.records.run_tables import outbox
from runbooks.status import Status
from tests.runs.conftest import House

Build = Callable[..., Any]

TREND = """
    name: trend
    title: Trend
    steps:
      - id: load
        measured.trend: {target: here, check: host.load, days: 7, now: 9}
    """
WRONG = TREND.replace("host.load", "redis.hit_rate")


def reading(value: float | None, at: datetime, **more: str) -> StoredResult:
    """What some check has seen."""
    series = {"runbook": "health", "step": "load", "target": "here", "kind": "host.load", **more}
    return StoredResult(
        series=Series(**series),
        correlation="c",
        status=Status.UNKNOWN if value is None else Status.OK,
        summary="",
        headline="per_core",
        values={"per_core": value},
        duration_ms=1,
        at=at,
    )


async def seen(house: House, *results: StoredResult) -> None:
    """The records have them."""
    await house.records.write(lambda connection: measurements.keep(connection, results))


async def test_many_readings_are_told_as_a_trend_with_a_picture(build: Build) -> None:
    """Of whichever runbook; not of another target or check, not of earlier days, and not what was unknown."""
    async with build({"trend": TREND}) as house:
        now = house.clock()
        await seen(
            house,
            *(
                reading(number, now - timedelta(hours=number), runbook=f"of-{number % 2}")
                for number in range(1, 21)
            ),
            reading(None, now - timedelta(hours=1)),
            reading(100, now - timedelta(hours=1), target="there"),
            reading(100, now - timedelta(hours=1), kind="host.memory"),
            reading(100, now - timedelta(days=8)),
        )
        run = await house.start("trend")
        view = await house.over(run)
        query = select(outbox.c.body).where(outbox.c.kind == "chart")
        (body,) = await house.records.read(lambda connection: connection.execute(query).scalars().all())

    assert view.step("load").outputs == {"mean": 10.5, "p95": 19.05, "low": 1, "high": 20, "readings": 20}
    assert view.step("load").summary == "mean 10.5, p95 19.1, 1 to 20, of 20 readings in the last 7 d"
    assert [value for _, value in body["panels"][0]["lines"][0]["points"]] == list(range(20, 0, -1))


async def test_what_was_thinned_counts_for_as_many_as_it_stands_for(build: Build) -> None:
    """An hour of twelve readings is twelve."""
    async with build({"trend": TREND}) as house:
        hour = house.clock().replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
        await seen(house, *(reading(2, hour + timedelta(minutes=5 * number)) for number in range(12)))
        thin = lambda connection: trends.thin_results(connection, hour + timedelta(hours=1))  # noqa: E731
        assert await house.records.write(thin) == 12
        await seen(house, *(reading(5, hour + timedelta(hours=2, minutes=number)) for number in range(4)))
        view = await house.over(await house.start("trend"))

    assert view.step("load").outputs["mean"] == 2.75
    assert view.step("load").outputs["readings"] == 16


async def test_few_readings_are_no_trend(build: Build) -> None:
    """Then it is the reading of now, and the card says so, and of how many there were."""
    async with build({"trend": TREND}) as house:
        now = house.clock()
        await seen(house, *(reading(1, now - timedelta(hours=number)) for number in range(3)))
        view = await house.over(await house.start("trend"))

    assert view.step("load").outputs == {"mean": 9, "p95": 9, "low": 9, "high": 9, "readings": 1}
    assert view.step("load").summary == "9, the reading of now: 3 readings in the last 7 d, 12 are a trend"


async def test_a_check_of_another_type_of_target_is_refused(build: Build) -> None:
    """It has measured nothing there, and never will."""
    async with build({"trend": WRONG}) as house:
        view = await house.asking(await house.start("trend"))

    assert "redis.hit_rate measures nothing on here" in view.step("load").error
