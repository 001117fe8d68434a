"""DBOS carries segments: enqueued with their transaction, run once in our loop, handed over, forgotten."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

from runbooks.engine.carrier import Carrier, Sender
from runbooks.records.carriage import SCHEMA, prepare_carriage
from runbooks.records.database import open_database
from runbooks.records.schema import metadata

Advance = Callable[[str, int], Awaitable[None]]

#: A replica of another release that carries a segment for ever, until it is killed or told to stop.
REPLICA = """
import asyncio, sys
from runbooks.engine.carrier import Carrier
from runbooks.records.database import open_database

async def main():
    async def advance(run, segment):
        print(run, segment, flush=True)
        await asyncio.Event().wait()

    carrier = Carrier(open_database(sys.argv[1]), sys.argv[2], advance, polling=0.05)
    await carrier.start()
    print("started", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await carrier.stop(0)
    print("stopped", flush=True)

asyncio.run(main())
"""

PREPARE = """
import sys
from runbooks.records.carriage import prepare_carriage
from runbooks.records.database import open_database

engine = open_database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
prepare_carriage(engine)
"""


class Calls:
    """An `advance` that remembers its calls, and does what the test wants."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.then: Advance | None = None
        self._called = asyncio.Event()

    async def __call__(self, run: str, segment: int) -> None:
        self.seen.append((run, segment))
        self.loops.add(asyncio.get_running_loop())
        self._called.set()
        if self.then is not None:
            await self.then(run, segment)

    async def wait(self, count: int) -> None:
        """Returns after that many calls in all."""
        async with asyncio.timeout(20):
            while len(self.seen) < count:
                self._called.clear()
                await self._called.wait()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database of each kind, with our tables and not yet DBOS's."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
async def calls() -> Calls:
    """What the carriers of the test call."""
    return Calls()


@pytest.fixture
async def carrier(engine: Engine, calls: Calls) -> AsyncIterator[Carrier]:
    """A started replica."""
    carrier = Carrier(engine, "boot-1", calls, polling=0.05)
    await carrier.start()
    yield carrier
    await carrier.stop(0)


@pytest.fixture
def replica(database_url: str) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts replicas in processes of their own, and ends those that still run."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, database_url, *arguments],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()


async def answer(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


async def enqueue(engine: Engine, sender: Sender, *segments: tuple[str, int]) -> None:
    def work() -> None:
        with engine.begin() as connection:
            for run, segment in segments:
                sender.enqueue(connection, run, segment)

    await asyncio.to_thread(work)


async def states(engine: Engine) -> dict[str, str]:
    """What DBOS thinks of each workflow."""
    table = "workflow_status" if engine.dialect.name == "sqlite" else f"{SCHEMA}.workflow_status"

    def work() -> dict[str, str]:
        with engine.begin() as connection:
            rows = connection.execute(text(f"SELECT workflow_uuid, status FROM {table}"))
            return {row.workflow_uuid: row.status for row in rows}

    return await asyncio.to_thread(work)


async def settle(engine: Engine, expected: dict[str, str]) -> None:
    """Returns when DBOS thinks that, or fails."""
    for _ in range(200):
        if (now := await states(engine)) == expected:
            return
        await asyncio.sleep(0.05)
    assert now == expected


async def test_a_rolled_back_enqueue_leaves_nothing(engine: Engine, carrier: Carrier, calls: Calls) -> None:
    """What was enqueued in a transaction that did not commit is never carried."""

    def work() -> None:
        with engine.connect() as connection:
            carrier.enqueue(connection, "lost", 1)
            connection.rollback()

    await asyncio.to_thread(work)
    await enqueue(engine, carrier, ("kept", 1))
    await calls.wait(1)
    await settle(engine, {"kept/1": "SUCCESS"})

    assert calls.seen == [("kept", 1)]


async def test_a_segment_that_is_enqueued_twice_runs_once(
    engine: Engine, carrier: Carrier, calls: Calls
) -> None:
    """In one transaction, in two, and when it is finished already: one call, in the loop of start()."""
    await enqueue(engine, carrier, ("r", 1), ("r", 1))
    await enqueue(engine, carrier, ("r", 1))
    await calls.wait(1)
    await settle(engine, {"r/1": "SUCCESS"})
    await enqueue(engine, carrier, ("r", 1), ("r", 2))
    await calls.wait(2)
    await settle(engine, {"r/1": "SUCCESS", "r/2": "SUCCESS"})

    assert calls.seen == [("r", 1), ("r", 2)]
    assert calls.loops == {asyncio.get_running_loop()}


async def test_more_segments_are_carried_at_once_than_dbos_has_threads(
    engine: Engine, carrier: Carrier, calls: Calls
) -> None:
    """A segment that takes long holds no thread."""
    everybody = asyncio.Barrier(30)

    async def meet(_run: str, _segment: int) -> None:
        async with asyncio.timeout(20):
            await everybody.wait()

    calls.then = meet
    await enqueue(engine, carrier, *[("r", number) for number in range(30)])
    await calls.wait(30)
    await settle(engine, {f"r/{number}": "SUCCESS" for number in range(30)})


async def test_a_nudge_has_the_queue_looked_at(engine: Engine, calls: Calls) -> None:
    """A replica that hardly ever looks at the queue does so when it is told."""
    carrier = Carrier(engine, "boot-1", calls, polling=3600)
    await carrier.start()
    try:
        await enqueue(engine, carrier, ("r", 1))
        carrier.nudge()
        await calls.wait(1)
    finally:
        await carrier.stop(1)

    assert await states(engine) == {"r/1": "SUCCESS"}


async def test_a_full_replica_goes_on_when_it_has_room(engine: Engine, calls: Calls) -> None:
    """A backlog of more than it may carry at once does not wait for the next look at the queue."""
    carrier = Carrier(engine, "boot-1", calls, polling=3600, concurrency=2)
    await carrier.start()
    try:
        await enqueue(engine, carrier, *[("r", number) for number in range(7)])
        carrier.nudge()
        await calls.wait(7)
        await settle(engine, {f"r/{number}": "SUCCESS" for number in range(7)})
    finally:
        await carrier.stop(1)


async def test_a_segment_that_raises_is_logged_and_not_repeated(
    engine: Engine, carrier: Carrier, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an error nor a stray cancellation is final to DBOS without a word in the log."""

    async def fail(run: str, _segment: int) -> None:
        if run == "cancelled":
            raise asyncio.CancelledError
        raise RuntimeError("the sweep finds it")

    calls.then = fail
    await enqueue(engine, carrier, ("broken", 1), ("cancelled", 1))
    await calls.wait(2)
    await settle(engine, {"broken/1": "SUCCESS", "cancelled/1": "SUCCESS"})

    assert caplog.text.count("segment_failed") == 2
    assert "the sweep finds it" in caplog.text


async def test_a_dead_replica_s_work_is_taken_over(
    engine: Engine, calls: Calls, replica: Callable[..., subprocess.Popen[str]]
) -> None:
    """What a killed replica had under way is carried after resume(), and only what it had."""
    sender = Sender(engine)
    await sender.prepare()
    await enqueue(engine, sender, ("r", 1))
    dead = replica(REPLICA, "dead")
    assert {await line(dead), await line(dead)} == {"started", "r 1"}
    dead.kill()
    await asyncio.to_thread(dead.wait)

    carrier = Carrier(engine, "boot-2", calls, polling=0.05)
    await carrier.start()
    try:
        assert await carrier.resume(()) == await carrier.resume(("somebody",)) == 0
        assert await states(engine) == {"r/1": "PENDING"}
        assert await carrier.resume(("dead", "deader")) == 1
        await calls.wait(1)
        await settle(engine, {"r/1": "SUCCESS"})
    finally:
        await carrier.stop(0)
        sender.close()

    assert calls.seen == [("r", 1)]


async def test_what_this_replica_lost_hold_of_is_reclaimed(
    engine: Engine, carrier: Carrier, calls: Calls
) -> None:
    """A segment that DBOS left to us and that we do not carry is enqueued again; what we carry is not."""

    async def last(run: str, _segment: int) -> None:
        if run == "carried":
            await asyncio.Event().wait()

    calls.then = last
    await enqueue(engine, carrier, ("carried", 1))
    await calls.wait(1)
    await enqueue(engine, carrier, ("lost", 1))
    await settle(engine, {"carried/1": "PENDING", "lost/1": "SUCCESS"})
    table = "workflow_status" if engine.dialect.name == "sqlite" else f"{SCHEMA}.workflow_status"

    def lose() -> None:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE {table} SET status = 'PENDING' WHERE workflow_uuid = 'lost/1'"))

    await asyncio.to_thread(lose)

    assert [await carrier.reclaim(), await carrier.reclaim()] == [0, 1]
    await settle(engine, {"carried/1": "PENDING", "lost/1": "SUCCESS"})
    assert calls.seen == [("carried", 1), ("lost", 1), ("lost", 1)]


async def test_a_stopped_replica_hands_over(
    engine: Engine, database_url: str, calls: Calls, replica: Callable[..., subprocess.Popen[str]]
) -> None:
    """What was under way is on the queue again when a process stops, and the process ends."""
    sender = Sender(engine)
    await sender.prepare()
    await enqueue(engine, sender, ("r", 1))
    old = replica(REPLICA, "old")
    assert {await line(old), await line(old)} == {"started", "r 1"}
    await answer(old)
    assert await line(old) == "stopped"
    await asyncio.to_thread(old.wait, 20)
    sender.close()

    assert old.returncode == 0
    assert await states(engine) == {"r/1": "ENQUEUED"}
    carrier = Carrier(engine, "boot-2", calls, polling=0.05)
    await carrier.start()
    try:
        await calls.wait(1)
    finally:
        await carrier.stop(1)
    assert await states(engine) == {"r/1": "SUCCESS"}


async def test_stopping_waits_for_what_ends_in_time(engine: Engine, calls: Calls) -> None:
    """What ends within the time is done; what does not is cancelled, may clean up, and is enqueued again."""
    carrier = Carrier(engine, "boot-1", calls, polling=0.05)
    stopping, cleaned = asyncio.Event(), asyncio.Event()

    async def take_time(run: str, _segment: int) -> None:
        await stopping.wait()
        if run == "slow":
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.set()

    calls.then = take_time
    await carrier.start()
    await enqueue(engine, carrier, ("quick", 1), ("slow", 1))
    await calls.wait(2)
    stop = asyncio.create_task(carrier.stop(0.5))
    stopping.set()
    await stop

    assert cleaned.is_set()
    assert await states(engine) == {"quick/1": "SUCCESS", "slow/1": "ENQUEUED"}
    names = {thread.name for thread in threading.enumerate()}
    assert not [name for name in names if name.startswith(("dbos", "queue-worker", "carrier-queue"))]


async def test_only_old_finished_segments_are_forgotten(
    engine: Engine, carrier: Carrier, calls: Calls
) -> None:
    """What ended before that time goes; what ended later, or has not ended, stays."""

    async def last(run: str, _segment: int) -> None:
        if run == "endless":
            await asyncio.Event().wait()

    calls.then = last
    await enqueue(engine, carrier, ("old", 1), ("endless", 1))
    await calls.wait(2)
    await settle(engine, {"old/1": "SUCCESS", "endless/1": "PENDING"})
    await asyncio.sleep(1.1)  # on SQLite under Python 3.11 DBOS notes whole seconds
    between = datetime.now(UTC)
    await asyncio.sleep(1.1)
    await enqueue(engine, carrier, ("new", 1))
    await settle(engine, {"old/1": "SUCCESS", "endless/1": "PENDING", "new/1": "SUCCESS"})

    assert await carrier.forget(between - timedelta(days=1)) == 0
    assert await carrier.forget(between) == 1
    assert await states(engine) == {"endless/1": "PENDING", "new/1": "SUCCESS"}


async def test_other_code_carries_what_was_enqueued(
    engine: Engine, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment is not tied to the code that enqueued it: any version of Maint carries it."""
    sender = Sender(engine)
    await sender.prepare()
    await enqueue(engine, sender, ("r", 1))
    sender.close()

    loop = asyncio.get_running_loop()

    async def another_workflow(run: str, segment: int) -> None:
        done = asyncio.run_coroutine_threadsafe(calls(run, segment + 1000), loop)
        await asyncio.wrap_future(done)

    carrier = Carrier(engine, "boot-1", calls, polling=0.05)
    monkeypatch.setattr(carrier, "_make_workflow", lambda: another_workflow)
    await carrier.start()
    try:
        await calls.wait(1)
    finally:
        await carrier.stop(1)

    assert calls.seen == [("r", 1001)]


async def test_a_carrier_can_follow_another_in_one_process(engine: Engine, calls: Calls) -> None:
    """Stopping leaves nothing that a second start would trip over."""
    for number in (1, 2):
        carrier = Carrier(engine, f"boot-{number}", calls, polling=0.05)
        await carrier.start()
        try:
            await enqueue(engine, carrier, ("r", number))
            await calls.wait(number)
        finally:
            await carrier.stop(1)

    assert calls.seen == [("r", 1), ("r", 2)]


async def test_replicas_may_start_at_once(
    engine: Engine, replica: Callable[..., subprocess.Popen[str]]
) -> None:
    """Three processes that make DBOS's tables at the same time all succeed."""
    processes = [replica(PREPARE) for _ in range(3)]
    for process in processes:
        assert await line(process) == "ready"
    for process in processes:
        await answer(process)
    answers = [await asyncio.to_thread(process.communicate, timeout=40) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], answers


async def test_dbos_has_its_tables_beside_ours(engine: Engine, tmp_path: Path) -> None:
    """It makes no database and no file of its own, and none of its tables has a name of ours."""

    def work() -> tuple[set[str], set[str], set[str]]:
        before = set(inspect(engine).get_table_names())
        prepare_carriage(engine)
        schema = None if engine.dialect.name == "sqlite" else SCHEMA
        files = {path.name.split("-")[0] for path in tmp_path.iterdir()}
        return before, set(inspect(engine).get_table_names(schema)), files

    before, after, files = await asyncio.to_thread(work)

    assert set(metadata.tables) <= before
    assert "workflow_status" in after
    assert files <= {"maint.db"}
    if engine.dialect.name == "postgresql":
        assert not after & set(metadata.tables)
        assert "workflow_status" not in inspect(engine).get_table_names()
