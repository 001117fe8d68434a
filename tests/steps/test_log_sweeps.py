"""`logs.prune`, `logs.archive` and `logs.tmp_clean` on real folders, here and behind a real sshd."""

import asyncio
import gzip
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.records.step_memory import Remembered
from runbooks.steps import ACTIONS
from runbooks.steps.action import Done, Failed, Risk
from runbooks.steps.reach import Connections, Reach
from runbooks.targets import HostTarget
from tests.steps.acting import HERE, a_call
from tests.steps.conftest import Sshd

over_ssh = [
    pytest.mark.debian("sshd"),
    pytest.mark.skipif(sys.platform != "linux", reason="the machine that is logged in to has /proc"),
]
DAY = 86400


@dataclass
class Notebook:
    """A memory for one test."""

    kept: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    async def remember(self, kind: str, target: str, name: str, value: Any) -> None:
        self.kept[kind, target, name] = value

    async def last(
        self, kind: str, target: str, name: str, before: datetime | None = None
    ) -> Remembered | None:
        value = self.kept.get((kind, target, name))
        return None if value is None else Remembered(datetime.now(UTC), value)

    async def recent(self, kind: str, target: str, name: str, limit: int) -> list[Remembered]:
        return []


@pytest.fixture(params=["here", pytest.param("ssh", marks=over_ssh)])
def host(request: pytest.FixtureRequest) -> HostTarget:
    """A host: this machine, and one over ssh."""
    if request.param == "here":
        return HERE
    sshd: Sshd = request.getfixturevalue("sshd")
    return sshd.target()


#: What goes only after it was shown.
DELETES = ("logs.prune", "logs.tmp_clean")


@pytest.fixture
def notebook() -> Notebook:
    """What the steps of a test remember."""
    return Notebook()


def old(path: Path, text: str = "line\n" * 200, days: float = 40) -> Path:
    """A file that was last written to so many days ago."""
    path.write_text(text)
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


async def sweep(
    kind: str, host: HostTarget, folder: Path, notebook: Notebook | None = None, **fields: Any
) -> Done:
    """Does what such a step says about *.log, older than 30 days; what deletes is shown before."""
    written = {"folder": str(folder), "match": ["*.log"], "older_than": "30d", **fields}
    notebook = notebook or Notebook()
    if kind in DELETES and not {"shown", "show_only"} & set(fields):
        shown = await sweep(kind, host, folder, notebook, **fields, show_only=True)
        written["shown"] = shown.values["shown"]
    action = ACTIONS[kind].model_validate({"target": host.name, **written})
    async with Connections() as connections:
        call = replace(a_call(connections, host), memory=notebook)
        return await action.act(host, call)


@contextmanager
def held_open(path: Path, mode: str = "a") -> Iterator[None]:
    """Another process has the file open."""
    script = f"import sys; f = open(sys.argv[1], {mode!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        assert process.stdin is not None
        process.stdin.close()


def names(folder: Path) -> set[str]:
    """What is in the folder."""
    return {str(each.relative_to(folder)) for each in folder.rglob("*")}


async def test_old_files_are_deleted_and_young_ones_are_not(host: HostTarget, tmp_path: Path) -> None:
    """By their name and age, with their number and bytes."""
    old(tmp_path / "a.log")
    old(tmp_path / "b.txt")
    old(tmp_path / "c.log", days=29)

    done = await sweep("logs.prune", host, tmp_path)

    assert names(tmp_path) == {"b.txt", "c.log"}
    assert (done.values["files"], done.values["bytes"], done.values["freed_bytes"]) == (1, 1000, 1000)
    assert done.summary == "1 files, 1,000 B deleted"
    assert "a.log" in done.output


async def test_a_preview_touches_nothing(host: HostTarget, tmp_path: Path) -> None:
    """It says how many files and bytes, and which."""
    old(tmp_path / "a.log")

    done = await sweep("logs.prune", host, tmp_path, show_only=True)

    assert names(tmp_path) == {"a.log"}
    assert done.summary == "1 files, 1,000 B would be deleted"
    assert str(done.values["shown"]).startswith("1 files, 1000 bytes, ")


async def test_only_what_was_shown_is_deleted(host: HostTarget, tmp_path: Path, notebook: Notebook) -> None:
    """What came, and what changed, after the preview stays; what was only renamed is what was shown."""
    for name in ("kept.log", "changed.log", "moved.log"):
        old(tmp_path / name)
    shown = (await sweep("logs.prune", host, tmp_path, notebook, show_only=True)).values["shown"]
    old(tmp_path / "new.log")
    old(tmp_path / "changed.log", "other\n")
    (tmp_path / "moved.log").rename(tmp_path / "moved-1.log")

    done = await sweep("logs.prune", host, tmp_path, notebook, shown=shown)

    assert names(tmp_path) == {"new.log", "changed.log"}
    assert "2 left, as they were not shown or have changed" in done.summary


async def test_what_nobody_was_shown_is_not_deleted(host: HostTarget, tmp_path: Path) -> None:
    """A preview of another step, or one that is forgotten, gives no leave."""
    old(tmp_path / "a.log")

    with pytest.raises(StepError, match="nobody knows what was shown"):
        await sweep("logs.prune", host, tmp_path, shown="1 files, 1000 bytes, 0123456789ab")
    assert names(tmp_path) == {"a.log"}


@pytest.mark.parametrize("mode", ["a", "r"])
@pytest.mark.parametrize("kind", ["logs.prune", "logs.archive"])
async def test_a_file_that_a_process_has_open_is_left(
    host: HostTarget, tmp_path: Path, kind: str, mode: str
) -> None:
    """Whether it writes or reads, and although it was shown when nobody had it open."""
    old(tmp_path / "a.log")
    notebook = Notebook()
    shown = await sweep(kind, host, tmp_path, notebook, show_only=True)

    with held_open(tmp_path / "a.log", mode):
        done = await sweep(kind, host, tmp_path, notebook, shown=shown.values["shown"])

    assert names(tmp_path) == {"a.log"}
    assert done.values["open"] == 1


async def test_names_with_spaces_newlines_and_no_utf_8_are_names(host: HostTarget, tmp_path: Path) -> None:
    """They are deleted as any other, and shown with escapes."""
    for name in (b"a b.log", b"new\nline.log", b"-rf.log", b"\xff\xfe.log", b"$(id).log"):
        path = os.fsencode(tmp_path) + b"/" + name
        os.close(os.open(path, os.O_CREAT))
        os.utime(path, (0, 0))

    done = await sweep("logs.prune", host, tmp_path)

    assert names(tmp_path) == set()
    assert r"new\nline.log" in done.output
    assert r"\udcff\udcfe.log" in done.output


async def test_such_names_are_packed_too(host: HostTarget, tmp_path: Path) -> None:
    """The copy has the same name, whatever is in it."""
    path = os.fsencode(tmp_path) + b"/new\nline \xff.log"
    os.close(os.open(path, os.O_CREAT))
    os.utime(path, (0, 0))

    await sweep("logs.archive", host, tmp_path)

    assert [os.fsencode(each) for each in names(tmp_path)] == [b"new\nline \xff.log.gz"]


async def test_no_symbolic_link_is_followed(host: HostTarget, tmp_path: Path) -> None:
    """Neither to a file, nor to a folder, nor as the folder itself."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        folder.mkdir()
    old(outside / "a.log")
    (inside / "a.log").symlink_to(outside / "a.log")
    (inside / "below").symlink_to(outside)
    (tmp_path / "link").symlink_to(outside)

    done = await sweep("logs.prune", host, inside, recursive=True)
    with pytest.raises(Failed, match="is no folder, or a symbolic link"):
        await sweep("logs.prune", host, tmp_path / "link")

    assert done.values["files"] == 0
    assert names(outside) == {"a.log"}
    assert names(inside) == {"a.log", "below"}


async def test_a_hold_keeps_files_whatever_their_age(host: HostTarget, tmp_path: Path) -> None:
    """By a pattern in the step, and by a file in the folder, for all that is below it."""
    for name in ("a.log", "case-7.log"):
        old(tmp_path / name)
    for folder in ("held", "held/below", "free"):
        (tmp_path / folder).mkdir()
        old(tmp_path / folder / "x.log")
    (tmp_path / "held" / ".maint-hold").touch()

    done = await sweep("logs.prune", host, tmp_path, recursive=True, hold=["case-*"])

    assert names(tmp_path) == {
        *("case-7.log", "held", "held/.maint-hold", "held/below", "held/below/x.log", "held/x.log", "free"),
    }
    assert done.values["held"] == 2


async def test_folders_below_are_looked_into_only_where_asked(host: HostTarget, tmp_path: Path) -> None:
    """And not those that are excluded."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        old(tmp_path / folder / "a.log")

    assert (await sweep("logs.prune", host, tmp_path)).values["files"] == 0
    assert (await sweep("logs.prune", host, tmp_path, recursive=True, exclude=["two"])).values["files"] == 1
    assert names(tmp_path) == {"one", "two", "two/a.log"}


async def test_temporary_files_that_were_read_lately_stay(host: HostTarget, tmp_path: Path) -> None:
    """As systemd-tmpfiles: what was read, written to or changed within the time is in use."""
    path = old(tmp_path / "a.log")

    done = await sweep("logs.tmp_clean", host, tmp_path)

    # Its inode was changed just now, by the test.
    assert done.values["files"] == 0
    assert path.exists()


async def test_a_packed_file_unpacks_to_the_same(host: HostTarget, tmp_path: Path) -> None:
    """With its time and rights; what is packed already is left."""
    path = old(tmp_path / "a.log", "line\n" * 100_000)
    path.chmod(0o640)
    was = path.stat()
    old(tmp_path / "b.log.gz")

    done = await sweep("logs.archive", host, tmp_path, match=["*.log", "*.gz"])

    packed = tmp_path / "a.log.gz"
    assert names(tmp_path) == {"a.log.gz", "b.log.gz"}
    assert gzip.decompress(packed.read_bytes()) == b"line\n" * 100_000
    assert (packed.stat().st_mtime_ns, packed.stat().st_mode) == (was.st_mtime_ns, was.st_mode)
    assert done.values["freed_bytes"] == 500_000 - packed.stat().st_size


async def test_a_copy_under_the_name_is_never_overwritten(host: HostTarget, tmp_path: Path) -> None:
    """Another one keeps the original; the same one is that of a run that was killed."""
    old(tmp_path / "a.log", "one\n")
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"two\n"))
    old(tmp_path / "b.log", "one\n")
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(b"one\n"))
    (tmp_path / ".maint-0123456789abcdef.tmp").write_text("half")

    with pytest.raises(Failed, match=r"1 files .* are as they were \(a\.log: there is another a\.log\.gz\)"):
        await sweep("logs.archive", host, tmp_path)

    assert names(tmp_path) == {"a.log", "a.log.gz", "b.log.gz"}
    assert gzip.decompress((tmp_path / "a.log.gz").read_bytes()) == b"two\n"


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Path]:
    """A folder with an old file that nobody may change, not even root."""
    folder = tmp_path / "frozen"
    folder.mkdir()
    old(folder / "a.log")
    folder.chmod(0o500)
    if (
        os.getuid() == 0
        and subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode
    ):
        pytest.skip("root may write anywhere here")
    yield folder
    subprocess.run(["chattr", "-i", folder], capture_output=True, check=False)
    folder.chmod(0o700)


async def test_a_folder_that_cannot_be_written_to_says_what_it_takes(frozen: Path) -> None:
    """As another user's folder would."""
    with pytest.raises(Failed, match=r"(Operation not permitted|Permission denied).*setfacl"):
        await sweep("logs.prune", HERE, frozen)

    assert names(frozen) == {"a.log"}


async def test_a_clock_that_is_wrong_deletes_nothing(tmp_path: Path) -> None:
    """How old a file is, is not known then."""
    old(tmp_path / "a.log")
    action = ACTIONS["logs.archive"].model_validate(
        {"target": "here", "folder": str(tmp_path), "match": ["*"], "older_than": "30d"}
    )
    async with Connections() as connections:
        call = replace(a_call(connections, HERE), now=lambda: datetime.now(UTC) - timedelta(days=400))
        with pytest.raises(Failed, match="the clock there is"):
            await action.act(HERE, call)

    assert names(tmp_path) == {"a.log"}


@pytest.mark.parametrize(
    "fields",
    [
        {"folder": "/"},
        {"folder": "/etc"},
        {"folder": "var/log"},
        {"folder": "/var/log/../../etc"},
        {"older_than": "10m"},
        {"match": []},
        {"match": ["/etc/*"]},
    ],
)
def test_a_rule_about_the_system_itself_is_refused(fields: dict[str, Any]) -> None:
    """When it is read, before anything is done."""
    good = {"target": "here", "folder": "/var/log/app", "match": ["*.log"], "older_than": "30d", "shown": "x"}
    ACTIONS["logs.prune"].model_validate(good)

    with pytest.raises(ValidationError):
        ACTIONS["logs.prune"].model_validate({**good, **fields})


@pytest.mark.parametrize("kind", DELETES)
def test_nothing_is_deleted_that_was_not_shown(kind: str) -> None:
    """A step without a preview is refused when it is read."""
    fields = {"target": "here", "folder": "/var/log/app", "match": ["*.log"], "older_than": "30d"}

    with pytest.raises(ValidationError, match="nothing is deleted that was not shown"):
        ACTIONS[kind].model_validate(fields)


def test_a_preview_only_looks() -> None:
    """Its risk is `read`, so that whoever may look may see what would be done."""
    fields = {
        "target": "here",
        "folder": "/var/log/app",
        "match": ["*.log"],
        "older_than": "30d",
        "shown": "x",
    }
    risks = {
        (kind, preview): ACTIONS[kind].model_validate({**fields, "show_only": preview}).risk
        for kind in ("logs.prune", "logs.archive")
        for preview in (True, False)
    }

    assert risks == {
        ("logs.prune", True): Risk.READ,
        ("logs.prune", False): Risk.MEDIUM,
        ("logs.archive", True): Risk.READ,
        ("logs.archive", False): Risk.LOW,
    }


async def test_a_cancelled_sweep_ends_at_once(tmp_path: Path) -> None:
    """The program is gone, and every original is there or has a whole copy."""
    for number in range(30):
        old(tmp_path / f"{number}.log", f"{number}\n" * 300_000)
    task = asyncio.create_task(sweep("logs.archive", HERE, tmp_path))
    while not any(each.endswith(".gz") for each in names(tmp_path)):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await sweep("logs.archive", HERE, tmp_path)

    for number in range(30):
        packed = (tmp_path / f"{number}.log.gz").read_bytes()
        assert gzip.decompress(packed) == f"{number}\n".encode() * 300_000
    assert names(tmp_path) == {f"{number}.log.gz" for number in range(30)}


async def test_a_plan_shows_what_it_would_be_now(host: HostTarget, tmp_path: Path) -> None:
    """Files, bytes and names, measured when people ask; nothing is touched."""
    old(tmp_path / "a.log")
    action = ACTIONS["logs.prune"].model_validate(
        {
            "target": host.name,
            "folder": str(tmp_path),
            "match": ["*.log"],
            "older_than": "30d",
            "show_only": True,
        }
    )
    async with Connections() as connections:
        preview = await action.foresee(host, Reach(targets={host.name: host}, connections=connections))

    assert preview is not None
    assert preview.lines[0] == "now 1 files, 1,000 B"
    assert preview.lines[1].endswith("a.log")
    assert names(tmp_path) == {"a.log"}
