"""A log of many events, chained as Maint chains them, loaded as fast as the database takes rows."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from runbooks.records.chain import GENESIS, HASHED, digest, mark_of, written

COUNT = 1_000_000
COLUMNS = (*HASHED, "prev", "hash")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RUNBOOKS = tuple(f"runbook-{number}" for number in range(40))
TARGETS = tuple(f"target-{number}" for number in range(60))
PEOPLE = tuple(f"U{number:08}" for number in range(120))
_ACTIONS = ("command.health", "run.started", "step.started", "step.finished", "gate.approve", "run.finished")
_DETAILS = (
    '{"note":"12 rows were moved — 3 were there already","attempt":1,"output_sha256":"%064x","seconds":%d.5}'
)


def events(count: int = COUNT) -> Iterator[tuple[Any, ...]]:
    """Rows in the order of COLUMNS, `at` as text; the same ones every time."""
    choose = random.Random(1)
    prev = GENESIS
    for seq in range(1, count + 1):
        person, runbook, target = (choose.choice(each) for each in (PEOPLE, RUNBOOKS, TARGETS))
        action = _ACTIONS[seq % len(_ACTIONS)]
        outcome = "denied" if choose.random() < 0.01 else "ok"
        row = (
            str(seq), f"01k{seq:023}", written(BEGIN + timedelta(seconds=20 * seq)), "slack", person,
            mark_of(person, f"name of {person}"), "T0123ABCD", action, f"{runbook}/step", outcome,
            "C0123ABCD", "ops", f"01r{seq // 12:023}", "", runbook, target, _DETAILS % (seq, seq % 90),
        )  # fmt: skip
        hash_ = digest(prev, *row)
        yield (seq, *row[1:], prev, hash_)
        prev = hash_


def load(engine: Engine, count: int = COUNT) -> None:
    """Into an empty log, with the names and the index of targets."""
    names = [(mark_of(each, f"name of {each}"), each, "slack", each, f"name of {each}") for each in PEOPLE]
    raw = engine.raw_connection()
    try:
        driver: Any = raw.driver_connection
        (_load_sqlite if engine.dialect.name == "sqlite" else _load_postgres)(driver, names, count)
    finally:
        raw.close()


def _load_sqlite(driver: Any, names: list[tuple[str, ...]], count: int) -> None:
    marks = ", ".join("?" * len(COLUMNS))
    at = COLUMNS.index("at")
    rows = ((*row[:at], row[at].replace("T", " ")[:-1], *row[at + 1 :]) for row in events(count))
    driver.execute("BEGIN IMMEDIATE")
    driver.executemany(
        "INSERT INTO audit_names (mark, salt, actor_kind, actor_id, name) VALUES (?,?,?,?,?)", names
    )
    driver.executemany(f"INSERT INTO audit_events ({', '.join(COLUMNS)}) VALUES ({marks})", rows)
    driver.execute("INSERT INTO audit_targets (target, seq) SELECT targets, seq FROM audit_events")
    driver.execute("COMMIT")
    driver.execute("ANALYZE")


def _load_postgres(driver: Any, names: list[tuple[str, ...]], count: int) -> None:
    cursor = driver.cursor()
    cursor.execute("SET statement_timeout = 0")
    cursor.executemany(
        "INSERT INTO audit_names (mark, salt, actor_kind, actor_id, name) VALUES (%s, %s, %s, %s, %s)", names
    )
    with cursor.copy(f"COPY audit_events ({', '.join(COLUMNS)}) FROM STDIN") as copy:
        for row in events(count):
            copy.write_row(row)
    cursor.execute("INSERT INTO audit_targets (target, seq) SELECT targets, seq FROM audit_events")
    driver.commit()
    driver.autocommit = True
    cursor.execute("VACUUM ANALYZE audit_events")
    cursor.execute("SET statement_timeout = '30s'")
    driver.autocommit = False
