"""The tables of a PostgreSQL that maintenance is about: named ones, or those that need it; and who may."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, LiteralString

from psycopg import sql
from pydantic import Field

from runbooks.errors import StepError
from runbooks.steps.postgres_session import Session
from runbooks.steps.postgres_work import Login, Work
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: As SQL reads it: `orders`, `shop.orders`, `"Odd name"`.
TableName = Annotated[str, Field(min_length=1, max_length=200)]
#: The first version with the privilege MAINTAIN, and the role pg_maintain.
MAINTAIN_FROM = 170000


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, with what the server counted: rows that changed since ANALYZE, dead ones, sizes in bytes."""

    oid: int
    schema: str
    name: str
    bytes: float
    heap_bytes: float
    live: float
    dead: float
    changed: float
    analyzed: bool
    age: float  # transactions since its oldest row was frozen
    permitted: bool
    owner: str

    @property
    def shown(self) -> str:
        """For people."""
        return one_line(f"{self.schema}.{self.name}")

    @property
    def identifier(self) -> sql.Identifier:
        """For SQL."""
        return sql.Identifier(self.schema, self.name)

    @property
    def dead_percent(self) -> float:
        """Of its rows."""
        rows = self.live + self.dead
        return 100 * self.dead / rows if rows else 0.0


# A database's owner may vacuum and analyze everything in it; who else may is a matter of the table.
_TABLES: LiteralString = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
       pg_total_relation_size(c.oid)::float8 AS bytes, pg_table_size(c.oid)::float8 AS heap_bytes,
       coalesce(s.n_live_tup, 0)::float8 AS live, coalesce(s.n_dead_tup, 0)::float8 AS dead,
       coalesce(s.n_mod_since_analyze, 0)::float8 AS changed,
       s.last_analyze IS NOT NULL OR s.last_autoanalyze IS NOT NULL AS analyzed,
       greatest(age(c.relfrozenxid), 0)::float8 AS age,
       (CASE WHEN current_setting('server_version_num')::int >= 170000
             THEN has_table_privilege(c.oid, 'MAINTAIN') ELSE pg_has_role(c.relowner, 'USAGE') END)
       OR pg_has_role(d.datdba, 'USAGE') AS permitted,
       quote_ident(pg_get_userbyid(c.relowner)) AS owner
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_database AS d ON d.datname = current_database()
  LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
"""
_OURS: LiteralString = " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"

# No cast to regclass: that nobody has a name is an answer. A partitioned table's rows are in its leaves.
_NAMED: LiteralString = """
 AND c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass(%(name)s)) WHERE isleaf
               UNION ALL SELECT to_regclass(%(name)s))
"""


async def all_tables(reader: Work | Session) -> list[Table]:
    """Every table and materialized view of the database that is not the server's own, largest first."""
    return await reader.fetch(Table, _TABLES + _OURS + " ORDER BY bytes DESC, schema, name")


async def named_tables(reader: Work | Session, target: PostgresTarget, names: Sequence[str]) -> list[Table]:
    """The tables of those names, in their order; a partitioned one is its partitions. Raises StepError."""
    found: dict[int, Table] = {}
    for name in names:
        tables = await reader.fetch(Table, _TABLES + _NAMED, {"name": name})
        if not tables:
            raise StepError(
                f"{target.where()} has no table {one_line(name)}; "
                "write it as SQL does: schema.table, with quotes around capitals"
            )
        found.update((table.oid, table) for table in tables)
    return list(found.values())


def demand_permitted(tables: Iterable[Table], login: Login, version: int, verb: str, where: str) -> None:
    """Raises StepError when the login may not maintain one of the tables: the server would skip it with a
    mere warning, and call that a success."""
    lacking = [table for table in tables if not table.permitted]
    if not lacking:
        return
    some = ", ".join(table.shown for table in lacking[:3]) + (" …" if len(lacking) > 3 else "")
    owner = f"GRANT {lacking[0].owner} TO {login.name} (its owner)"
    grant = (
        f"GRANT pg_maintain TO {login.name}; or {owner}"
        if version >= MAINTAIN_FROM
        else f"{owner}; from PostgreSQL 17 on pg_maintain is enough"
    )
    raise StepError(f"the login {login.name} may not {verb} {some} of {where}: {grant}")
