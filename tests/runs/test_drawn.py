"""What a step draws goes into the thread of its run's card, on both databases."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from runbooks.records.run_tables import outbox
from tests.steps.postgres_servers import at

Build = Callable[..., Any]

REVIEW = """
    name: review
    title: Review
    steps:
      - id: beside
        title: Requests beside the baseline
        baseline.compare: {baseline: shop, metrics: {p95: {value: 300, unit: ms}}}
"""


GROWTH = """
    name: growth
    title: Growth
    steps:
      - {id: sizes, title: Growth, postgres.table_sizes: {target: db}}
"""


async def test_what_a_check_draws_goes_into_the_thread_too(build: Build, postgres_url: str) -> None:
    """As what an action draws; the sizes of earlier runs are remembered."""
    async with build({"growth": GROWTH}, targets={"db": at(postgres_url)}) as house:
        for _ in range(3):
            house.clock.turn(days=30)
            run = await house.start("growth")
            await house.over(run)
        query = select(outbox.c.run, outbox.c.body).where(outbox.c.kind == "chart")
        rows = await house.records.read(lambda connection: connection.execute(query).all())

    ((found, body),) = rows
    assert found == run
    assert body["name"] == "Growth.png"
    assert body["panels"][0]["title"] == "Size of db"


async def test_a_comparison_is_drawn_once_there_is_a_trend(build: Build) -> None:
    """The third one has three points; each run has at most one picture."""
    async with build({"review": REVIEW}) as house:
        runs = []
        for _ in range(3):
            house.clock.turn(days=7)
            runs.append(await house.start("review"))
            await house.over(runs[-1])
        query = select(outbox.c.run, outbox.c.body).where(outbox.c.kind == "chart")
        rows = await house.records.read(lambda connection: connection.execute(query).all())

    ((run, body),) = rows
    assert run == runs[-1]
    assert body["name"] == "Requests beside the baseline.png"
    (panel,) = body["panels"]
    assert [value for _, value in panel["lines"][0]["points"]] == [300, 300, 300]
