"""What a database has at one moment: how many rows in each table, and checksums of those that are chosen."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, sql

from runbooks.errors import StepError
from runbooks.steps.backup.server import connect
from runbooks.steps.reach import Shared
from runbooks.targets import PostgresTarget

#: Differences that are told; the rest is counted.
_TOLD = 10

# What pg_dump writes rows of: ordinary tables and partitions, not those that an extension brings with it.
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
 ORDER BY 1, 2
"""
# Text must be the same on both servers, whatever their settings; and a policy must not hide rows from us.
_SAME = (
    "SET datestyle = 'ISO, YMD'",
    "SET intervalstyle = 'iso_8601'",
    "SET timezone = 'UTC'",
    "SET extra_float_digits = 3",
    "SET bytea_output = 'hex'",
    "SET row_security = off",
)
#: The sum of 64 bits of each row's hash: the order of rows does not count, equal rows do.
_SUM = (
    "SELECT count(*), coalesce(sum(('x' || left(md5(t::text), 16))::bit(64)::bigint::numeric), 0)::text"
    " FROM ONLY {} t"
)


@asynccontextmanager
async def open_snapshot(
    target: PostgresTarget, reach: Shared
) -> AsyncIterator[tuple[AsyncConnection[Any], str]]:
    """A connection that sees the database as it is now, however long it takes, and the snapshot's name for
    pg_dump."""
    async with connect(target, reach, read_only=True) as connection:
        await _prepare(connection)
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = await (await connection.execute("SELECT pg_export_snapshot()")).fetchone()
        assert found is not None
        yield connection, str(found[0])


async def facts_of(
    target: PostgresTarget, reach: Shared, database: str, checksums: Sequence[str]
) -> dict[str, Any]:
    """What that database has now."""
    async with connect(target, reach, database, read_only=True) as connection:
        await _prepare(connection)
        return await count(connection, checksums)


async def _prepare(connection: AsyncConnection[Any]) -> None:
    for statement in _SAME:
        await connection.execute(statement)


async def count(
    connection: AsyncConnection[Any],
    checksums: Sequence[str],
    tell: Callable[[str], None] = lambda _: None,
    *,
    rows: bool = True,
) -> dict[str, Any]:
    """By table (`public.orders`) its `rows`, and its `checksum` if it is one of those. Without `rows` only
    the names. Raises StepError for a table that is to have a checksum and is not there."""
    names = {f"{schema}.{table}": (schema, table) for schema, table in await _tables(connection)}
    wanted = {name if "." in name else f"public.{name}" for name in checksums}
    if missing := sorted(wanted - set(names)):
        raise StepError(f"there is no table {missing[0]} for a checksum; tables are named schema.table")
    facts: dict[str, Any] = {}
    for name, (schema, table) in names.items():
        facts[name] = {}
        if not rows:
            continue
        tell(f"counting {name}")
        place = sql.Identifier(schema, table)
        if name in wanted:
            found = await connection.execute(sql.SQL(_SUM).format(place))
            number, checksum = (await found.fetchone()) or (0, "")
            facts[name] = {"rows": number, "checksum": checksum}
        else:
            found = await connection.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(place))
            facts[name] = {"rows": ((await found.fetchone()) or (0,))[0]}
    return facts


async def _tables(connection: AsyncConnection[Any]) -> list[tuple[str, str]]:
    return [(schema, table) for schema, table in await (await connection.execute(_TABLES)).fetchall()]


def total_rows(tables: Mapping[str, Any]) -> int:
    """The rows of all tables together."""
    return sum(int(facts.get("rows", 0)) for facts in tables.values())


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """How what was restored differs from the snapshot, in words; nothing when it does not."""
    told = [*_differences(wanted, found)]
    rest = len(told) - _TOLD
    return (*told[:_TOLD], *([f"and {rest} more"] if rest > 0 else []))


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*wanted, *found}):
        if name not in found:
            yield f"{name} is missing"
        elif name not in wanted:
            yield f"{name} was not in the snapshot"
        elif wanted[name].get("rows") != found[name].get("rows") and "rows" in wanted[name]:
            yield f"{name} has {found[name].get('rows')} rows instead of {wanted[name]['rows']}"
        elif "checksum" in wanted[name] and wanted[name]["checksum"] != found[name].get("checksum"):
            yield f"{name} has as many rows, but not the same"
