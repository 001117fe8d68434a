"""A whole Maint in a process of its own, with a database and a store, killed and begun anew."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.sandbox import Message
from runbooks.backups.naming import PART
from runbooks.records.runs import RunView
from tests.faults.holding import Programs
from tests.faults.mortal import DEATH
from tests.scenario.floor import Floor
from tests.scenario.serving import Replicas, replicas
from tests.steps.backup_world import files, rows_of

#: Rows that do not compress: a dump of some 8 MB, of which an upload has two parts.
ROWS = 100_000
NOISE = f"""
CREATE TABLE noise AS SELECT n, sha256(n::text::bytea) || sha256(random()::text::bytea) AS x
  FROM generate_series(1, {ROWS}) n;
CREATE TABLE few AS SELECT generate_series(1, 10) AS n;
"""
#: Seconds for whatever has to happen: it is there to end a test that hangs, not to measure.
PATIENCE = 45.0


@dataclass
class House:
    """The process, and what it looks after."""

    floor: Floor
    url: str
    programs: Programs
    processes: Replicas
    s3: Any
    #: The databases that were there before.
    databases: frozenset[str]

    @property
    def vault(self) -> Path:
        """The folder of the store."""
        return self.floor.folder / "vault"

    async def start(self, runbook: str, card: str = "run ") -> Message:
        """Starts a run; its card."""
        return await self.floor.start(runbook, card=card)

    async def ends(self, card: Message) -> RunView:
        """The run, when it is over or waits for people."""

        await self.sees(card, "Done", "Failed", "Needs a decision")
        return await self.floor.view(card)

    async def sees(self, card: Message, *words: str) -> None:
        """Returns as soon as the card shows one of these."""
        try:
            await self.floor.sandbox.wait_for(lambda: any(word in card.shown for word in words), PATIENCE)
        except TimeoutError:
            raise AssertionError(card.shown) from None

    async def done(self, runbook: str) -> RunView:
        """A run from its start to its good end."""
        card = await self.start(runbook)
        view = await self.ends(card)
        assert "Done" in card.shown, card.shown
        return view

    async def kill(self) -> None:
        """kill -9."""
        await self.processes.kill(self.processes.running[0])

    async def begin_anew(self) -> None:
        """Another process, that takes over what the dead one left."""
        await self.processes.start()

    def dies_at_rename(self, ending: str) -> None:
        """It dies itself, right before it gives a file a name with that ending."""
        Path(self.floor.workplace.environment[DEATH]).write_text(ending)

    async def is_dead(self) -> None:
        """Returns when it has died by itself."""
        process = self.processes.running.pop()
        async with asyncio.timeout(PATIENCE):
            await process.wait()

    async def until(self, query: str, url: str = "") -> None:
        """Returns as soon as that is true of the database."""
        await soon(lambda: rows_of(url or self.url, f"SELECT {query}") == [(True,)], query)

    async def uploading(self) -> None:
        """Returns as soon as a part of an upload has arrived, and the next one is on its way."""
        await soon(lambda: bool(self.uploads()), "an upload")

    def uploads(self) -> list[str]:
        """Those that were begun and not ended."""
        listed = self.s3.list_multipart_uploads(Bucket="shop-backups").get("Uploads", ())
        return [each["Key"] for each in listed]

    def objects(self) -> dict[str, str]:
        """What the bucket has, by name: what marks its content."""
        listed = self.s3.list_objects_v2(Bucket="shop-backups").get("Contents", ())
        return {each["Key"]: each["ETag"] for each in listed}

    def stored(self) -> dict[str, bytes]:
        """What the folder has under final names."""
        return {name: (self.vault / name).read_bytes() for name in files(self.vault) if PART not in name}

    def parts(self) -> list[str]:
        """What the folder has under other names."""
        return [name for name in files(self.vault) if PART in name]

    def sessions(self) -> list[str]:
        """What sessions of backups still do in the server."""
        found = rows_of(
            self.url,
            "SELECT coalesce(datname, '') || ': ' || query FROM pg_stat_activity"
            " WHERE application_name LIKE 'maint backup%'",
        )
        return [said for (said,) in found]

    def scratch(self) -> list[str]:
        """The databases of ours that are there now, and were not before."""
        found = rows_of(self.url, r"SELECT datname FROM pg_database WHERE datname LIKE 'maint\_%'")
        return sorted({name for (name,) in found} - self.databases)

    async def is_clean(self) -> None:
        """Returns when nothing is left of what was killed."""

        def left() -> Iterator[object]:
            yield from (self.parts(), self.uploads(), self.scratch(), self.sessions())

        try:
            await soon(lambda: not any(left()), "")
        except AssertionError:
            raise AssertionError([*left()]) from None


async def soon(happens: Callable[[], bool], what: str) -> None:
    """Returns as soon as it does. Raises AssertionError that names it when it never does."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(happens):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # what changes outside of this process wakes nobody here
    except TimeoutError:
        raise AssertionError(f"it never came to this: {what}") from None


@asynccontextmanager
async def opened(floor: Floor, url: str, s3: Any, port: int, **store: Any) -> AsyncIterator[House]:
    """Maint serves. `port`: of the bucket, or of a line to it; `store`: more about that."""
    programs = Programs(floor.folder / "bin").install()
    settings = floor.workplace.settings["targets"]
    assert isinstance(settings, dict)
    bucket = {
        "bucket": "shop-backups",
        "endpoint": f"http://127.0.0.1:{port}",
        "region": "us-east-1",
        "access_key": "id",
        "secret_key": "secret-of-ours",
    }
    settings["db"] = {"type": "postgres", "url": url, "bin": str(programs.folder)}
    settings["vault"] = {"type": "backups", "folder": str(floor.folder / "vault"), "s3": bucket, **store}
    floor.clock.as_it_is()  # servers and files have a say
    floor.workplace.environment[DEATH] = str(floor.folder / "death")
    there = await asyncio.to_thread(rows_of, url, "SELECT datname FROM pg_database")
    async with replicas(floor.workplace, floor.clock, 1, "tests.faults.mortal") as processes:
        yield House(floor, url, programs, processes, s3, frozenset(name for (name,) in there))
