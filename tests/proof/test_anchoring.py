"""An anchor a day, over all replicas, in every place, however often it refuses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.anchors import Anchoring
from runbooks.proof.places import FilePlace, Place
from runbooks.proof.proof import Proof
from runbooks.proof.signing import SigningKey, make_key
from runbooks.records import checkpoints
from runbooks.records.records import Records
from tests.records.conftest import make_event

KEY = SigningKey(make_key())
NOW = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[Records]:
    """A database with one event."""
    records = await Records.open(database_url)
    await records.record(make_event(at=NOW - timedelta(days=200)))
    yield records
    await records.close()


@asynccontextmanager
async def running(records: Records, clock: Clock, *places: Place, keep: int = 0) -> AsyncIterator[Proof]:
    """A process that looks every few milliseconds."""
    kept = timedelta(days=keep) if keep else None
    proof = Proof(records, now=clock, key=KEY, places=places, keep=kept)
    task = asyncio.create_task(Anchoring(proof, clock, interval=0.01, pause=0.02).run())
    try:
        yield proof
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    """Waits until that is so."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to that")


async def slots(records: Records) -> list[str]:
    """Those that have an anchor."""
    return [each.slot for each in await records.read(checkpoints.all_stored)]


async def test_three_replicas_make_one_anchor_a_day(records: Records, tmp_path: Path) -> None:
    """And each hands it to its own file, and to one that they share."""
    clock = Clock()
    files = [FilePlace(tmp_path / f"{number}.jsonl") for number in range(3)]
    shared = FilePlace(tmp_path / "shared.jsonl")
    async with AsyncExitStack() as stack:
        for file in files:
            await stack.enter_async_context(running(records, clock, file, shared))
        await until(lambda: all(len(each.read()) == 1 for each in (*files, shared)))
        clock.now += timedelta(minutes=2)
        await until(lambda: all(len(each.read()) == 2 for each in (*files, shared)))

    assert await slots(records) == ["2026-11-22", "2026-11-23"]
    assert len((tmp_path / "shared.jsonl").read_text().splitlines()) == 2


async def test_a_place_that_was_away_gets_what_it_missed(
    records: Records, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When it is back, all of it; until then the log says so."""
    clock = Clock()
    folder = tmp_path / "mounted"
    place = FilePlace(folder / "anchors.jsonl")
    async with running(records, clock, place):
        await until(lambda: "audit.anchor.refused" in caplog.text)
        clock.now += timedelta(days=1)
        for _ in range(500):
            if len(await slots(records)) == 2:
                break
            await asyncio.sleep(0.01)
        folder.mkdir()
        await until(lambda: len(place.read()) == 2)


async def test_after_a_pause_of_days_there_is_one_anchor_for_the_day_it_is(records: Records) -> None:
    """What was not signed on its day cannot be signed for it later."""
    clock = Clock()
    async with running(records, clock) as proof:
        clock.now += timedelta(days=5)
        for _ in range(500):
            if (found := await slots(records)) and found[-1] == "2026-11-27":
                break
            await asyncio.sleep(0.01)
        assert found[-1] == "2026-11-27"
        assert await proof.anchor("2026-11-27") is None


async def test_what_is_too_old_goes_by_itself(records: Records) -> None:
    """With the anchor of the day."""
    clock = Clock()
    clock.now = NOW - timedelta(days=150)
    async with running(records, clock, keep=60):
        for _ in range(500):
            if await slots(records):
                break
            await asyncio.sleep(0.01)
    clock.now = NOW
    async with running(records, clock, keep=60):
        for _ in range(500):
            if (left := await records.events()) and left[-1].seq == 2:
                break
            await asyncio.sleep(0.01)

    assert left[-1].seq == 2
    assert "prune-1" in await slots(records)


async def test_without_a_key_it_says_so_once_and_signs_nothing(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    """With what to do."""
    await asyncio.wait_for(Anchoring(Proof(records, now=Clock()), Clock(), interval=0.01).run(), 5)

    assert caplog.text.count("audit.unanchored") == 1
    assert "maint audit key" in caplog.text


async def test_what_nobody_trusts_is_not_handed_over(records: Records, tmp_path: Path) -> None:
    """A checkpoint that somebody else wrote into the database does not get into the file by us."""
    thief = SigningKey(make_key())
    await records.write(lambda connection: checkpoints.add_anchor(connection, thief, NOW, "forged"))
    place = FilePlace(tmp_path / "anchors.jsonl")

    assert await Proof(records, now=Clock(), key=KEY).hand_over(place) == 0
    assert place.read() == ()
