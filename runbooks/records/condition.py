"""In which condition the database is: looked at, and not changed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from runbooks.records.database import open_database, reading
from runbooks.records.migrate import SchemaState, schema_state
from runbooks.records.replicas import database_now
from runbooks.records.trouble import plain_errors
from runbooks.scrub import Scrubber

_RIGHTS = text(
    "SELECT has_table_privilege('audit_events', 'UPDATE, DELETE, TRUNCATE') "
    "OR pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'audit_events'::regclass), 'USAGE')"
)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`log_is_open`: whether this role could change or remove audit events, were there no trigger; None where
    there are no roles, or no table yet. `now` is the time by the database's clock."""

    schema: SchemaState
    now: datetime
    log_is_open: bool | None


def look_at(url: str, scrub: Scrubber) -> Condition:
    """The condition of the database at that address. Raises RecordsError when it does not answer. Blocks."""
    engine = open_database(url, scrub)
    try:
        schema = schema_state(engine)
        with plain_errors(engine.url), reading(engine) as connection:
            has_roles = connection.dialect.name == "postgresql" and connection.scalar(
                text("SELECT to_regclass('audit_events') IS NOT NULL")
            )
            log_is_open = bool(connection.scalar(_RIGHTS)) if has_roles else None
            return Condition(schema=schema, now=database_now(connection), log_is_open=log_is_open)
    finally:
        engine.dispose()
