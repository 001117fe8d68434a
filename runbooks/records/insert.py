"""The INSERT of either database that knows ON CONFLICT: SQLAlchemy has one for each, alike to the letter."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """For `.on_conflict_do_nothing()`. RETURNING says what was inserted; psycopg's rowcount is -1 here."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
