"""A PostgreSQL server as backups need it: connections that work for long, and databases made and dropped."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from runbooks.backups.naming import SCRATCH, token_of
from runbooks.errors import StepError
from runbooks.libpq import tls_arguments
from runbooks.steps.action import Failed
from runbooks.steps.postgres_session import CONNECT_TIMEOUT, refused, words
from runbooks.steps.postgres_way import Way, way_to
from runbooks.steps.reach import Shared
from runbooks.targets import PostgresTarget

#: What libpq takes from the environment, and no argument list shows.
_SECRET = {"password": "PGPASSWORD"}
#: What sessions of backups are called in the server.
_NAME = "maint backup"
#: The server is going, and with it the connection.
_SHUTDOWN = (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown)
#: The first version whose DROP DATABASE knows FORCE.
_FORCE = 130000


@dataclass(frozen=True, kw_only=True)
class Login:
    """How a program logs in: an address that anybody may see, and what goes into its environment."""

    address: str
    environment: dict[str, str]


def _given(way: Way, database: str | None) -> dict[str, Any]:
    given = {**way.given, **tls_arguments(way.given), **way.detour}
    given.setdefault("connect_timeout", str(CONNECT_TIMEOUT))
    return {**given, "dbname": database} if database else given


async def login_of(
    target: PostgresTarget, reach: Shared, database: str | None = None, token: str = ""
) -> Login:
    """The login for pg_dump and pg_restore, whose sessions have the `token` in their name. Raises StepError
    for a url that is wrong."""
    given = _given(await way_to(target, reach), database)
    if given.pop("sslpassword", None):
        raise StepError(f"the url of {target.where()} has an sslpassword, which pg_dump takes only in sight")
    environment = {_SECRET[name]: str(given.pop(name)) for name in tuple(given) if name in _SECRET}
    return Login(address=make_conninfo(**given), environment={**environment, "PGAPPNAME": _named(token)})


def _named(token: str) -> str:
    return f"{_NAME} {token}".strip()


async def end_sessions_of(connection: AsyncConnection[Any], token: str) -> None:
    """Ends the sessions with that token in their name: a pg_dump may outlive who began it, and with it the
    snapshot that keeps vacuum from its work."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [_named(token)]
    )


@asynccontextmanager
async def connect(
    target: PostgresTarget, reach: Shared, database: str | None = None, *, read_only: bool = False
) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection without a time limit on statements, in autocommit. Raises NoConnection, and StepError in
    place of what the server says, and of whatever fails in the block when the way there was lost."""
    way = await way_to(target, reach)
    given = _given(way, database)
    options = ["-c statement_timeout=0", "-c idle_in_transaction_session_timeout=0", "-c lock_timeout=30s"]
    if read_only:
        options.append("-c default_transaction_read_only=on")
    given["options"] = " ".join([str(given.get("options") or ""), *options]).strip()
    given["application_name"] = _NAME
    try:
        connection = await AsyncConnection.connect(**given, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise await refused(error, target, way) from error
    try:
        with _lost_said(way):
            yield connection
    except psycopg.OperationalError as error:
        if not (connection.closed or isinstance(error, _SHUTDOWN)):
            raise StepError(f"{target.where()} refused: {words(error, target)}") from error
        raise StepError(
            f"{target.where()} went away in the middle ({words(error, target)}): look why it went, and try "
            "again when it is back. What is left there of this is removed then"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise StepError(
            f"{target.where()} does not allow that: {words(error, target)}. A login that backs up reads all:"
            " GRANT pg_read_all_data TO it; one that restores makes databases: ALTER ROLE … CREATEDB"
        ) from error
    except psycopg.Error as error:
        raise StepError(f"{target.where()} refused: {words(error, target)}") from error
    finally:
        await connection.close()


@contextmanager
def _lost_said(way: Way) -> Iterator[None]:
    """Programs and the library only see that somebody hung up: who it was is known here."""
    try:
        yield
    except (StepError, psycopg.Error) as error:
        if (lost := way.lost()) is None:
            raise
        output = error.output if isinstance(error, Failed) else ""
        raise Failed(
            f"{lost}, and nothing of this step counts: look at that machine, its sshd's log and the network, "
            "then press Retry",
            output,
        ) from error


@dataclass(frozen=True, kw_only=True)
class Server:
    """What a server says of itself and of the database that one is connected to. `size` in bytes."""

    version: str
    major: int
    number: int
    database: str
    size: int
    settings: dict[str, str]  # what CREATE DATABASE needs to make one like it


_SERVER = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_database(),
       pg_database_size(oid), pg_encoding_to_char(encoding), to_jsonb(pg_database),
       pg_get_userbyid(datdba)
  FROM pg_database WHERE datname = current_database()
"""


async def look_at(connection: AsyncConnection[Any]) -> Server:
    """What the server says."""
    row = await (await connection.execute(_SERVER)).fetchone()
    assert row is not None
    version, number, database, size, encoding, about, owner = row
    provider = {"c": "libc", "i": "icu", "b": "builtin"}.get(about.get("datlocprovider", "c"), "libc")
    settings = {
        "owner": owner,
        "encoding": encoding,
        "lc_collate": about["datcollate"],
        "lc_ctype": about["datctype"],
        "locale_provider": provider,
        "locale": about.get("datlocale") or about.get("daticulocale") or "",
    }
    return Server(
        version=version.split()[0],
        major=number // 10000,
        number=number,
        database=database,
        size=size,
        settings=settings,
    )


async def make_database(
    connection: AsyncConnection[Any], name: str, like: dict[str, str], *, owned_alike: bool = False
) -> None:
    """An empty database with the encoding and collation of another one, and its owner if that is wanted and
    there. Needs the right CREATEDB, and to be in the owner's role."""
    owner: list[sql.Composable] = []
    if owned_alike and await _has_role(connection, like.get("owner", "")):
        owner.append(sql.SQL("OWNER {}").format(sql.Identifier(like["owner"])))
    options: list[sql.Composable] = [
        *owner,
        sql.SQL("ENCODING {}").format(sql.Literal(like["encoding"])),
        sql.SQL("LC_COLLATE {}").format(sql.Literal(like["lc_collate"])),
        sql.SQL("LC_CTYPE {}").format(sql.Literal(like["lc_ctype"])),
    ]
    match like.get("locale_provider"), like.get("locale"):
        case "icu", str(locale) if locale:
            options.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(locale)))
        case "builtin", str(locale) if locale:
            options.append(sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(locale)))
    make = sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}")
    await connection.execute(make.format(sql.Identifier(name), sql.SQL(" ").join(options)))


async def _has_role(connection: AsyncConnection[Any], name: str) -> bool:
    found = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
    return await found.fetchone() is not None


async def drop_database(connection: AsyncConnection[Any], name: str) -> None:
    """Drops it with everybody in it, if it is there."""
    end: LiteralString = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    if connection.info.server_version >= _FORCE:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    else:
        await connection.execute(end, [name])
        drop = sql.SQL("DROP DATABASE IF EXISTS {}")
    await connection.execute(drop.format(sql.Identifier(name)))


async def databases(connection: AsyncConnection[Any]) -> dict[str, int]:
    """The databases of the server, and their sizes in bytes where that may be seen."""
    found = await connection.execute(
        "SELECT datname, CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END"
        " FROM pg_database WHERE NOT datistemplate"
    )
    return {name: size or 0 for name, size in await found.fetchall()}


class Scratch:
    """Databases for a moment. One whose maker died is found by its name and dropped by the next: a lock in
    the server, which goes with the connection, says whose maker still lives."""

    def __init__(self, connection: AsyncConnection[Any], key: str, beginning: str = SCRATCH) -> None:
        """`connection` stays open as long as the database is needed, and is to no database of that name."""
        self._connection = connection
        # Locks are a database's own: who is connected to another one must not judge ours.
        place = token_of(connection.info.dbname)[:8]
        self._prefix = f"{beginning}{place}_"
        self.name = f"{self._prefix}{token_of(key)}"

    async def sweep(self) -> list[str]:
        """Drops what dead ones left, and an earlier try of ours; their names. Then ours is locked."""
        found = await self._connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [self._prefix]
        )
        gone = []
        for (name,) in await found.fetchall():
            if name != self.name and await self._lock(name):
                await drop_database(self._connection, name)
                await self._connection.execute("SELECT pg_advisory_unlock(%s)", [lock_of(name)])
                gone.append(name)
        if not await self._lock(self.name):
            raise StepError(f"{self.name} is in use by another process of Maint")
        await drop_database(self._connection, self.name)
        return gone

    async def _lock(self, name: str) -> bool:
        found = await self._connection.execute("SELECT pg_try_advisory_lock(%s)", [lock_of(name)])
        row = await found.fetchone()
        return bool(row and row[0])


def lock_of(name: str) -> int:
    """The lock of a scratch database: a bigint."""
    return int(token_of(name), 16) - 2**63
