"""A house whose runbooks are on schedules, and a second look at what stands in its database."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runbooks.engine.authority import Everybody
from runbooks.engine.carrier import Sender
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.engine.engine import Engine
from runbooks.engine.hold import Database
from runbooks.engine.replica import Rhythm
from runbooks.engine.sealing import Sealer
from runbooks.records import schedules as rows
from runbooks.records.audit import Filter
from runbooks.records.records import Records
from runbooks.records.schedules import ScheduleRow, TickRow
from runbooks.targets import HostTarget
from runbooks.watch.schedules import Schedules
from tests.runs.conftest import KEY, Clock, House, house_of, runbooks_of

#: A Sunday evening in November.
NOW = datetime(2026, 11, 1, 18, 0, tzinfo=UTC)
HERE = {"here": HostTarget(type="host", name="here")}


@dataclass
class Watch:
    """A house with schedules, whose looks the test makes itself."""

    house: House
    schedules: Schedules

    @property
    def clock(self) -> Clock:
        return self.house.clock

    async def look(self, **turned: float) -> None:
        """Some time passes, and a look is made: one for what comes, one for what that left to do."""
        self.clock.turn(**turned)
        await self.schedules.look()

    async def ticks(self, schedule: str = "tidy:0") -> list[TickRow]:
        """The ticks of a schedule, oldest first."""
        found = await self.house.records.read(
            lambda connection: rows.newest_ticks(connection, schedule, limit=1000)
        )
        return list(reversed(found))

    async def states(self, schedule: str = "tidy:0") -> list[tuple[str, str]]:
        """What became of each of them, by its time."""
        return [(tick.local, tick.state) for tick in await self.ticks(schedule)]

    async def row(self, schedule: str = "tidy:0") -> ScheduleRow:
        """What stands of a schedule."""
        return (await self.house.records.read(rows.rows))[schedule]

    async def runs(self) -> list[str]:
        """The keys of all runs, oldest first."""
        found = await self.house.engine.runs(limit=1000)
        return [str(run.key) for run in reversed(found)]

    async def done(self) -> None:
        """Every run is over."""
        for run in await self.house.engine.runs(states=("queued", "running", "waiting"), limit=1000):
            await self.house.over(run.id)

    async def told(self) -> list[tuple[str, str]]:
        """How each tick went, as the audit log has it, and why."""
        events = await self.house.records.events(Filter(action="schedule.tick"), limit=1000)
        return [
            (str(each.event.outcome), str(each.event.details.get("reason", ""))) for each in reversed(events)
        ]


def schedules_of(house: House, texts: Mapping[str, str], database: Database | None = None) -> Schedules:
    """The schedules in those files, as a process sees them."""
    return Schedules(
        database=database or house.records,
        runbooks=runbooks_of(texts, HERE),
        starter=house.engine,
        now=house.clock,
    )


@asynccontextmanager
async def replica_of(url: str, house: House, texts: Mapping[str, str]) -> AsyncIterator[Schedules]:
    """Another process, as far as the database can tell: with connections of its own, and an engine that
    only starts runs."""
    records = await Records.open(url, house.scrub)
    sender = Sender(records.engine)
    try:
        await sender.prepare()
        engine = Engine(
            database=records,
            runbooks=runbooks_of(texts, HERE),
            targets=HERE,
            channels={},
            checks=CheckRunner(HERE, records, house.scrub, Limits(), now=house.clock),
            scrub=house.scrub,
            sealer=Sealer(KEY),
            authority=Everybody(),
            now=house.clock,
        )
        engine.connect(sender)
        yield Schedules(database=records, runbooks=runbooks_of(texts, HERE), starter=engine, now=house.clock)
    finally:
        sender.close()
        await records.close()


@asynccontextmanager
async def watch_of(
    url: str,
    folder: Path,
    texts: Mapping[str, str],
    *,
    now: datetime = NOW,
    clock: Clock | None = None,
    windows: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Watch]:
    """A house with those runbooks, and what is on their schedules."""
    texts = {name: text.replace("DIR", str(folder)) for name, text in texts.items()}
    async with house_of(
        url, folder, texts, clock=clock or Clock(now), rhythm=Rhythm(sweep=0.05, reap=0.2), windows=windows
    ) as house:
        watch = Watch(house, schedules_of(house, texts))
        await watch.schedules.begin()
        yield watch


@pytest.fixture
def build(database_url: str, tmp_path: Path) -> Callable[..., Any]:
    """Makes a watch on a fresh database of either kind; the same database each time."""

    def make(texts: Mapping[str, str], **how: Any) -> Any:
        return watch_of(database_url, tmp_path, texts, **how)

    return make
