"""What a database has already of the things that a dump names."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from runbooks.steps.backup.contents import Entry

#: The catalogue that knows things of that kind. Of a kind that is in none of them it is taken that they are
#: there: where one is not, pg_restore says so, and nothing was touched.
_CATALOGUES = {
    "SCHEMA": "schema",
    "EXTENSION": "extension",
    **dict.fromkeys(("SEQUENCE", "TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW"), "relation"),
    **dict.fromkeys(("TYPE", "SHELL TYPE", "DOMAIN"), "type"),
    **dict.fromkeys(("FUNCTION", "PROCEDURE", "AGGREGATE"), "function"),
    "COLLATION": "collation",
}
# A line has names without quotes, with spaces in place of line breaks, and behind them the arguments of a
# function and the owner: so it is asked whether it begins with a name that is there.
_MISSING = r"""
WITH there (catalogue, beginning) AS (
    SELECT 'schema', '- ' || nspname || ' ' FROM pg_namespace
    UNION ALL SELECT 'extension', '- ' || extname || ' ' FROM pg_extension
    UNION ALL SELECT 'relation', nspname || ' ' || relname || ' '
      FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    UNION ALL SELECT 'type', nspname || ' ' || typname || ' '
      FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace
    UNION ALL SELECT 'function', nspname || ' ' || proname || '('
      FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
    UNION ALL SELECT 'collation', nspname || ' ' || collname || ' '
      FROM pg_collation JOIN pg_namespace n ON n.oid = collnamespace
)
SELECT wanted.id FROM unnest(%s::int[], %s::text[], %s::text[]) wanted (id, catalogue, line)
 WHERE NOT EXISTS (SELECT FROM there WHERE there.catalogue = wanted.catalogue
                      AND starts_with(wanted.line, translate(there.beginning, E'\n\r', '  ')))
"""


async def missing(connection: AsyncConnection[Any], wanted: Sequence[Entry]) -> tuple[Entry, ...]:
    """Those of them that the database does not have."""
    known = [each for each in wanted if each.kind in _CATALOGUES]
    found = await connection.execute(
        _MISSING,
        [
            [each.id for each in known],
            [_CATALOGUES[each.kind] for each in known],
            [each.text for each in known],
        ],
    )
    ids = {id_ for (id_,) in await found.fetchall()}
    return tuple(each for each in known if each.id in ids)


async def has_relation(connection: AsyncConnection[Any], schema: str, name: str) -> bool:
    """Whether there is a table, or anything else that has its name."""
    found = await connection.execute(
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s",
        [schema, name],
    )
    return await found.fetchone() is not None
