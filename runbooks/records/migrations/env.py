"""Alembic's entry: runs migrations on the connection that it is handed, within its transaction."""

from alembic import context

from runbooks.records import (  # noqa: F401 - their tables are part of the schema
    audit_tables,
    backup_tables,
    run_tables,
    watch_tables,
)
from runbooks.records.migrate import VERSION_TABLE
from runbooks.records.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
