"""From the start of `maint serve` to its ready line, and the memory that it holds when idle."""

import asyncio
import tempfile
from pathlib import Path

from benchmarks.figure import Figure, percentile
from benchmarks.processes import bare, maint
from bot.sandbox import Sandbox

STARTS = 5


async def measure() -> list[Figure]:
    """Median of several starts, in turn with the bare app."""
    ready, memory, bare_ready, bare_memory = [], [], [], []
    for _ in range(STARTS):
        async with Sandbox.start() as sandbox, bare(sandbox) as bot:
            await asyncio.sleep(1)
            bare_ready.append(bot.ready)
            bare_memory.append(bot.memory())
        with tempfile.TemporaryDirectory() as folder:
            async with Sandbox.start() as sandbox, maint(sandbox, Path(folder)) as bot:
                await asyncio.sleep(1)
                ready.append(bot.ready)
                memory.append(bot.memory())
    return [
        Figure(
            what="start to ready", value=percentile(ready, 50), unit="s", beside=percentile(bare_ready, 50)
        ),
        Figure(
            what="resident when idle",
            value=percentile(memory, 50),
            unit="MB",
            beside=percentile(bare_memory, 50),
        ),
    ]
