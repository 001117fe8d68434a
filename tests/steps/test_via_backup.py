"""Backups of a database behind another machine: a round trip, and a connection that breaks off."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from runbooks.errors import StepError
from runbooks.steps import EXAMINERS
from runbooks.steps.reach import Connections, Reach
from tests.steps.backup_world import SHOP, World, database, files, fill, vault
from tests.steps.conftest import Sshd
from tests.steps.postgres_servers import until
from tests.steps.vias import left_in

pytestmark = pytest.mark.debian("sshd")

#: Rows that do not compress: a dump of some 30 MB, which takes seconds.
NOISE = """
CREATE TABLE noise AS SELECT n, sha256(n::text::bytea) || sha256(random()::text::bytea) AS x
  FROM generate_series(1, 400000) n
"""
NOBODY = "NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'maint backup')"


@pytest.fixture
def world(sshd: Sshd, postgres_url: str, tmp_path: Path, temporary: Path) -> World:
    """A database behind a machine, and a store here."""
    db = database(postgres_url, via="remote")
    return World({"db": db, "remote": sshd.target(), "vault": vault(tmp_path / "vault")})


def rows(url: str, database: str) -> list[tuple[object, ...]]:
    """What is in the orders."""
    with psycopg.connect(url, dbname=database) as connection:
        return connection.execute("SELECT * FROM orders ORDER BY id").fetchall()


@pytest.mark.parametrize("format_", ["custom", "directory"])
async def test_what_is_restored_is_what_there_was(
    world: World, postgres_url: str, temporary: Path, format_: str
) -> None:
    """Taken, proven and restored: pg_dump and pg_restore go through the machine too."""
    await asyncio.to_thread(fill, postgres_url, SHOP)
    jobs = {"jobs": 3} if format_ == "directory" else {}
    mine = postgres_url.partition("?")[0].rpartition("/")[2]
    into = f"{mine}_again"

    await world.act("postgres.backup", "db", store="vault", format=format_, checksums=["orders"], **jobs)
    proven = await world.act("postgres.verify_backup", "db", assertions=["SELECT count(*) = 50 FROM users"])
    await world.act("postgres.restore", "db", database=into, owners=False)

    assert proven.values["rows"] == 554
    assert rows(postgres_url, into) == rows(postgres_url, mine)
    assert left_in(temporary) == []
    await asyncio.to_thread(fill, postgres_url, f"DROP DATABASE {into}")


class Told(list[str]):
    """Does something when the dump is under way."""

    def __init__(self, do: object) -> None:
        super().__init__()
        self._do = do

    def append(self, line: str) -> None:
        if line == "dumping":
            asyncio.get_running_loop().call_later(0.3, self._do)  # type: ignore[arg-type]


async def test_a_connection_lost_in_the_middle_of_a_dump(
    world: World, sshd: Sshd, postgres_url: str, tmp_path: Path, temporary: Path
) -> None:
    """The step fails and says what was lost and what to do; nothing of it is left, here or there."""
    await asyncio.to_thread(fill, postgres_url, NOISE)
    world.told = Told(sshd.drop_connections)

    with pytest.raises(StepError, match=r"the ssh connection with ssh://.* was lost in the middle, .*Retry"):
        await world.act("postgres.backup", "db", store="vault")

    assert files(tmp_path / "vault") == []
    assert world.kept.rows == {}
    assert left_in(temporary) == []
    await until(postgres_url, NOBODY)


async def test_a_cancelled_dump_leaves_nothing(
    world: World, postgres_url: str, tmp_path: Path, temporary: Path
) -> None:
    """Neither a file nor a socket, and nobody in the server."""
    await asyncio.to_thread(fill, postgres_url, NOISE)
    task = asyncio.create_task(world.act("postgres.backup", "db", store="vault"))
    world.told = Told(task.cancel)

    with pytest.raises(asyncio.CancelledError):
        await task

    assert files(tmp_path / "vault") == []
    assert left_in(temporary) == []
    await until(postgres_url, NOBODY)


async def test_the_doctor_looks_through_the_machine(world: World) -> None:
    """What `maint doctor db` asks: pg_dump of its version, and what the login may."""
    found = {}
    async with Connections() as connections:
        reach = Reach(targets=world.targets, connections=connections)
        for examine in EXAMINERS[type(world.targets["db"])]:
            found |= {each.what: each.found for each in await examine(world.targets["db"], reach)}

    assert "may make databases" in found["making databases"]
    assert found["postgres.analyze"]
