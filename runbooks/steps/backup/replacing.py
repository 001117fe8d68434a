"""A database takes another one's name: the other one stays, under a name that says since when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from runbooks.steps.backup.restoring import Restore
from runbooks.steps.backup.server import connect

#: Seconds between two looks at who is still there.
_LOOK = 0.1


async def put_in_place(
    admin: AsyncConnection[Any], what: Restore, coming: str, now: datetime, replace: bool
) -> str:
    """Renames `coming`; what the database is called now that had the name, empty for none. When it cannot, or
    dies meanwhile, everything is as it was."""
    name = what.database
    if not replace:
        await _rename(admin, coming, name)
        return ""
    before = f"{name[:40]}_before_{now:%Y%m%d_%H%M%S}"
    async with _emptied(what, admin.info.dbname), admin.transaction():
        await _rename(admin, name, before)
        await _owned_alike(admin, coming, before)
        await _rename(admin, coming, name)
    return before


async def about(connection: AsyncConnection[Any], name: str) -> str:
    """What is set on a database itself, which no dump has, in words; empty when there is nothing."""
    found = await connection.execute(
        "SELECT d.datacl::text, (SELECT string_agg(array_to_string(setconfig, ', '), ', ')"
        " FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d WHERE d.datname = %s",
        [name],
    )
    row = await found.fetchone()
    granted, settings = row or (None, None)
    return "; ".join(
        each
        for each in (f"rights {granted}" if granted else "", f"settings {settings}" if settings else "")
        if each
    )


async def _rename(admin: AsyncConnection[Any], name: str, new: str) -> None:
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    await admin.execute(rename.format(sql.Identifier(name), sql.Identifier(new)))


@asynccontextmanager
async def _emptied(what: Restore, place: str) -> AsyncIterator[None]:
    """While the block runs, whoever is in the database is ended. A rename waits five seconds for them to go,
    and lets nobody in meanwhile: a pool that comes back waits until it is over."""
    async with connect(what.target, what.reach, place) as connection:
        ending = asyncio.create_task(_end_sessions(connection, what.database))
        try:
            yield
        except psycopg.Error:
            if ending.done() and (why := ending.exception()):
                raise why from None  # it says more than that somebody is still there
            raise
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)


async def _end_sessions(connection: AsyncConnection[Any], name: str) -> None:
    while True:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        await asyncio.sleep(_LOOK)


async def _owned_alike(admin: AsyncConnection[Any], name: str, like: str) -> None:
    found = await admin.execute(
        "SELECT a.datdba <> b.datdba, pg_get_userbyid(b.datdba) FROM pg_database a, pg_database b"
        " WHERE a.datname = %s AND b.datname = %s",
        [name, like],
    )
    row = await found.fetchone()
    if row and row[0]:
        alter = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        await admin.execute(alter.format(sql.Identifier(name), sql.Identifier(row[1])))
