"""Bots as processes of their own: Maint, and a bare app that only acknowledges."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import yaml

from bot.sandbox import Sandbox

HERE = Path(__file__).parent


class Bot:
    """A running bot: `ready` is how long it took to start, in seconds."""

    def __init__(self, pid: int, ready: float) -> None:
        self.pid = pid
        self.ready = ready

    def memory(self) -> float:
        """Resident memory in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu(self) -> float:
        """Processor seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def started(arguments: list[str], ready: bytes, environment: dict[str, str]) -> AsyncIterator[Bot]:
    """A Python process from the line that says it is ready; killed at the end."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert process.stderr is not None
    try:
        while ready not in (line := await process.stderr.readline()):
            if not line:
                raise RuntimeError("the bot ended before it was ready")
        took = time.perf_counter() - begun
        reader = asyncio.create_task(process.stderr.read())
        yield Bot(process.pid, took)
        reader.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def maint(sandbox: Sandbox, folder: Path, **settings: object) -> AsyncIterator[Bot]:
    """`maint serve` for the sandbox's admin."""
    config = folder / "maint.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "roles": {"admin": {"members": ["U0000ADMIN"]}},
                "grants": [{"role": "admin", "commands": ["*"]}],
                "targets": {"local": {"type": "host"}},
                **settings,
            }
        )
    )
    arguments = ["-m", "bot", "--config", str(config), "serve"]
    async with started(arguments, b"maint.ready", sandbox.environment()) as bot:
        yield bot


@contextlib.asynccontextmanager
async def bare(sandbox: Sandbox) -> AsyncIterator[Bot]:
    """An AsyncApp on two Socket Mode connections that only acknowledges."""
    async with started([str(HERE / "bare_bot.py")], b"ready", sandbox.environment()) as bot:
        yield bot
