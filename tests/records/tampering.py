"""Does to the audit log what only its owner can: with the triggers gone, by raw SQL."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from runbooks.proof.checkpoint import Checkpoint
from runbooks.proof.signing import SigningKey
from runbooks.records import audit, checkpoints
from runbooks.records.chain import GENESIS, HASHED, hash_of
from tests.records.conftest import NOON, make_event

TABLES = ("audit_events", "audit_names", "audit_checkpoints", "audit_targets")


@contextmanager
def as_owner(engine: Engine) -> Iterator[Connection]:
    """A transaction without triggers."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection
            return
        triggers = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        ).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.exec_driver_sql(sql)


def fill(engine: Engine, count: int = 12, *, begin: datetime = NOON) -> None:
    """That many events, of two people, one a minute."""
    with engine.begin() as connection:
        for number in range(count):
            person = "Ada" if number % 2 else "Böb"
            audit.append(
                connection,
                make_event(
                    actor_id=f"U{number % 2}",
                    actor_name=person,
                    object=f"the {number}th",
                    targets=("db", "cache") if number % 3 else (),
                    details={"note": f'{number} — ünï\n\\"', "n": number},
                    at=begin + timedelta(minutes=number),
                ),
            )


def anchor(engine: Engine, key: SigningKey, now: datetime, slot: str = "") -> Checkpoint:
    """A checkpoint of the head."""
    with engine.begin() as connection:
        made = checkpoints.add_anchor(connection, key, now, slot or f"{now:%Y-%m-%d}")
    assert made is not None
    return made


def rows(connection: Connection) -> list[dict[str, Any]]:
    """Every event as it is stored."""
    query = audit.audit_events.select().order_by(audit.audit_events.c.seq)
    return [dict(row._mapping) for row in connection.execute(query)]


def put(connection: Connection, row: Mapping[str, Any]) -> None:
    """An event as somebody else would insert it."""
    connection.execute(audit.audit_events.insert(), dict(row))


def rehash(events: list[dict[str, Any]], *, first: int = 1, prev: str = GENESIS) -> list[dict[str, Any]]:
    """Numbered and chained anew, as if it had always been so."""
    made = []
    for seq, event in enumerate(events, start=first):
        new = {**{name: event[name] for name in HASHED}, "seq": seq, "prev": prev}
        prev = new["hash"] = hash_of(new)
        made.append(new)
    return made


def replace_all(connection: Connection, events: list[dict[str, Any]]) -> None:
    """The log is this, and nothing else."""
    connection.execute(audit.audit_events.delete())
    for event in events:
        put(connection, event)
