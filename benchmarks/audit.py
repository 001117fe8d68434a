"""Events appended to the audit chain per second, beside the same rows inserted without a chain: each in a
transaction of its own that is on the disk when it returns, by 1, 4 and 16 threads."""

import asyncio
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, insert

from benchmarks.databases import KINDS, fresh
from benchmarks.figure import Figure
from runbooks.ids import new_id
from runbooks.records import audit
from runbooks.records.audit import Event, append
from runbooks.records.audit_tables import audit_events
from runbooks.records.database import open_database, scrubber_of
from runbooks.records.migrate import migrate
from runbooks.records.schema import metadata

WRITERS = (1, 4, 16)
SECONDS = 1.5
#: Each is measured that often, in turns, and the best round counts: others use this machine too.
ROUNDS = 3
#: At 16 writers, of what the same insert does without the chain.
LEAST = {"SQLite": 0.5, "PostgreSQL": 0.3}
DETAILS = {"summary": "12 rows were moved, 3 were there already", "attempt": 1, "values": {"rows": 12}}

#: As long as what the chain has there.
_UNCHAINED = dict.fromkeys(("actor_mark", "prev", "hash"), "0" * 64)

Work = Callable[[Connection], None]


def _event() -> Event:
    return Event(
        actor_kind="slack",
        actor_id="U0123ABCD",
        actor_name="Ada Lovelace",
        team="T0123ABCD",
        action="step.finished",
        object="vacuum/analyze",
        outcome="ok",
        channel="C0123ABCD",
        channel_name="ops",
        correlation=new_id(),
        runbook="vacuum",
        targets=("db",),
        details=DETAILS,
    )


def _chained(connection: Connection) -> None:
    append(connection, _event())


class _Plain:
    """The same columns and indexes, and nothing that ties a row to another."""

    def __init__(self, engine: Engine) -> None:
        table = audit_events.to_metadata(metadata.__class__(), name="plain_events")
        table.c.seq.autoincrement = True
        for named in (*table.indexes, *table.constraints):
            named.name = f"plain_{named.name}"
        with engine.begin() as connection:
            table.create(connection)
        self._add = insert(table)
        self._given = [column.name for column in table.c if column.name not in ("seq", *_UNCHAINED)]

    def __call__(self, connection: Connection) -> None:
        row = audit._row(_event(), scrubber_of(connection))
        connection.execute(self._add, {name: row[name] for name in self._given} | _UNCHAINED)


def _per_second(engine: Engine, writers: int, work: Work) -> float:
    """Transactions per second."""
    counts, start = [0] * writers, threading.Barrier(writers + 1)

    def write(number: int) -> None:
        start.wait()
        while time.monotonic() < until:
            with engine.begin() as connection:
                work(connection)
            counts[number] += 1

    until = time.monotonic() + SECONDS + 0.5
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.monotonic()
    until = began + SECONDS
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def _figures(kind: str, url: str) -> list[Figure]:
    engine = open_database(url)
    try:
        migrate(engine)
        plain = _Plain(engine)
        figures = []
        for writers in WRITERS:
            rounds = [
                (_per_second(engine, writers, _chained), _per_second(engine, writers, plain))
                for _ in range(ROUNDS)
            ]
            figures.append(
                Figure(
                    what=f"audit events appended, {writers} writers, {kind} (beside: without the chain)",
                    value=max(chained for chained, _ in rounds),
                    unit="/s",
                    beside=max(beside for _, beside in rounds),
                    limit=LEAST[kind] if writers == max(WRITERS) else None,
                    least=True,
                )
            )
        return figures
    finally:
        engine.dispose()


async def measure() -> list[Figure]:
    """The best of several rounds."""
    figures = []
    for kind in KINDS:
        with fresh(kind) as url:
            figures += await asyncio.to_thread(_figures, kind, url)
    return figures
