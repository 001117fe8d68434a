"""From the kill -9 of a process to the moment when its run's step acts again: in another replica on
PostgreSQL, in the next process on SQLite, which starts at once."""

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.databases import KINDS, fresh
from benchmarks.figure import Figure
from runbooks.engine.replica import Rhythm

ROUNDS = 3
#: The lease that the dead process had, and 3 s.
LIMIT = Rhythm().lease + 3.0
#: Seconds to wait for a line of a process.
LONGEST = 60.0


class Carrying:
    """A process of `benchmarks.carrying`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def said(self, word: str) -> float:
        """When it said so."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LONGEST):
            while line := await self.process.stdout.readline():
                if line.startswith(word.encode()):
                    return float(line.split()[1])
        raise RuntimeError(f"it ended before it said {word!r}")

    async def killed(self) -> float:
        """Kills it; when."""
        self.process.kill()
        now = time.monotonic()
        await self.process.wait()
        return now


@contextlib.asynccontextmanager
async def carrying(url: str, *arguments: str) -> AsyncIterator[Carrying]:
    """Such a process; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.carrying",
        url,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parent.parent,
    )
    try:
        yield Carrying(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _by_another(url: str) -> float:
    async with carrying(url, "start") as first:
        await first.said("acts")
        async with carrying(url) as second:
            await second.said("ready")
            await asyncio.sleep(random.uniform(0, 2))  # anywhere between two proofs of life
            dead = await first.killed()
            return await second.said("acts") - dead


async def _by_the_next(url: str) -> float:
    async with carrying(url, "start") as first:
        await first.said("acts")
        await asyncio.sleep(random.uniform(1, 3))
        dead = await first.killed()
    async with carrying(url) as second:
        return await second.said("acts") - dead


async def measure() -> list[Figure]:
    """The longest of several deaths."""
    figures = []
    for kind in KINDS:
        took = []
        for _ in range(ROUNDS):
            with fresh(kind) as url:
                took.append(await (_by_the_next(url) if kind == "SQLite" else _by_another(url)))
        what = "kill -9 to the step again, " + ("next process" if kind == "SQLite" else "other replica")
        figures.append(Figure(what=f"{what}, {kind}", value=max(took), unit="s", limit=LIMIT))
    return figures
