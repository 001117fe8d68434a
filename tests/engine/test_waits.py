"""A wait ends when its time is over, however often the run wakes meanwhile."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from runbooks.engine.at import Finished, Waiting
from runbooks.engine.waits import run_wait
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from runbooks.records.runs import WaitingOn
from runbooks.steps.wait import Wait
from tests.engine.at_gates_double import Stage, step_of
from tests.records.run_rows import NOON


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    engine = open_database(f"sqlite:///{tmp_path}/maint.db")
    migrate(engine)
    yield Stage(engine, step_of(Wait, {"for": "10m"}))
    engine.dispose()


async def test_a_wait_ends_when_it_said_at_first(stage: Stage) -> None:
    """Waking in between does not begin it anew."""
    for _ in range(3):
        outcome = await stage.look(run_wait)
        assert outcome == Waiting(
            on=WaitingOn.TIME, until=NOON + timedelta(minutes=10), progress="until 12:10 UTC"
        )
        stage.later(minutes=3)
    stage.later(minutes=1)

    assert await stage.look(run_wait) == Finished(summary="waited 10m")


async def test_a_new_attempt_waits_anew(stage: Stage) -> None:
    """What an earlier attempt noted is over."""
    await stage.look(run_wait)
    stage.later(hours=1)
    stage.attempt = 2

    outcome = await stage.look(run_wait)

    assert isinstance(outcome, Waiting)
    assert outcome.until == NOON + timedelta(hours=1, minutes=10)


async def test_a_wait_over_midnight_says_the_day(stage: Stage) -> None:
    """A time of tomorrow is not taken for one of today."""
    stage.later(hours=11, minutes=55)
    outcome = await stage.look(run_wait)

    assert isinstance(outcome, Waiting)
    assert outcome.progress == "until 2026-03-02 00:05 UTC"
