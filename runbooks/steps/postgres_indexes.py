"""The indexes of a PostgreSQL: which there are, how bloated they are, what broken rebuilds left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from runbooks.steps.postgres_session import Session
from runbooks.steps.postgres_work import Work
from runbooks.visible import one_line


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index with its size in bytes; `left_over`: a rebuild that did not end left it, and nobody uses it.

    `busy`: another session builds or drops it at this moment.
    """

    oid: int
    table_oid: int
    schema: str
    name: str
    table: str
    method: str
    bytes: float
    valid: bool
    exclusion: bool
    left_over: bool
    busy: bool

    @property
    def shown(self) -> str:
        """For people."""
        return one_line(f"{self.schema}.{self.name}")

    @property
    def identifier(self) -> sql.Identifier:
        """For SQL."""
        return sql.Identifier(self.schema, self.name)


# REINDEX CONCURRENTLY builds `name_ccnew`, and renames the old one `name_ccold`; a number follows when that
# name is taken. Its session holds locks on both until it is done.
INDEXES: LiteralString = """
SELECT c.oid::int8 AS oid, i.indrelid::int8 AS table_oid, n.nspname::text AS schema, c.relname::text AS name,
       t.relname::text AS table, am.amname::text AS method, pg_relation_size(c.oid)::float8 AS bytes,
       i.indisvalid AS valid, i.indisexclusion AS exclusion,
       NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AS left_over,
       EXISTS (SELECT FROM pg_locks AS l
                WHERE l.locktype = 'relation' AND l.relation = c.oid AND l.pid <> pg_backend_pid()
                  AND l.mode IN ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS busy
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_class AS t ON t.oid = i.indrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_am AS am ON am.oid = c.relam
 WHERE c.relkind = 'i' AND t.relkind IN ('r', 'm') AND c.relpersistence <> 't'
"""
_OURS: LiteralString = " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"


async def all_indexes(reader: Work | Session) -> list[Index]:
    """Every index that is not the server's own, smallest first: a rebuild needs room for a second copy."""
    return await reader.fetch(Index, INDEXES + _OURS + " ORDER BY bytes, schema, name")


async def index_named(reader: Work | Session, name: str) -> Index | None:
    """The index of that name, which is written as SQL writes it; None when there is none."""
    found = await reader.fetch(Index, INDEXES + " AND c.oid = to_regclass(%(name)s)", {"name": name})
    return found[0] if found else None


async def index_of(reader: Work | Session, oid: int) -> Index | None:
    """The index of that number; None when it is gone."""
    found = await reader.fetch(Index, INDEXES + " AND c.oid = %(oid)s", {"oid": oid})
    return found[0] if found else None


async def left_overs(reader: Work | Session, tables: Sequence[int]) -> list[Index]:
    """What broken rebuilds left on those tables, and nobody is at work on."""
    query = INDEXES + " AND i.indrelid = ANY(%(tables)s) ORDER BY n.nspname, c.relname"
    found = await reader.fetch(Index, query, {"tables": list(tables)})
    return [index for index in found if index.left_over and not index.busy]


@dataclass(frozen=True, kw_only=True)
class Bloat:
    """How much of a B-tree is air, in percent of its size; None when that cannot be told, `why` says why."""

    oid: int
    percent: float | None
    why: str = ""


# How many pages the rows would fill, from the planner's statistics: an item has a header of 8 bytes (16 with
# NULLs), its columns padded to 8, and a line pointer of 4; a page loses 24 bytes to its header and 16 to its
# own space. Equal keys share one item since PostgreSQL 13, so such an index seems leaner than it is.
# https://www.postgresql.org/docs/current/storage-page-layout.html
_ESTIMATE: LiteralString = """
SELECT oid, CASE WHEN unknown = 0 AND tuples >= 0 AND pages > 1
                 THEN greatest(100 * (1 - least(expected / pages, 1)), 0) END::float8 AS percent,
       CASE WHEN unknown > 0 THEN 'no statistics of its columns' WHEN tuples < 0 THEN 'never analyzed'
            ELSE '' END AS why
  FROM (
    SELECT oid, unknown, tuples, pages,
           1 + ceil(tuples * (4 + header + padding + width) * 100 / (fillfactor * (block - 40))) AS expected
      FROM (
        SELECT c.oid::int8 AS oid, t.reltuples::float8 AS tuples,
               pg_relation_size(c.oid)::float8 / current_setting('block_size')::int AS pages,
               current_setting('block_size')::float8 AS block,
               coalesce(substring(array_to_string(c.reloptions, ' ') FROM 'fillfactor=([0-9]+)')::float8, 90)
                 AS fillfactor,
               count(*) FILTER (WHERE s.avg_width IS NULL) AS unknown,
               CASE WHEN max(s.null_frac) > 0 THEN 16 ELSE 8 END AS header,
               coalesce(sum((1 - s.null_frac) * s.avg_width), 0)::float8 AS width,
               (8 - ceil(sum((1 - s.null_frac) * s.avg_width))::int %% 8) %% 8 AS padding
          FROM pg_index AS i
          JOIN pg_class AS c ON c.oid = i.indexrelid
          JOIN pg_class AS t ON t.oid = i.indrelid
          JOIN pg_namespace AS n ON n.oid = t.relnamespace
          JOIN pg_am AS am ON am.oid = c.relam AND am.amname = 'btree'
          CROSS JOIN LATERAL unnest(i.indkey::int[]) WITH ORDINALITY AS k (attnum, place)
          LEFT JOIN pg_attribute AS a
            ON a.attrelid = CASE WHEN k.attnum = 0 THEN c.oid ELSE t.oid END
           AND a.attnum = CASE WHEN k.attnum = 0 THEN k.place ELSE k.attnum END
          LEFT JOIN pg_stats AS s
            ON s.schemaname = n.nspname AND s.attname = a.attname AND NOT s.inherited
           AND s.tablename = CASE WHEN k.attnum = 0 THEN c.relname ELSE t.relname END
         WHERE c.oid = ANY(%(oids)s) AND i.indpred IS NULL
         GROUP BY c.oid, c.reloptions, t.reltuples
      ) AS columns
  ) AS sized
"""
_MEASURED: LiteralString = """
SELECT %(oid)s::int8 AS oid, '' AS why,
       greatest(100 - 100 * avg_leaf_density / coalesce(nullif((
           SELECT substring(array_to_string(reloptions, ' ') FROM 'fillfactor=([0-9]+)')::float8
             FROM pg_class WHERE oid = %(oid)s), 0), 90), 0)::float8 AS percent
  FROM pgstatindex(%(oid)s::regclass)
"""


@dataclass(frozen=True, kw_only=True)
class _There:
    there: bool


async def measures_bloat(reader: Work | Session) -> bool:
    """Whether pgstattuple is there, and the login may use it: it reads whole indexes, and knows."""
    (found,) = await reader.fetch(
        _There,
        "SELECT coalesce(has_function_privilege(to_regprocedure('pgstatindex(regclass)'), 'EXECUTE'), false)"
        " AS there",
    )
    return found.there


async def bloat_of(reader: Work | Session, indexes: Sequence[Index]) -> dict[int, Bloat]:
    """The bloat of each, by its number: measured where it can be, else estimated. Only B-trees are known."""
    trees = [index for index in indexes if index.method == "btree" and index.valid]
    found = {index.oid: Bloat(oid=index.oid, percent=None, why="no B-tree, or partial") for index in indexes}
    if await measures_bloat(reader):
        for index in trees:
            (bloat,) = await reader.fetch(Bloat, _MEASURED, {"oid": index.oid})
            found[index.oid] = bloat
        return found
    estimated = await reader.fetch(Bloat, _ESTIMATE, {"oids": [index.oid for index in trees]})
    found.update((bloat.oid, bloat) for bloat in estimated)
    return found
