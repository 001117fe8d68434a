"""Looking through a million audit events: the three commonest filters, a page of 20 from anywhere in the log,
on both databases; and what an export writes in a second."""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection, Engine

from benchmarks.databases import KINDS, fresh
from benchmarks.figure import Figure, percentile
from benchmarks.million import BEGIN, COUNT, PEOPLE, RUNBOOKS, TARGETS, load
from commands.audit.sheet import csv_rows
from runbooks.records import export, search
from runbooks.records.database import open_database, reading
from runbooks.records.migrate import migrate
from runbooks.records.search import Wanted, Window

QUERIES, PAGE = 200, 20
#: Seconds between two events, and days that the log goes over.
STEP = 20
#: Milliseconds that 99 of 100 pages may take.
LIMIT = 50.0
EXPORTED = 200_000

_CHOICES = random.Random(2)


def _wanted() -> dict[str, Callable[[], Wanted]]:
    """What people ask for, each time for another person, runbook, target or time."""

    def since() -> Wanted:
        at = BEGIN + timedelta(seconds=STEP * _CHOICES.randrange(COUNT))
        return Wanted(target=_CHOICES.choice(TARGETS), since=at, until=at + timedelta(days=5))

    return {
        "by somebody": lambda: Wanted(actors=(_CHOICES.choice(PEOPLE),)),
        "of a runbook": lambda: Wanted(runbook=_CHOICES.choice(RUNBOOKS)),
        "on a target, in 5 days": since,
        "by somebody, of a runbook": lambda: Wanted(
            actors=(_CHOICES.choice(PEOPLE),), runbook=_CHOICES.choice(RUNBOOKS)
        ),
        "by somebody, and never": lambda: Wanted(actors=(_CHOICES.choice(PEOPLE),), channel="C0"),
        "denied, by somebody": lambda: Wanted(actors=(_CHOICES.choice(PEOPLE),), outcomes=("denied",)),
    }


#: Those of the issue; the others are told.
_COMMON = 3


def _milliseconds(engine: Engine, wanted: Wanted) -> float:
    before = _CHOICES.randrange(COUNT // 10, COUNT)
    begun = time.perf_counter()
    with reading(engine) as connection:
        search.newest(connection, wanted, before=None if wanted.since else before, limit=PAGE + 1)
    return (time.perf_counter() - begun) * 1000


Piecewise = Callable[[Connection, Window], tuple[int, int, int]]


def _as_lines(connection: Connection, within: Window) -> tuple[int, int, int]:
    piece = export.json_lines(connection, Wanted(), within)
    return piece.count, piece.last, len(piece.text.encode())


def _as_csv(connection: Connection, within: Window) -> tuple[int, int, int]:
    piece = export.listed(connection, Wanted(), within)
    return piece.count, piece.last, len(csv_rows(piece.rows).encode())


def _rows_a_second(engine: Engine, take: Piecewise) -> float:
    left, count = Window(1, EXPORTED), 0
    begun = time.perf_counter()
    while not left.empty:
        with reading(engine) as connection:
            taken, last, _ = take(connection, left)
        count, left = count + taken, Window(last + 1, left.last)
    return count / (time.perf_counter() - begun)


def _figures(kind: str, url: str) -> list[Figure]:
    engine = open_database(url)
    try:
        migrate(engine)
        load(engine)
        found = []
        for number, (what, wanted) in enumerate(_wanted().items()):
            for _ in range(20):
                _milliseconds(engine, wanted())
            times = [_milliseconds(engine, wanted()) for _ in range(QUERIES)]
            found.append(
                Figure(
                    what=f"{kind}: page of events {what}, p99",
                    value=percentile(times, 99),
                    unit="ms",
                    limit=LIMIT if number < _COMMON else None,
                )
            )
        for name, take in (("JSON lines", _as_lines), ("CSV", _as_csv)):
            speed = _rows_a_second(engine, take)
            found.append(Figure(what=f"{kind}: export as {name}", value=speed, unit="events/s"))
        return found
    finally:
        engine.dispose()


async def measure() -> list[Figure]:
    """Each database in turn, filled with a million events."""
    found = []
    for kind in KINDS:
        with fresh(kind) as url:
            found += await asyncio.to_thread(partial(_figures, kind, url))
    return found
