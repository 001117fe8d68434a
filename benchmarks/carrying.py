"""A process that carries runs of a long step: `python -m benchmarks.carrying URL [start]` starts one of them.

It prints a line with the time (CLOCK_MONOTONIC, which is every process's) whenever the step acts.
"""

import asyncio
import sys
import time
from typing import ClassVar

from benchmarks.house import Nothing, house
from runbooks.steps import KINDS
from runbooks.steps.action import Call, Done
from runbooks.targets import TargetBase

LONG = """
    name: long
    title: Long
    steps:
      - {id: s, bench.long: {}}
    """


class Long(Nothing):
    """Takes longer than anybody watches."""

    kind: ClassVar[str] = "bench.long"
    title: ClassVar[str] = "Long"

    async def act(self, target: TargetBase, call: Call) -> Done:
        """Says when it began."""
        print("acts", time.monotonic(), flush=True)
        await asyncio.sleep(300)
        return await super().act(target, call)


KINDS[Long.kind] = Long


async def main(url: str, *, start: bool) -> None:
    """Until it is killed."""
    async with house(url, LONG) as where:
        if start:
            await where.start("long")
        print("ready", time.monotonic(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], start="start" in sys.argv[2:]))
