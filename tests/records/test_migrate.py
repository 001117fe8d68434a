"""Migrations: one head, equal to the schema, applied once, all or nothing."""

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from runbooks.errors import RecordsError
from runbooks.records import migrate as migrate_module
from runbooks.records.audit import append, newest
from runbooks.records.database import open_database, reading
from runbooks.records.migrate import NEWEST, VERSION_TABLE, SchemaState, migrate, schema_state
from runbooks.records.person import Person
from runbooks.records.schema import metadata
from tests.records.by_hand import by_hand
from tests.records.conftest import make_event
from tests.records.run_rows import add_run

MIGRATIONS = Path(migrate_module.__file__).with_name("migrations")

MIGRATE = """
import sys
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
print("ready", flush=True)
sys.stdin.readline()
engine = open_database(sys.argv[1])
print(*migrate(engine), flush=True)
"""


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    """A database without tables, of each kind."""
    engine = open_database(empty_url)
    yield engine
    engine.dispose()


def test_there_is_one_head() -> None:
    """No two migrations claim to be the newest."""
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [NEWEST]


def test_the_migrations_make_the_schema(engine: Engine) -> None:
    """A migrated database differs in nothing from the tables in schema.py."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_the_applied_revisions_are_named(empty: Engine) -> None:
    """The first time every revision is applied and named, the second time none."""
    everything = [
        revision.revision for revision in ScriptDirectory(str(MIGRATIONS)).walk_revisions("base", "head")
    ]

    assert migrate(empty) == tuple(reversed(everything))
    assert migrate(empty) == ()


def test_an_empty_database_is_behind(empty: Engine) -> None:
    """A database without tables is behind, and current once it was migrated."""
    before = schema_state(empty)
    migrate(empty)

    assert (before, schema_state(empty)) == (SchemaState.BEHIND, SchemaState.CURRENT)


def test_a_newer_schema_is_not_touched(engine: Engine) -> None:
    """A database that a newer version migrated is refused in words, and keeps its version."""
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))

    assert schema_state(engine) is SchemaState.NEWER
    with pytest.raises(RecordsError, match="made by a newer Maint"):
        migrate(engine)
    with reading(engine) as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == "9999"


def test_a_failed_migration_leaves_nothing(empty: Engine) -> None:
    """When a table stands in the way of the last one, none of the others is there afterwards."""
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE cards (x int)"))

    with pytest.raises((RecordsError, DBAPIError)):
        migrate(empty)

    assert inspect(empty).get_table_names() == ["cards"]
    assert schema_state(empty) is SchemaState.BEHIND


def test_two_processes_may_start_at_once(empty_url: str, spawn: Callable[..., subprocess.Popen[str]]) -> None:
    """Of two processes that migrate an empty database at the same time, one does it and both go on."""
    processes = [spawn(MIGRATE, empty_url) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], answers
    assert sorted(bool(output.strip()) for output, _ in answers) == [False, True]


def test_there_is_no_way_back(engine: Engine) -> None:
    """A downgrade says that a backup is the way."""
    revision = ScriptDirectory(str(MIGRATIONS)).get_revision("0001")

    with pytest.raises(RecordsError, match="restore a backup"):
        revision.module.downgrade()


def test_who_has_it_migrated_is_an_event_of_the_same_transaction(empty: Engine) -> None:
    """With the revisions; a second time there is nothing to tell, and without a person nothing is told."""
    ada = Person(kind="terminal", id="ada@bastion", name="Ada")
    migrate(empty, ada)
    migrate(empty, ada)
    with reading(empty) as connection:
        (found,) = newest(connection)

    assert (found.event.actor_id, found.event.action, found.event.object) == (
        "ada@bastion",
        "schema.migrated",
        NEWEST,
    )
    assert found.event.details["revisions"][-1] == NEWEST


def test_a_log_from_before_the_chain_is_chained(empty: Engine, empty_url: str) -> None:
    """Every event in its order, with its name and the runbook of its run; nothing else about it changes."""
    with empty.begin() as connection:
        config = migrate_module._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        run = add_run(connection, runbook="vacuum")
        for number in range(1, 8):
            values = {
                "id": f"e{number}",
                "at": datetime(2026, 3, 1, 12, 0, number % 4, 1000, tzinfo=UTC),
                "actor_kind": "slack",
                "actor_id": f"U{number % 2}",
                "actor_name": ("Ada", "Bj\u00f6rn", "")[number % 3],
                "team": "T1",
                "action": "command.run",
                "object": f"run vacuum {number} \u2028",
                "outcome": "ok" if number % 2 else "denied",
                "channel": "C1",
                "channel_name": "ops",
                "correlation": run if number > 3 else f"c{number}",
                "details": '{"a":"\u00e9"}',
            }
            # As the version of that time did.
            kept = values | {"at": values["at"].strftime("%F %T.%f+00:00")}
            if empty.dialect.name == "sqlite":
                kept["at"] = values["at"].strftime("%F %T.%f")
            places = ", ".join(f":{name}" for name in values)
            columns = ", ".join(values)
            connection.execute(text(f"INSERT INTO audit_events ({columns}) VALUES ({places})"), kept)

    assert migrate(empty) == ("0003", "0004", "0005", "0006")
    with reading(empty) as connection:
        found = [recorded.event for recorded in reversed(newest(connection))]
    assert [event.id for event in found] == [f"e{number}" for number in range(1, 8)]
    assert [event.actor_name for event in found] == ["Bj\u00f6rn", "", "Ada"] * 2 + ["Bj\u00f6rn"]
    assert [event.runbook for event in found] == [""] * 3 + ["vacuum"] * 4
    assert [event.at.second for event in found] == [1, 2, 3, 3, 3, 3, 3]  # times do not go back in a chain
    assert {event.details["a"] for event in found} == {"\u00e9"}
    with by_hand(empty_url) as hand:
        assert hand.verify() == ""
        assert [row["seq"] for row in hand.rows()] == list(range(1, 8))
    with empty.begin() as connection:
        append(connection, make_event())
    with by_hand(empty_url) as hand:
        assert hand.verify() == ""
