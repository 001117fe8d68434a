"""A short torture of the real program: what `make torture` does for long."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.torture import SEED, place_of, table, torture


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("database", "kills", "in_flight"), [("sqlite", 3, 8), ("postgres", 5, 10)])
def test_nothing_is_lost_and_nothing_done_twice(
    database: str, kills: int, in_flight: int, tmp_path: Path
) -> None:
    """Killed at random moments, every run comes to the end that its decisions imply, and its card says so."""
    with place_of(database, tmp_path) as place:
        # In a loop of its own: what is at work here is the harm, and that may block.
        ended = asyncio.run(
            torture(place, kills=kills, seconds=40, takeovers=0, in_flight=in_flight, seed=SEED)
        )

    assert ended.verdict.faults == [], table(database, ended)
    assert ended.verdict.figures["runs"] >= in_flight
