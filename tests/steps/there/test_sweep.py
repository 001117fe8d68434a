"""Sweeps that end in the middle: killed, without room, or where it cannot be seen who has a file open."""

import errno
import gzip
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks.steps.there import open_files, packing, sweep, sweep_listing
from runbooks.steps.there.telling import Teller

TEXT = "".join(f"{n}\n" for n in range(50_000))


def asked(folder: Path, **changes: Any) -> dict[str, Any]:
    """What such a step asks its program for."""
    return {
        "task": "pack",
        "folder": str(folder),
        "match": ["*.log"],
        "exclude": ["*.gz", ".maint-*"],
        "hold": [],
        "older_than": 86400.0,
        "by_use": False,
        "recursive": False,
        "preview": False,
        "only": None,
        "now": time.time(),
        **changes,
    }


def old(path: Path, text: str = TEXT) -> Path:
    """A file of long ago."""
    path.write_text(text)
    os.utime(path, (1, 1))
    return path


def names(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(each.name for each in folder.iterdir())


def in_child(work: Callable[[], Any]) -> int:
    """How a process ended that did this."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("module", "name", "before"),
    [
        (packing, "_write_packed", True),
        (packing, "_write_packed", False),
        (packing, "_unpacked_sum", False),
        (packing, "_dress", False),
        (packing.os, "link", True),
        (packing.os, "link", False),
        (packing.os, "unlink", True),
    ],
)
def test_a_kill_in_any_phase_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, before: bool
) -> None:
    """The original is there until its copy is; the next run ends what was begun."""
    path = old(tmp_path / "a.log")
    real = getattr(module, name)

    def dying(*arguments: Any, **named: Any) -> None:
        if not before:
            real(*arguments, **named)
        die()

    def work() -> None:
        monkeypatch.setattr(module, name, dying)
        sweep.main(asked(tmp_path), Teller())

    assert in_child(work) == signal.SIGKILL
    packed = tmp_path / "a.log.gz"
    assert path.read_text() == TEXT
    assert not packed.exists() or gzip.decompress(packed.read_bytes()).decode() == TEXT

    found = sweep.main(asked(tmp_path), Teller())

    assert found["files"] == 1
    assert names(tmp_path) == ["a.log.gz"]
    assert gzip.decompress(packed.read_bytes()).decode() == TEXT


def test_what_another_run_is_at_work_on_is_left(tmp_path: Path) -> None:
    """Its copy is locked; only what a dead one left is removed."""
    old(tmp_path / "a.log")
    (tmp_path / ".maint-0123456789abcdef.tmp").touch()
    with (tmp_path / ".maint-1123456789abcdef.tmp").open("w") as other:
        packing.fcntl.flock(other, packing.fcntl.LOCK_EX)
        sweep.main(asked(tmp_path), Teller())

    assert names(tmp_path) == [".maint-1123456789abcdef.tmp", "a.log.gz"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_original_and_no_half_copy(small_disk: Path) -> None:
    """It is said, and nothing further is tried."""
    noise = os.urandom(150_000).hex()[:150_000]
    for name in ("a.log", "b.log"):
        old(small_disk / name, noise[:110_000])

    found = sweep.main(asked(small_disk), Teller())

    assert found["files"] == 0
    assert found["failed"] == {"count": 1, "names": ["a.log: the disk is full; it is as it was"]}
    assert names(small_disk) == ["a.log", "b.log"]
    assert (small_disk / "a.log").read_text() == noise[:110_000]


def test_no_room_is_told_wherever_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems say it only when the copy is to be on the disk."""
    old(tmp_path / "a.log")

    def full(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(packing.os, "fsync", full)

    found = sweep.main(asked(tmp_path), Teller())

    assert found["failed"]["count"] == 1
    assert names(tmp_path) == ["a.log"]


def test_a_copy_that_does_not_unpack_to_the_same_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad disk, say: the original stays."""
    old(tmp_path / "a.log")
    monkeypatch.setattr(packing, "_unpacked_sum", lambda *_: b"")

    found = sweep.main(asked(tmp_path), Teller())

    assert "does not unpack" in found["failed"]["names"][0]
    assert names(tmp_path) == ["a.log"]


@pytest.mark.parametrize("task", ["pack", "remove"])
def test_what_is_written_to_at_the_last_moment_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Between the listing and the effect, and between the copy and the removal."""
    path = old(tmp_path / "a.log")
    late = packing._dress if task == "pack" else sweep._still
    home: Any = packing if task == "pack" else sweep

    def write_first(*arguments: Any) -> None:
        path.write_text("new\n")
        late(*arguments)

    monkeypatch.setattr(home, late.__name__, write_first)

    found = sweep.main(asked(tmp_path, task=task), Teller())

    assert found["left"]["names"] == ["a.log: it has changed meanwhile"]
    assert names(tmp_path) == ["a.log"]
    assert path.read_text() == "new\n"


def test_a_file_of_which_nobody_can_tell_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither /proc nor the kernel says who has it open: unknown is not closed."""
    old(tmp_path / "a.log")
    monkeypatch.setattr(open_files, "_lease", lambda _: open_files.UNKNOWN)
    monkeypatch.setattr(open_files, "_PROC", str(tmp_path / "none"))

    found = sweep.main(asked(tmp_path, task="remove"), Teller())

    assert (found["files"], found["unknown"]["names"], found["blind"]) == (0, ["a.log"], None)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_somebody_who_owns_neither_file_nor_machine_deletes_nothing(tmp_path: Path) -> None:
    """A folder that everybody may write to, and another user's file in it."""
    folder = Path(f"/tmp/maint-test-{os.getpid()}")  # every folder above must let them through
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        theirs, own = old(folder / "theirs.log"), old(folder / "own.log")
        os.chown(own, 65534, 65534)

        def work() -> None:
            os.setgid(65534)
            os.setuid(65534)
            found = sweep.main(asked(folder, task="remove"), Teller())
            assert found["unknown"]["names"] == ["theirs.log"]
            assert found["blind"] > 0

        assert in_child(work) == 0
        assert theirs.exists()
        assert not own.exists()
    finally:
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()


def test_leases_alone_tell_who_has_a_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, say, whose /proc does not know the others."""
    path = old(tmp_path / "a.log")
    monkeypatch.setattr(open_files, "_PROC", str(tmp_path / "none"))
    whose = open_files.OpenFiles()
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        closed = whose.look("a.log", folder)
        with path.open():
            opened = whose.look("a.log", folder)
    finally:
        os.close(folder)

    assert (closed, opened) == (open_files.CLOSED, open_files.OPEN)


def test_what_was_not_used_for_long_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of the three times of a file counts."""
    soon = time.time() + 2 * 86400
    monkeypatch.setattr(sweep_listing.time, "time", lambda: soon)
    (tmp_path / "below").mkdir()
    for name in ("a.log", "below/b.log", "read.log"):
        old(tmp_path / name)
    os.utime(tmp_path / "read.log", (soon, 1))

    sweep.main(asked(tmp_path, task="remove", by_use=True, recursive=True, now=soon), Teller())

    assert names(tmp_path) == ["below", "read.log"]
    assert names(tmp_path / "below") == []


def test_too_many_files_are_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads a list of that length."""
    monkeypatch.setattr(sweep_listing, "MOST", 2)
    for name in "abc":
        old(tmp_path / f"{name}.log")

    with pytest.raises(sweep_listing.Trouble, match="more than 2 files match"):
        sweep.main(asked(tmp_path), Teller())
    assert len(names(tmp_path)) == 3
