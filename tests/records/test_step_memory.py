"""What steps remember: by kind, target and name, the newest first."""

from datetime import timedelta

from sqlalchemy import Engine

from runbooks.engine.remembering import KeptMemory
from runbooks.records import step_memory
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from runbooks.records.records import Records
from runbooks.records.step_memory import Remembered
from runbooks.scrub import Scrubber
from tests.records.conftest import NOON

DAY = timedelta(days=1)


def test_the_newest_is_the_last(engine: Engine) -> None:
    """By the time it was so, not by the order of writing; and only of that kind, target and name."""
    with engine.begin() as connection:
        for days in (0, 2, 1):
            step_memory.remember(connection, "sizes", "db", "orders", {"bytes": days}, NOON + days * DAY)
        step_memory.remember(connection, "sizes", "other", "orders", 9, NOON + 5 * DAY)
        last = step_memory.last(connection, "sizes", "db", "orders")
        before = step_memory.last(connection, "sizes", "db", "orders", before=NOON + 2 * DAY)
        recent = step_memory.recent(connection, "sizes", "db", "orders", limit=2)
        nothing = step_memory.last(connection, "sizes", "db", "users")

    assert last == Remembered(NOON + 2 * DAY, {"bytes": 2})
    assert before == Remembered(NOON + DAY, {"bytes": 1})
    assert recent == [last, before]
    assert nothing is None


def test_secrets_are_not_remembered(database_url: str) -> None:
    """A known secret in a value is blanked out, however deep it stands."""
    engine = open_database(database_url, Scrubber(["s3cr3t-of-ours"]))
    migrate(engine)
    with engine.begin() as connection:
        value = {"queries": ["SELECT 's3cr3t-of-ours'"]}
        step_memory.remember(connection, "slow", "db", "top", value, NOON)
        found = step_memory.last(connection, "slow", "db", "top")
    engine.dispose()

    assert found is not None
    assert "s3cr3t" not in str(found.value)


async def test_the_memory_of_steps_is_in_the_database(records: Records) -> None:
    """What one remembered the next one finds; what is old is forgotten."""
    memory = KeptMemory(records, lambda: NOON)
    await memory.remember("sizes", "db", "orders", [1, 2])

    assert await memory.last("sizes", "db", "orders") == Remembered(NOON, [1, 2])
    assert await memory.recent("sizes", "db", "orders", 5) == [Remembered(NOON, [1, 2])]
    assert (await records.prune(memory_days=-1e4))["step_memory"] == 1
    assert await memory.last("sizes", "db", "orders") is None
