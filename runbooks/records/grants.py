"""What Maint's login may do on PostgreSQL: the list, for `maint migrate --harden` and docs/database.md."""

from collections.abc import Iterator

from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer
from sqlalchemy.dialects.postgresql.psycopg import dialect

from runbooks.records.carriage import SCHEMA as CARRIAGE
from runbooks.records.migrate import VERSION_TABLE

#: The name of the role, unless somebody wants another.
ROLE = "maint_app"
#: By what is granted, the tables. What adds to the log is a function: it runs as the owner of the tables.
TABLES = {
    "SELECT": (VERSION_TABLE, "audit_events", "audit_names", "audit_targets"),
    "SELECT, INSERT": ("audit_checkpoints", "measurements", "run_snapshots"),
    "SELECT, INSERT, DELETE": ("deliveries", "check_results", "alert_changes", "step_memory"),
    "SELECT, INSERT, UPDATE": (
        *("cards", "runs", "run_steps", "effects", "asks", "votes", "budgets", "backups"),
    ),
    "SELECT, INSERT, UPDATE, DELETE": (
        *("locks", "switches", "replicas", "outbox"),
        *("schedules", "ticks", "freezes", "reports", "trends", "alerts", "notices", "ladders"),
        "rotations_overrides",
    ),
}
FUNCTIONS = ("maint_append_event", "maint_prune_events", "maint_forget_names")

_quote = PGIdentifierPreparer(dialect()).quote  # type: ignore[no-untyped-call]


def grants(role: str = ROLE, schema: str = "public") -> Iterator[str]:
    """The statements that give the role all that Maint does, and nothing else; `schema` has the tables."""
    to, within = _quote(role), _quote(schema)
    yield f"GRANT USAGE ON SCHEMA {within} TO {to}"
    for what, tables in TABLES.items():
        yield f"GRANT {what} ON {', '.join(_named(schema, table) for table in tables)} TO {to}"
    for function in FUNCTIONS:
        yield f"GRANT EXECUTE ON FUNCTION {_named(schema, function)} TO {to}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {within} TO {to}"
    yield f"GRANT USAGE ON SCHEMA {CARRIAGE} TO {to}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {CARRIAGE} TO {to}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {CARRIAGE} TO {to}"


def revocations(role: str, schema: str) -> Iterator[str]:
    """What takes from the role whatever else it has there, and from everybody what nobody needs."""
    whom = _quote(role)
    for named in (_quote(schema), CARRIAGE):
        yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {named} FROM {whom}"
        yield f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {named} FROM {whom}"
        yield f"REVOKE CREATE ON SCHEMA {named} FROM {whom}"
    for tables in TABLES.values():
        for table in tables:
            yield f"REVOKE ALL ON {_named(schema, table)} FROM PUBLIC"
    for function in FUNCTIONS:
        yield f"REVOKE ALL ON FUNCTION {_named(schema, function)} FROM PUBLIC"


def _named(schema: str, name: str) -> str:
    # The page is for people whose tables are where they are by default.
    return name if schema == "public" else f"{_quote(schema)}.{name}"
