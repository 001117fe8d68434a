"""`logs.archive` with `to:`: from real folders, here and behind a real sshd, into a folder and an S3."""

import asyncio
import gzip
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.backups import s3
from runbooks.backups.encryption import decrypted
from runbooks.backups.folder import FolderPlace
from runbooks.backups.place import PlaceError
from runbooks.backups.s3 import S3Options
from runbooks.steps import ACTIONS
from runbooks.steps.action import Done, Failed, Risk
from runbooks.steps.reach import Connections, Reach
from runbooks.targets import BackupsTarget, HostTarget
from tests.backups.conftest import s3_client, s3_options, s3_port  # noqa: F401 - fixtures
from tests.steps.acting import HERE, a_call
from tests.steps.backup_world import vault
from tests.steps.test_log_sweeps import Notebook, held_open, host, names, old  # noqa: F401 - a fixture


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of logs."""
    folder = tmp_path / "app"
    folder.mkdir()
    return folder


@pytest.fixture
def both(s3_options: S3Options, tmp_path: Path) -> BackupsTarget:  # noqa: F811 - the fixture
    """A store that is a folder and a bucket."""
    return vault(tmp_path / "vault", s3=bucket(s3_options))


def bucket(options: S3Options, **changes: Any) -> dict[str, Any]:
    """The bucket, as it is written in the settings."""
    fields = {
        "bucket": options.bucket,
        "prefix": options.prefix,
        "endpoint": options.endpoint,
        "region": options.region,
        "access_key": options.key_id,
        "secret_key": options.secret,
    }
    return fields | changes


async def archive(
    host: HostTarget,  # noqa: F811 - the fixture
    folder: Path,
    store: BackupsTarget,
    notebook: Notebook | None = None,
    **fields: Any,
) -> Done:
    """Packs and stores *.log, older than 30 days."""
    written = {"folder": str(folder), "match": ["*.log"], "older_than": "30d", "to": store.name, **fields}
    action = ACTIONS["logs.archive"].model_validate({"target": host.name, **written})
    async with Connections() as connections:
        call = replace(
            a_call(connections, host),
            targets={host.name: host, store.name: store},
            memory=notebook or Notebook(),
        )
        return await action.act(host, call)


def kept(folder: Path) -> set[str]:
    """The files that are in a store's folder, whatever folders they are in."""
    return {each.name for each in folder.rglob("*") if each.is_file()}


async def test_what_is_packed_is_stored_in_every_place(
    host: HostTarget,  # noqa: F811
    logs: Path,
    both: BackupsTarget,
    s3_client: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Under a name of host, folder and file, with its checksum; and it stays where it was."""
    old(logs / "a.log", "line\n" * 500_000)

    done = await archive(host, logs, both)

    packed = (logs / "a.log.gz").read_bytes()
    name = f"logs/{host.name}{logs}/a.log.gz"
    manifest = json.loads((tmp_path / "vault" / f"{name}.json").read_bytes())
    assert names(logs) == {"a.log.gz"}
    assert (tmp_path / "vault" / name).read_bytes() == packed
    assert s3_client.get_object(Bucket="shop-backups", Key=f"db-backups/{name}")["Body"].read() == packed
    assert manifest["content_sha256"] == manifest["sha256"] == hashlib.sha256(packed).hexdigest()
    assert kept(tmp_path / "vault") == {"a.log.gz", "a.log.gz.json"}
    assert (done.values["stored"], done.values["stored_bytes"], done.values["removed"]) == (1, len(packed), 0)
    assert "1 stored in vault" in done.summary


async def test_a_repetition_stores_nothing_twice_and_removes_what_is_proven(
    host: HostTarget,  # noqa: F811
    logs: Path,
    both: BackupsTarget,
    tmp_path: Path,
) -> None:
    """The second run finds it there by its checksum."""
    old(logs / "a.log")
    await archive(host, logs, both)
    stored = next((tmp_path / "vault").rglob("a.log.gz"))
    before = stored.stat().st_mtime_ns

    again = await archive(host, logs, both, remove=True)

    assert (again.values["stored"], again.values["stored_before"], again.values["removed"]) == (0, 1, 1)
    assert names(logs) == set()
    assert stored.stat().st_mtime_ns == before
    assert again.values["freed_bytes"] == stored.stat().st_size


async def test_any_bytes_in_a_name_make_a_name_of_their_own(
    host: HostTarget,  # noqa: F811
    logs: Path,
    tmp_path: Path,
) -> None:
    """Also where they lie in folders below; none leads out of the store."""
    below = os.fsencode(logs) + b"/..\xff"
    await asyncio.to_thread(Path(os.fsdecode(below)).mkdir)
    for number, name in enumerate(
        [b"new\nline.log", b"\xff\xfe.log", b"-rf.log", b".hid.log", b"~a%2E.log", b"\xff" * 240 + b".log"]
    ):
        for folder in (os.fsencode(logs), below):
            path = folder + b"/" + name
            old(Path(os.fsdecode(path)), f"{number}{len(folder)}")

    done = await archive(host, logs, vault(tmp_path / "vault"), recursive=True, remove=True)

    root = tmp_path / "vault" / "logs" / host.name
    found = [each for each in root.rglob("*") if each.name.endswith(".gz")]
    assert (done.values["stored"], done.values["removed"]) == (12, 12)
    assert len({gzip.decompress(each.read_bytes()) for each in found}) == len(found) == 12
    assert all(str(each).isascii() and not each.name.startswith(".") for each in found)


async def test_another_file_of_the_same_name_is_not_replaced(logs: Path, tmp_path: Path) -> None:
    """It gets its checksum into its name."""
    store = vault(tmp_path / "vault")
    old(logs / "a.log", "one\n")
    await archive(HERE, logs, store, remove=True)
    old(logs / "a.log", "two\n")

    await archive(HERE, logs, store, remove=True)
    again = await archive(HERE, logs, store, remove=True)

    found = list((tmp_path / "vault").rglob("*.gz"))
    assert {gzip.decompress(each.read_bytes()) for each in found} == {b"one\n", b"two\n"}
    assert again.values["stored"] == 0


async def test_a_stored_file_that_was_damaged_is_stored_anew(logs: Path, tmp_path: Path) -> None:
    """What does not have its checksum is no proof: the one here is not removed for it."""
    store = vault(tmp_path / "vault")
    old(logs / "a.log")
    await archive(HERE, logs, store)
    stored = next((tmp_path / "vault").rglob("a.log.gz"))
    stored.write_bytes(b"broken")

    again = await archive(HERE, logs, store, remove=True)

    assert again.values["stored"] == 1
    assert gzip.decompress(stored.read_bytes()) == b"line\n" * 200


async def test_a_broken_upload_leaves_the_file_and_no_temporary_ones(
    host: HostTarget,  # noqa: F811
    logs: Path,
    both: BackupsTarget,
    s3_client: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    """It is packed, it is here, the error names the place; the next run goes on where it ended."""
    old(logs / "a.log")
    s3_client.delete_bucket(Bucket="shop-backups")

    with pytest.raises(Failed, match=r"S3 says NoSuchBucket.*nothing that is packed was removed"):
        await archive(host, logs, both, remove=True)

    assert names(logs) == {"a.log.gz"}
    assert {each for each in kept(tmp_path / "vault") if each.endswith(".part")} == set()
    s3_client.create_bucket(Bucket="shop-backups")
    done = await archive(host, logs, both, remove=True)
    assert (done.values["stored"], done.values["removed"]) == (1, 1)
    assert names(logs) == set()


async def test_what_a_killed_run_left_is_removed(logs: Path, tmp_path: Path) -> None:
    """A part that nobody holds is nobody's."""
    old(logs / "a.log")
    left = tmp_path / "vault" / "logs" / "here" / str(logs)[1:] / ".other.gz.part"
    left.parent.mkdir(parents=True)
    left.write_text("half")

    await archive(HERE, logs, vault(tmp_path / "vault"))

    assert kept(tmp_path / "vault") == {"a.log.gz", "a.log.gz.json"}


async def test_a_store_that_lies_is_not_believed(
    logs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was stored is looked at again before the file here may go."""
    old(logs / "a.log")

    def put(place: FolderPlace, _file: Path, name: str, _sum: str, manifest: bytes, _progress: Any) -> None:
        (place.folder / name).write_bytes(b"half")
        (place.folder / f"{name}.json").write_bytes(manifest)

    monkeypatch.setattr(FolderPlace, "put", put)

    with pytest.raises(Failed, match="is not what was stored there"):
        await archive(HERE, logs, vault(tmp_path / "vault"), remove=True)
    assert names(logs) == {"a.log.gz"}


async def test_a_full_disk_leaves_the_file(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program there comes to its end, and what was begun here is removed."""
    (logs / "a.log").write_bytes(os.urandom(5_000_000))
    os.utime(logs / "a.log", (0, 0))

    def write(_part: Any, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runbooks.backups.part.Part.write", write)

    with pytest.raises(Failed, match="there is no room left"):
        await archive(HERE, logs, vault(tmp_path / "vault"), remove=True)
    assert names(logs) == {"a.log.gz"}
    assert kept(tmp_path / "vault") == set()


async def test_a_cancelled_upload_leaves_the_file_and_no_part(
    logs: Path,
    s3_options: S3Options,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither here nor in the bucket."""
    old(logs / "a.log")
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def upload(_place: Any, _file: Path, _key: str, _extra: Any, progress: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        while True:
            progress(1)

    monkeypatch.setattr(s3.S3Place, "_upload", upload)
    store = vault(None, s3=bucket(s3_options), staging=str(tmp_path / "staging"))
    task = asyncio.create_task(archive(HERE, logs, store, remove=True))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert names(logs) == {"a.log.gz"}
    assert kept(tmp_path / "staging") == set()


async def test_with_a_key_nobody_else_reads_it(logs: Path, tmp_path: Path) -> None:
    """It is encrypted before it is stored, and found again by what is in it."""
    key = "a key of at least 32 characters, for this test"
    store = vault(tmp_path / "vault", key=key)
    old(logs / "a.log", "secret\n")

    await archive(HERE, logs, store)
    again = await archive(HERE, logs, store)

    stored = next((tmp_path / "vault").rglob("a.log.gz.enc"))
    with stored.open("rb") as file:
        assert gzip.decompress(b"".join(decrypted(file, [key]))) == b"secret\n"
    assert again.values["stored_before"] == 1


async def test_only_what_was_shown_is_packed_stored_and_removed(
    host: HostTarget,  # noqa: F811
    logs: Path,
    tmp_path: Path,
) -> None:
    """A preview lists what is to be packed and what is packed already; what came later stays."""
    store, notebook = vault(tmp_path / "vault"), Notebook()
    old(logs / "a.log")
    (logs / "b.log.gz").write_bytes(gzip.compress(b"b\n"))
    os.utime(logs / "b.log.gz", (0, 0))
    shown = await archive(host, logs, store, notebook, show_only=True)
    assert "1 packed files" in shown.summary
    assert not (tmp_path / "vault").exists()
    (logs / "c.log.gz").write_bytes(gzip.compress(b"c\n"))
    os.utime(logs / "c.log.gz", (0, 0))
    old(logs / "d.log")

    done = await archive(host, logs, store, notebook, shown=shown.values["shown"], remove=True)

    assert names(logs) == {"c.log.gz", "d.log"}
    assert (done.values["stored"], done.values["removed"]) == (2, 2)


async def test_a_packed_file_that_is_open_or_held_is_left(
    host: HostTarget,  # noqa: F811
    logs: Path,
    tmp_path: Path,
) -> None:
    """As every sweep does."""
    for name in ("a.log.gz", "case-7.log.gz"):
        (logs / name).write_bytes(gzip.compress(b"x\n"))
        os.utime(logs / name, (0, 0))

    with held_open(logs / "a.log.gz", "r"):
        done = await archive(host, logs, vault(tmp_path / "vault"), remove=True, hold=["case-*"])

    assert names(logs) == {"a.log.gz", "case-7.log.gz"}
    assert done.values["stored"] == 0


async def test_a_plan_says_where_it_goes(logs: Path, tmp_path: Path) -> None:
    """The store, the folder in it, and what becomes of the file here."""
    action = ACTIONS["logs.archive"].model_validate(
        {"target": "here", "folder": str(logs), "match": ["*.log"], "older_than": "30d", "to": "vault"}
    )
    store = vault(tmp_path / "vault")
    async with Connections() as connections:
        reach = Reach(targets={"here": HERE, "vault": store}, connections=connections)
        preview = await action.foresee(HERE, reach)

    lines = action.lines(HERE)
    assert f"puts what is packed into vault, under logs/here{logs}, unless it is there already" in lines
    assert "the packed file stays here too" in lines
    assert preview is not None
    assert preview.lines[0] == f"what is packed goes to vault ({tmp_path / 'vault'})"


def test_nothing_is_removed_that_would_be_nowhere() -> None:
    """`remove` takes a `to`, and is more than what is easily put right."""
    fields = {"target": "here", "folder": "/srv/app/log", "match": ["*.log"], "older_than": "1d"}

    with pytest.raises(ValidationError, match="would be nowhere"):
        ACTIONS["logs.archive"].model_validate({**fields, "remove": True})
    action = ACTIONS["logs.archive"].model_validate({**fields, "to": "vault", "remove": True})
    assert action.risk is Risk.MEDIUM


async def test_a_bucket_without_its_object_has_nothing(s3_options: S3Options) -> None:  # noqa: F811
    """And one that is not there at all is an error where it counts: when something is stored."""
    place = s3.S3Place(s3_options)

    assert await asyncio.to_thread(place.manifest, "logs/x.gz") is None
    wrong = s3.S3Place(replace(s3_options, endpoint="http://127.0.0.1:1"))
    with pytest.raises(PlaceError, match="cannot be reached"):
        await asyncio.to_thread(wrong.manifest, "logs/x.gz")
