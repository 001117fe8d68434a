"""The PostgreSQL server killed with kill -9, all its processes, while it is dumped or restored to."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runbooks.errors import StepError
from runbooks.targets import PostgresTarget
from tests.faults.holding import Programs
from tests.faults.house import NOISE, ROWS
from tests.steps.backup_world import World, database, files, fill, names_of, rows_of, vault
from tests.steps.postgres_servers import Server, run_server

#: Of a step and of its repetition.
KEY = "run1/x/act"
COUNT = "SELECT count(*) FROM noise"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that may be killed, with much to dump; each test leaves it running."""
    with TemporaryDirectory(prefix="pg") as folder, run_server(Path(folder)) as server:
        fill(server.url, "CREATE DATABASE shop")
        fill(shop(server), NOISE)
        yield server


def shop(server: Server, name: str = "shop") -> str:
    """The url of its database."""
    return server.url.replace("/postgres?", f"/{name}?")


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> World:
    """The database, whose programs can be held, and a store with a good backup in it."""
    programs = Programs(tmp_path / "bin").install()
    target = database(shop(server), bin=str(programs.folder))
    world = World({"db": target, "vault": vault(tmp_path / "vault")})
    await world.act("postgres.backup", "db", store="vault")
    return world


async def fails(world: World, server: Server, moment: str, kind: str, **fields: object) -> str:
    """What the step says when the server is killed at that moment; then it is started again."""
    target = world.targets["db"]
    assert isinstance(target, PostgresTarget)
    async with Programs(Path(str(target.bin))).held(moment) as held:
        step = asyncio.create_task(world.act(kind, "db", key=KEY, **fields))
        await held.reached()
        await asyncio.to_thread(server.kill)
    try:
        with pytest.raises(StepError) as caught:
            await step
    finally:
        await asyncio.to_thread(server.start)
    return str(caught.value)


async def test_a_dump_that_the_server_does_not_survive_leaves_the_earlier_backup(
    world: World, server: Server, tmp_path: Path
) -> None:
    """Nothing else is stored, and a retry makes the backup."""
    earlier = files(tmp_path / "vault")

    said = await fails(world, server, "dump", "postgres.backup", store="vault")

    assert "the server went away in the middle" in said
    assert "Nothing was stored" in said
    assert files(tmp_path / "vault") == earlier
    assert len(world.kept.rows) == 1
    done = await world.act("postgres.backup", "db", key=KEY, store="vault")
    name = str(done.values["name"])
    assert files(tmp_path / "vault") == sorted([*earlier, name, f"{name}.json"])


@pytest.mark.parametrize("moment", ["restore", "restored"])
async def test_a_proof_that_the_server_does_not_survive_proves_nothing(
    world: World, server: Server, moment: str
) -> None:
    """Killed while it restores, and before it compares; the scratch database goes with the retry."""
    said = await fails(world, server, moment, "postgres.verify_backup")

    assert "went away in the middle" in said
    assert [each.proven_at for each in world.kept.rows.values()] == [None]
    assert len(names_of(server.url, "maint\\_%")) == 1
    await world.act("postgres.verify_backup", "db", key=KEY)
    assert names_of(server.url, "maint\\_%") == []


@pytest.mark.parametrize("replace", [False, True])
async def test_a_restore_that_the_server_does_not_survive_has_no_name_yet(
    world: World, server: Server, replace: bool
) -> None:
    """A database that was to be replaced is as it was; the retry gives it its name, and clears up."""
    fields = {"database": "shop", "replace": True, "confirm": "shop"} if replace else {"database": "new"}
    into = str(fields["database"])

    said = await fails(world, server, "restored" if replace else "restore", "postgres.restore", **fields)

    assert "went away in the middle" in said
    assert names_of(server.url, "shop%") == ["shop"]
    assert names_of(server.url, "new%") == []
    assert rows_of(shop(server), COUNT) == [(ROWS,)]
    done = await world.act("postgres.restore", "db", key=KEY, **fields)
    assert rows_of(shop(server, into), COUNT) == [(ROWS,)]
    assert names_of(server.url, "maint\\_%") == []
    fill(server.url, f'DROP DATABASE "{done.values["previous"] if replace else into}"')
