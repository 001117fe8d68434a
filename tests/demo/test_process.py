"""`maint demo` as people start it: a process, its address, its signals, and nothing left behind."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.demo.conftest import names

ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+/")


@contextlib.asynccontextmanager
async def demo(temporary: Path, *options: str) -> AsyncIterator[Process]:
    """`maint demo` as a process of its own; killed at the end if it still runs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", "--no-browser", "--port", "0", *options,
        env={**kept, "TMPDIR": str(temporary), "SLACK_BOT_TOKEN": "xoxb-of-a-real-workspace"},
        stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def address(process: Process) -> str:
    """What it prints once it is up."""
    assert process.stdout is not None
    async with asyncio.timeout(40):
        while not (found := ADDRESS.search(line := await process.stdout.readline())):
            assert line, "the demo ended before it printed its address"
    return found[0].decode()


async def stop(process: Process, number: signal.Signals) -> int:
    """Its exit code after that signal."""
    process.send_signal(number)
    async with asyncio.timeout(20):
        return await process.wait()


def processes(temporary: Path) -> list[str]:
    """The command lines of all processes that were started for it, whoever their parent is now."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            # The servers write their titles over their environment, and name the folder there.
            if str(temporary) in line or f"TMPDIR={temporary}\0".encode() in (entry / "environ").read_bytes():
                found.append(line)
    return found


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the process makes its temporary files; not under tmp_path, for a socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_with_nothing_left(temporary: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a closed terminal: exit code 0, no process, no file."""
    async with demo(temporary) as process:
        await address(process)
        assert len(processes(temporary)) == 2  # the shop's postman is one of its own
        assert await stop(process, number) == 0

    assert processes(temporary) == []
    assert names(temporary) == set()


async def test_its_servers_end_with_it(temporary: Path) -> None:
    """PostgreSQL and Redis run while the demo does, and not a moment longer."""
    async with demo(temporary, "--with-services") as process:
        await address(process)
        during = processes(temporary)
        assert await stop(process, signal.SIGINT) == 0

    assert any("redis-server" in line for line in during)
    assert any("postgres" in line for line in during)
    assert processes(temporary) == []
    assert names(temporary) == set()


async def test_ctrl_c_while_it_starts_leaves_nothing_either(temporary: Path) -> None:
    """Interrupted while PostgreSQL is being set up, it undoes what was started so far."""
    async with demo(temporary, "--with-services") as process:
        async with asyncio.timeout(40):
            while not any("initdb" in line for line in processes(temporary)):
                assert process.returncode is None
                await asyncio.sleep(0.01)
        assert await stop(process, signal.SIGINT) == 0

    assert processes(temporary) == []
    assert names(temporary) == set()


async def test_a_named_folder_stays(temporary: Path, tmp_path: Path) -> None:
    """`--folder` keeps the settings, the records and the logs where they were asked for."""
    folder = tmp_path / "kept"
    async with demo(temporary, "--folder", str(folder)) as process:
        await address(process)
        assert await stop(process, signal.SIGINT) == 0

    assert {"maint.yaml", "maint.db", "access.log", "error.log"} <= names(folder)
    assert names(temporary) == set()
