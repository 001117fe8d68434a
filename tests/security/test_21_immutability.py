"""21: an event that stands cannot be changed, and who changes it around that is found. Also kept by
tests/records/test_hardening.py (the role of `maint migrate --harden`), tests/records/test_audit.py,
tests/records/test_chain.py, tests/records/test_documentation.py and tests/scenario/test_audit_proof.py
(exit codes)."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from runbooks.records.chain import HASHED
from runbooks.records.verify import verify
from tests.records.tampering import fill

COLUMNS = ", ".join((*HASHED, "hash"))
COPY = f"INSERT INTO audit_events ({COLUMNS}) SELECT {COLUMNS} FROM audit_events WHERE seq = 5"
BOTH = (
    "UPDATE audit_events SET outcome = 'ok' WHERE seq = 5",
    "UPDATE audit_events SET seq = seq + 100",
    "UPDATE audit_events SET hash = hash",
    "DELETE FROM audit_events WHERE seq = 12",
    "DELETE FROM audit_events",
    f"{COPY} ON CONFLICT (seq) DO UPDATE SET outcome = 'ok'",
    "WITH gone AS (SELECT 5 AS n) DELETE FROM audit_events WHERE seq IN (SELECT n FROM gone)",
    "UPDATE audit_names SET name = 'Mallory'",
)
#: Of each database, with what only it understands.
HOSTILE = {
    "sqlite": (
        *BOTH,
        "UPDATE OR IGNORE audit_events SET outcome = 'ok'",
        COPY.replace("INSERT", "REPLACE"),
        COPY.replace("INSERT", "INSERT OR REPLACE"),
        "DELETE FROM audit_events WHERE seq = 5 RETURNING *",
    ),
    "postgresql": (
        *BOTH,
        "TRUNCATE audit_events",
        "TRUNCATE audit_names, audit_events CASCADE",
        "MERGE INTO audit_events e USING (VALUES (5)) AS v(n) ON e.seq = v.n WHEN MATCHED THEN DELETE",
        "DELETE FROM audit_events USING audit_names WHERE seq = 5",
    ),
}


def test_the_triggers_refuse_even_the_owner(engine: Engine) -> None:
    """Who owns the tables must take the triggers away first; and the chain shows what came of it."""
    fill(engine)
    taken = []
    for statement in HOSTILE[engine.dialect.name]:
        try:
            with engine.begin() as connection:
                connection.execute(text(statement))
            taken.append(statement)
        except DBAPIError:
            continue
    found = verify(engine)

    assert taken == []
    assert found.fits
    assert found.events == 12


@pytest.mark.parametrize("change", ["outcome = 'denied'", "actor_id = 'U9'", "details = '{}'"])
def test_what_the_owner_changes_without_triggers_is_found(engine: Engine, change: str) -> None:
    """Triggers are the second line: the chain is the first."""
    fill(engine)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
            for name in names:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER ALL"))
        connection.execute(text(f"UPDATE audit_events SET {change} WHERE seq = 5"))

    assert verify(engine).misfits[0].seq == 5
