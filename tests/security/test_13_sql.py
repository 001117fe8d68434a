"""13: what is looked for is a value, and never a part of a statement. Also kept by
tests/records/test_search.py (`test_13_whatever_is_looked_for_is_data`) and tests/records/test_audit.py."""

from sqlalchemy import Engine

from runbooks.records import runs
from runbooks.records.audit import Filter, append, newest
from runbooks.records.database import reading
from runbooks.records.run_tables import runs as runs_table
from tests.records.conftest import make_event
from tests.records.run_rows import add_run

HOSTILE = (
    "' OR '1'='1",
    "'; DROP TABLE runs; --",
    '" OR ""="',
    "%",
    "_",
    "%%",
    "__________________________",
    "\\",
    "*",
    "[a-z]*",
    "0 UNION SELECT 1",
    "\x00",
    "NULL",
    "1; PRAGMA writable_schema=1",
    "$1",
    ":id",
    "?",
    "%(id)s",
)


def test_it_finds_nothing_and_breaks_nothing(engine: Engine) -> None:
    """Of runs, and of events by each column that they are filtered by."""
    with engine.begin() as connection:
        add_run(connection)
        append(connection, make_event())
    for text in HOSTILE:
        if "\x00" in text and engine.dialect.name == "postgresql":
            continue  # the driver refuses it
        with reading(engine) as connection:
            assert runs.find(connection, text) == ()
            for name in ("actor_id", "action", "outcome", "correlation"):
                assert newest(connection, Filter(**{name: text})) == ()
            assert connection.execute(runs_table.select()).all()
