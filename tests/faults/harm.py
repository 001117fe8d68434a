"""The processes that are tortured, and what is done to them."""

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.sandbox import Sandbox
from runbooks.errors import RecordsError
from runbooks.records.records import Records
from runbooks.records.run_tables import replicas, runs
from tests.faults import worker

#: Seconds that a process is frozen: longer than the lease of tests/faults/worker.py.
FROZEN = 4.0


_PROCESSES = multiprocessing.get_context("forkserver")
#: Two seconds of imports for each start would leave little time in which there is something to kill.
_PROCESSES.set_forkserver_preload(["tests.faults.worker"])


@dataclass
class Workers:
    """The replicas: processes of their own, each one started again at once when it ends."""

    settings: Path
    environment: dict[str, str]
    number: int
    processes: dict[int, ForkServerProcess] = field(default_factory=dict)
    keepers: list["asyncio.Task[None]"] = field(default_factory=list)
    closing: bool = False

    def start(self) -> None:
        """All of them, and whoever starts them again."""
        self.keepers = [asyncio.create_task(self._keep(place)) for place in range(self.number)]

    async def _keep(self, place: int) -> None:
        log = str(self.settings.parent / f"worker-{place}.log")
        while not self.closing:
            process = _PROCESSES.Process(
                target=worker.run, args=(str(self.settings), self.environment, log), daemon=True
            )
            await asyncio.to_thread(process.start)
            self.processes[place] = process
            await asyncio.to_thread(process.join)

    def alive(self) -> list[ForkServerProcess]:
        """Those that run at this moment."""
        return [process for process in self.processes.values() if process.is_alive()]

    async def stop(self) -> None:
        """All of them end in good order."""
        self.closing = True
        for process in self.alive():
            process.terminate()
        await asyncio.wait(self.keepers, timeout=30)
        for process in self.alive():
            process.kill()
        await asyncio.wait(self.keepers, timeout=10)


@dataclass
class Harmer:
    """Does harm at random moments, and counts it."""

    workers: Workers
    sandbox: Sandbox
    records: Records
    chance: random.Random
    restart_database: Callable[[], None] | None = None
    done: Counter[str] = field(default_factory=Counter)
    takeovers: list[float] = field(default_factory=list)

    async def harm(self, kills: int, seconds: float) -> None:
        """Until that many processes have been killed, but no longer than so long."""
        deadline = time.monotonic() + seconds
        while self.done["kill"] < kills and time.monotonic() < deadline:
            if self.chance.random() < 0.85:  # else it may be hit while it starts
                await self._until_some_enrolled(1)
            await asyncio.sleep(self.chance.uniform(0.2, 3.0))
            await self._once()

    async def _once(self) -> None:
        alive = self.workers.alive()
        if not alive:
            return
        many = self.workers.number > 1
        what = self.chance.random()
        if what < 0.06:
            self._slack_away()
        elif many and what < 0.14:
            await self._freeze(self.chance.choice(alive))
        elif self.restart_database and what < 0.20:
            self.done["database restart"] += 1
            await asyncio.to_thread(self.restart_database)
        elif many and what < 0.32:
            self.done["all at once"] += 1
            for process in alive:
                self._kill(process)
        else:
            self._kill(self.chance.choice(alive))

    def _kill(self, process: ForkServerProcess) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
            self.done["kill"] += 1

    def _slack_away(self) -> None:
        self.done["Slack away"] += 1
        for trouble in ("server_error", "drop_after", "drop_before"):
            self.sandbox.fault("*", trouble, times=10)

    async def _freeze(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP)
            self.done["frozen"] += 1
            await asyncio.sleep(FROZEN)
            os.kill(process.pid, signal.SIGCONT)

    async def take_over(self, times: int) -> None:
        """Kills one replica while the others live, and measures until all its runs are in other hands."""
        for _ in range(times):
            await self._until_some_enrolled(self.workers.number)
            for _ in range(200):
                victim = self.chance.choice(self.workers.alive())
                held = await self._held_by(victim.pid)
                if held:
                    break
                await asyncio.sleep(0.05)
            else:
                continue
            self._kill(victim)
            began = time.monotonic()
            while True:
                held = await self._still(held)
                if not held:
                    break
                await asyncio.sleep(0.02)
            self.takeovers.append(time.monotonic() - began)

    async def _until_some_enrolled(self, number: int) -> None:
        while True:
            pids = {process.pid for process in self.workers.alive()}
            enrolled = await self._ask(lambda connection: set(connection.scalars(select(replicas.c.pid))))
            if len(pids & enrolled) >= number:
                return
            await asyncio.sleep(0.2)

    async def _held_by(self, pid: int | None) -> dict[str, int]:
        def look(connection: Any) -> dict[str, int]:
            executor = select(replicas.c.id).where(replicas.c.pid == pid).scalar_subquery()
            query = select(runs.c.id, runs.c.fence).where(
                runs.c.executor == executor, runs.c.state == "running"
            )
            return {row.id: row.fence for row in connection.execute(query)}

        return await self._ask(look)

    async def _still(self, held: dict[str, int]) -> dict[str, int]:
        def look(connection: Any) -> dict[str, int]:
            query = select(runs.c.id, runs.c.fence).where(
                runs.c.id.in_(tuple(held)), runs.c.state == "running"
            )
            return {row.id: row.fence for row in connection.execute(query) if row.fence == held[row.id]}

        return await self._ask(look)

    async def _ask(self, look: Callable[[Any], Any]) -> Any:
        while True:
            try:
                return await self.records.read(look)
            except RecordsError:
                await asyncio.sleep(0.2)
