"""`python -m tests.scenario.serving MAINT.YAML CLOCK`: `maint serve` whose clock is turned by a file.

It looks often, and a workspace without limits draws its cards at once.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot import app
from bot.slack import board, notices, pace
from runbooks.engine.replica import Rhythm
from runbooks.records import cards
from runbooks.records.budgets import Budget
from tests.scenario.conftest import Workplace
from tests.scenario.floor import Clock

#: Seconds that a process has for a card before another draws it.
CLAIM = 3.0
#: Short leases: what the dead leave is taken over at once.
RHYTHM = Rhythm(lease=2.0, beat=0.5, sweep=0.1, reap=0.5)
_FAST = Budget("fast", size=1000, per_second=1000)


def _fast(_: str) -> Budget:
    return _FAST


async def _serve(settings: Path, clock: Path) -> None:
    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(clock.read_text()))

    loaded, credentials = await app.load(settings, os.environ)
    async with app.Server(loaded, credentials, now=now, rhythm=RHYTHM):
        sys.stderr.write("ready\n")
        sys.stderr.flush()
        await asyncio.Event().wait()


def main() -> None:
    """The process."""
    cards.INTERVAL, cards.CLAIM = 0.02, CLAIM
    board.LONGEST_DRAWING, board.RETRY = 0.7 * CLAIM, 0.5
    pace.UPDATES = board.UPDATES = _FAST
    pace.posts = board.posts = notices.posts = _fast
    asyncio.run(_serve(Path(sys.argv[1]), Path(sys.argv[2])))


class Replicas:
    """Processes of one Maint on one database."""

    def __init__(self, workplace: Workplace, clock: Clock, program: str = "tests.scenario.serving") -> None:
        self._program = program
        self._workplace = workplace
        self._clock = clock
        self._file = workplace.folder / "clock"
        self._settings = workplace.write()
        self.running: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[bytes]] = []
        self.turn()

    def turn(self, **by: float) -> None:
        """Some time passes, for all of them at once."""
        self._clock.turn(**by)
        written = self._file.with_suffix(".new")
        written.write_text(str(self._clock.turned.total_seconds()))
        written.replace(self._file)

    async def start(self) -> asyncio.subprocess.Process:
        """Another process, from its ready line on."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        arguments = ["-m", self._program, str(self._settings), str(self._file)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={**kept, **self._workplace.environment},
            stderr=asyncio.subprocess.PIPE,
            limit=2**20,
        )
        self.running.append(process)
        assert process.stderr is not None
        said = b""
        async with asyncio.timeout(40):
            while line := await process.stderr.readline():
                if line == b"ready\n":
                    self._readers.append(asyncio.create_task(process.stderr.read()))
                    return process
                said += line
        raise AssertionError(said.decode())

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """kill -9."""
        process.kill()
        await process.wait()
        self.running.remove(process)

    async def close(self) -> None:
        """Ends all that are left."""
        for process in self.running:
            process.kill()
            await process.wait()
        await asyncio.gather(*self._readers)


@contextlib.asynccontextmanager
async def replicas(
    workplace: Workplace, clock: Clock, number: int, program: str = "tests.scenario.serving"
) -> AsyncIterator[Replicas]:
    """So many processes of that program."""
    made = Replicas(workplace, clock, program)
    try:
        for _ in range(number):  # one after the other: the first one makes the tables
            await made.start()
        yield made
    finally:
        await made.close()


if __name__ == "__main__":
    main()
