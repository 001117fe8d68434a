"""The async door: nothing blocks the loop, nothing acknowledged is lost, and a dead database is said."""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from runbooks.errors import RecordsError
from runbooks.records.audit import Filter, newest
from runbooks.records.cards import Card
from runbooks.records.database import open_database, reading
from runbooks.records.measurements import Series
from runbooks.records.migrate import migrate
from runbooks.records.records import Records
from tests.records.conftest import make_event, make_result

WRITE = """
import asyncio, sys
from runbooks.records.audit import Event
from runbooks.records.records import Records

async def main():
    records = await Records.open(sys.argv[1])
    async def one(writer):
        for n in range(100_000):
            event = Event(actor_kind="slack", actor_id=f"W{writer}", action="command.help", outcome="ok")
            await records.record(event, f"{writer}-{n}")
            print(event.id, flush=True)
    await asyncio.gather(*(one(writer) for writer in range(4)))

asyncio.run(main())
"""


async def test_an_event_is_recorded_once_per_delivery(records: Records) -> None:
    """The second delivery of a key returns False."""
    assert [await records.record(make_event(), "k") for _ in range(2)] == [True, False]


async def test_many_events_at_once_all_stand(records: Records) -> None:
    """Of 300 events that are recorded while others wait, none is lost, none is there twice."""
    events = [make_event() for _ in range(300)]

    waiting = []
    for one in events:
        waiting.append(asyncio.create_task(records.record(one, one.id)))
        await asyncio.sleep(0)  # debug mode makes so many tasks at once a slow callback

    assert await asyncio.gather(*waiting) == [True] * 300
    assert sorted(found.event.id for found in await records.events(limit=500)) == sorted(
        one.id for one in events
    )


async def test_events_that_wait_share_a_transaction(records: Records) -> None:
    """A hundred events at the same moment cost a few commits, not a hundred."""
    commits: list[object] = []
    event.listen(records.engine, "commit", commits.append)

    await asyncio.gather(*(records.record(make_event()) for _ in range(100)))

    assert len(commits) <= 3


async def test_an_event_that_cannot_be_stored_fails_alone(records: Records) -> None:
    """Among events that share a transaction, a faulty one fails and the others stand."""
    twice = make_event()
    await records.record(twice)

    answers = await asyncio.gather(
        *(records.record(one) for one in (make_event(), twice, make_event())), return_exceptions=True
    )

    assert answers[0] is True
    assert isinstance(answers[1], IntegrityError)
    assert answers[2] is True
    assert len(await records.events()) == 3


async def test_an_event_whose_caller_gave_up_is_recorded(records: Records) -> None:
    """A cancelled caller leaves at once; what happened stands in the log all the same."""
    waiting = asyncio.create_task(records.record(make_event(object="given up")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await records.record(make_event(object="after"))

    assert [found.event.object for found in await records.events()] == ["after", "given up"]


async def test_closing_waits_for_what_is_being_recorded(database_url: str) -> None:
    """What was handed over before the end stands after it."""
    records = await Records.open(database_url)
    waiting = asyncio.create_task(records.record(make_event()))
    await asyncio.sleep(0)
    await records.close()

    assert await waiting is True


async def test_every_door_leads_to_the_database(records: Records) -> None:
    """Results, cards and events that went in through the async methods come out through them."""
    series = Series("health", "app", "app", "http.probe")
    card = Card(kind="health", correlation="c1", channel="C1")
    await records.ping()
    await records.keep([make_result(5.0, at=make_event().at)])
    await records.add_card(card)
    await records.record(make_event(correlation="c1"))

    assert (await records.previous([series]))[series].values == {"elapsed_ms": 5.0}
    assert await records.medians([series]) == {series: 5.0}
    assert await records.card_posted(card.id, "1.1") is True
    assert [found.ts for found in await records.unfinished_cards(datetime.now(UTC))] == ["1.1"]
    assert len(await records.events(Filter(correlation="c1"))) == 1


async def test_a_database_without_tables_says_what_to_do(empty_url: str) -> None:
    """Before the first migration, every call says `maint migrate`."""
    records = Records(await asyncio.to_thread(open_database, empty_url))

    with pytest.raises(RecordsError, match="run `maint migrate`"):
        await records.record(make_event())
    await records.close()


def test_threads_may_write_at_the_same_time(engine: Engine) -> None:
    """Eight event loops in eight threads on one engine record 200 events; all stand."""

    async def write() -> None:
        records = Records(engine)
        for _ in range(25):
            await records.record(make_event())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: asyncio.run(write()), range(8)))

    with reading(engine) as connection:
        assert len(newest(connection, limit=500)) == 200


def test_kill_9_loses_nothing_that_was_acknowledged(
    engine: Engine, database_url: str, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """Every event that a killed process had printed as recorded is there, once."""
    process = spawn(WRITE, database_url)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(100)]
    process.kill()
    # The last line may be half a line: it was not said.
    acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]

    with reading(engine) as connection:
        page = newest(connection, limit=500)
        stored = list(page)
        while page := newest(connection, before=page[-1].seq, limit=500):
            stored += page
    ids = [found.event.id for found in stored]
    assert len(acknowledged) >= 100
    assert set(acknowledged) <= set(ids)
    assert len(ids) == len(set(ids))


async def test_postgres_that_stops_is_said_and_found_again(own_postgres: Any) -> None:
    """While PostgreSQL is down, each call says so; when it is back, the next call works."""
    records = await Records.open(own_postgres.get_uri())
    await records.record(make_event(object="before"))

    await asyncio.to_thread(own_postgres.stop)
    with pytest.raises(RecordsError, match="refuses connections: is the server up"):
        await records.record(make_event(object="meanwhile"))
    with pytest.raises(RecordsError, match="refuses connections"):
        await records.ping()
    await asyncio.to_thread(own_postgres.ensure_postgres_running)
    await records.record(make_event(object="after"))

    assert [found.event.object for found in await records.events()] == ["after", "before"]
    await records.close()


async def test_a_lost_connection_is_said(postgres_url: str) -> None:
    """A session that PostgreSQL ends within a transaction is a sentence, and the next call works."""
    records = await Records.open(postgres_url)

    def cut(connection: Any, *_: Any) -> None:
        pid = connection.connection.driver_connection.info.backend_pid
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    event.listen(records.engine, "begin", cut)
    with pytest.raises(RecordsError, match=r"(was shut down|broke the connection)\. Maint connects again"):
        await records.record(make_event())
    event.remove(records.engine, "begin", cut)

    assert await records.record(make_event()) is True
    await records.close()


async def test_a_database_that_hangs_is_not_waited_for(own_postgres: Any) -> None:
    """When PostgreSQL is frozen, a call ends after the patience that was set, and the loop stays free."""
    engine = await asyncio.to_thread(open_database, own_postgres.get_uri())
    await asyncio.to_thread(migrate, engine)
    records = Records(engine, patience=0.3)
    with engine.connect() as connection:
        pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    given_back = threading.Event()
    event.listen(engine, "checkin", lambda *_: given_back.set())
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(RecordsError, match=r"did not answer in 0\.3 s"):
            await records.record(make_event())
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await asyncio.to_thread(given_back.wait, 10)
    await records.close()


async def test_closing_does_not_wait_for_a_database_that_hangs(
    own_postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When PostgreSQL is frozen, closing cuts the connection: no thread is left that keeps the process."""
    monkeypatch.setattr("runbooks.records.records.LONGEST_CLOSE", 0.3)
    records = await Records.open(own_postgres.get_uri())
    with records.engine.connect() as connection:
        pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting = asyncio.create_task(records.ping())
        await asyncio.sleep(0.1)
        await records.close()
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("records")]
    finally:
        os.kill(pid, signal.SIGCONT)

    assert left == []
    with pytest.raises(RecordsError):
        await waiting
