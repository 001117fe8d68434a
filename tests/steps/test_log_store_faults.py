"""What goes wrong while logs are put into a store: nothing is removed that is not stored, and no half is."""

import asyncio
import gzip
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbooks.backups.s3 import S3Options
from runbooks.steps.action import Failed
from runbooks.targets import BackupsTarget
from tests.backups.conftest import s3_client, s3_options, s3_port  # noqa: F401 - fixtures
from tests.backups.lines import bad_line
from tests.steps.acting import HERE
from tests.steps.backup_world import vault
from tests.steps.test_backup_faults import full_disk, small_files  # noqa: F401 - fixtures
from tests.steps.test_log_store import archive, bucket, kept
from tests.steps.test_log_sweeps import names

ROOT = Path(__file__).parents[2]
MEGABYTE = 1024 * 1024
#: Bytes by which Maint may grow, whatever the size of a log.
BOUND = 80 * MEGABYTE


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with a log that gzip makes no smaller: of three parts of an upload."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "a.log").write_bytes(os.urandom(12_000_000))
    os.utime(folder / "a.log", (0, 0))
    return folder


def by(options: S3Options, port: int, tmp_path: Path) -> BackupsTarget:
    """A store that is the bucket alone, by that port."""
    there = replace(options, endpoint=f"http://127.0.0.1:{port}")
    return vault(None, s3=bucket(there), staging=str(tmp_path / "staging"))


def left(client: Any) -> tuple[list[str], list[str]]:
    """The objects in the bucket, and the uploads that were not ended."""
    objects = client.list_objects_v2(Bucket="shop-backups").get("Contents", ())
    uploads = client.list_multipart_uploads(Bucket="shop-backups").get("Uploads", ())
    return [each["Key"] for each in objects], [each["Key"] for each in uploads]


@pytest.mark.parametrize("trouble", ["broken", "away"])
async def test_a_line_that_breaks_removes_nothing_and_a_repetition_stores_it(
    logs: Path,
    tmp_path: Path,
    s3_options: S3Options,  # noqa: F811 - the fixture
    s3_client: Any,  # noqa: F811
    s3_port: int,  # noqa: F811
    trouble: str,
) -> None:
    """In the middle of the upload, or before it; by a slow line it only takes longer."""
    written = (logs / "a.log").read_bytes()
    with bad_line(s3_port, cut_after=7 * MEGABYTE) as line:
        port = line.port if trouble == "broken" else 9
        with pytest.raises(Failed, match=r"(broke|reached).*0 stored.*nothing that is packed was removed"):
            await archive(HERE, logs, by(s3_options, port, tmp_path), remove=True)
    assert names(logs) == {"a.log.gz"}
    assert kept(tmp_path / "staging") == set()
    assert (await asyncio.to_thread(left, s3_client))[0] == []

    with bad_line(s3_port, pause=0.005) as line:
        done = await archive(HERE, logs, by(s3_options, line.port, tmp_path), remove=True)
    objects, uploads = await asyncio.to_thread(left, s3_client)
    body = s3_client.get_object(Bucket="shop-backups", Key=objects[0])["Body"]

    assert (done.values["stored"], done.values["removed"], names(logs)) == (1, 1, set())
    assert (len(objects), uploads) == (2, [])
    assert gzip.decompress(await asyncio.to_thread(body.read)) == written


async def test_a_limit_on_files_leaves_the_log_and_no_half_of_a_copy(
    logs: Path,
    tmp_path: Path,
    small_files: None,  # noqa: F811 - the fixture
) -> None:
    """While it is packed, and while it is staged; neither is a matter of rights."""
    with pytest.raises(Failed, match=r"as they were \(a\.log: File too large\).*ulimit -f"):
        await archive(HERE, logs, vault(tmp_path / "vault"), remove=True)
    assert names(logs) == {"a.log"}
    (logs / "a.log").rename(logs / "a.log.gz")
    with pytest.raises(Failed, match=r"may not become so large.*nothing that is packed was removed"):
        await archive(HERE, logs, vault(tmp_path / "vault"), remove=True)
    assert names(logs) == {"a.log.gz"}
    assert kept(tmp_path / "vault") == set()


async def test_a_full_disk_leaves_the_log_and_no_half_of_a_copy(
    logs: Path,
    tmp_path: Path,
    full_disk: Path,  # noqa: F811 - the fixture
) -> None:
    """On the host, where it is packed, and where the store is."""
    cramped = full_disk / "app"
    cramped.mkdir()
    (cramped / "b.log").write_bytes(os.urandom(3 * MEGABYTE))
    os.utime(cramped / "b.log", (0, 0))
    with pytest.raises(Failed, match=r"as they were \(b\.log: the disk is full.*Make room there") as caught:
        await archive(HERE, cramped, vault(tmp_path / "vault"), remove=True)
    assert "setfacl" not in str(caught.value)
    assert names(cramped) == {"b.log"}

    with pytest.raises(Failed, match=r"there is no room left.*nothing that is packed was removed"):
        await archive(HERE, logs, vault(full_disk / "vault"), remove=True)
    assert names(logs) == {"a.log.gz"}
    assert kept(full_disk / "vault") == kept(tmp_path / "vault") == set()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.timeout(120)
async def test_memory_does_not_grow_with_the_log(tmp_path: Path, s3_client: Any, s3_port: int) -> None:  # noqa: F811
    """300 MB, read from the host, encrypted, staged and uploaded, in a process whose peak is measured."""
    for name, size in (("small", 1), ("large", 300)):
        folder = tmp_path / "logs" / name
        folder.mkdir(parents=True)
        with (folder / "a.log.gz").open("wb") as file:
            piece = os.urandom(MEGABYTE)
            for _ in range(size):
                file.write(piece)
        os.utime(folder / "a.log.gz", (0, 0))
    program = [sys.executable, "-m", "tests.steps.archive_measured"]
    ended = await asyncio.to_thread(
        subprocess.run,
        [*program, tmp_path / "logs", tmp_path / "staging", str(s3_port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert ended.returncode == 0, ended.stderr
    grown, stored = map(int, ended.stdout.split())
    assert stored == 300 * MEGABYTE
    assert grown * 1024 < BOUND
