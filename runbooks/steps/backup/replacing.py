"""A database takes another one's name: the other one stays, under a name that says since when."""

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, sql

#: How often sessions are ended that come back before the name is gone.
_TRIES = 5


async def put_in_place(
    admin: AsyncConnection[Any], coming: str, name: str, now: datetime, replace: bool
) -> str:
    """Renames `coming`; what the database is called now that had the name, empty for none. When it cannot,
    everything is as it was."""
    if not replace:
        await _rename(admin, coming, name)
        return ""
    before = f"{name[:40]}_before_{now:%Y%m%d_%H%M%S}"
    await _allow(admin, name, False)  # or a pool would be back before the name is free
    try:
        await _end_sessions(admin, name)
        await _rename(admin, name, before)
    except BaseException:
        await _allow(admin, name, True)
        raise
    try:
        await _owned_alike(admin, coming, before)
        await _rename(admin, coming, name)
    except BaseException:
        await _rename(admin, before, name)
        await _allow(admin, name, True)
        raise
    await _allow(admin, before, True)
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


async def _allow(admin: AsyncConnection[Any], name: str, yes: bool) -> None:
    allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
    await admin.execute(allow.format(sql.Identifier(name), sql.SQL("true" if yes else "false")))


async def _end_sessions(admin: AsyncConnection[Any], name: str) -> None:
    for _ in range(_TRIES):
        found = await admin.execute(
            "SELECT count(pg_terminate_backend(pid, 2000)) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        row = await found.fetchone()
        if not row or not row[0]:
            return


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
