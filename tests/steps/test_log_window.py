"""Which files, and which part of them, lie in the window of a log."""

import asyncio
import gzip
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import log_window
from runbooks.steps.log_formats import make_format
from runbooks.steps.logs import LogErrors
from runbooks.steps.machine import Files, FileState, ThisMachine
from runbooks.steps.reach import Reach
from runbooks.targets import LogsTarget
from tests.steps.app_log import NOW, Count, line, write, write_raw
from tests.steps.conftest import Sshd


@pytest.mark.parametrize(
    "name",
    [
        "app.log.1",
        "app.log-20261121",
        "app.log.2026-11-21_08",
        "app-20261121.log",
        "app.log-20261121-1795251600",
    ],
)
async def test_a_rotated_file_in_the_window_counts(count: Count, log: Path, name: str) -> None:
    """Files are found under the names that logrotate and logging give them."""
    write(log, line(5))
    write(log.with_name(name), line(70), line(30), minutes_ago=29)

    assert (await count()).values["errors"] == 2


async def test_a_gzipped_file_in_the_window_counts(count: Count, log: Path) -> None:
    """A packed file is unpacked as it is read."""
    write(log, line(5))
    write(log.with_name("app.log.1"), line(20), minutes_ago=19)
    write(log.with_name("app.log.2.gz"), line(70), line(50), minutes_ago=49)

    assert (await count()).values["errors"] == 3


async def test_joined_and_padded_gzip_is_read_whole(count: Count, log: Path) -> None:
    """gzip files may be joined, and end in zeros."""
    write(log)
    joined = gzip.compress(line(50).encode()) + gzip.compress(line(40).encode()) + b"\0" * 10
    write_raw(log.with_name("app.log.1.gz"), joined)

    assert (await count()).values["errors"] == 2


async def test_a_file_that_is_being_packed_counts_once(count: Count, log: Path) -> None:
    """While gzip works there are both the file and its unfinished packed twin."""
    write(log)
    write(log.with_name("app.log.1"), line(20), minutes_ago=19)
    write(log.with_name("app.log.1.gz"), line(20), minutes_ago=1)

    assert (await count()).values["errors"] == 1


async def test_files_that_were_rotated_before_the_window_are_left_alone(count: Count, log: Path) -> None:
    """A file that nobody wrote to since is not even opened: this one could not be read."""
    write(log, line(5))
    write_raw(log.with_name("app.log.3.gz"), b"no gzip", minutes_ago=300)

    assert (await count()).values["errors"] == 1


@pytest.mark.parametrize("name", ["app.logs", "other.log.1", "app.log.bak", "app-2.log", "app.log.1.swp"])
async def test_other_files_are_left_alone(count: Count, log: Path, name: str) -> None:
    """Only rotated files of this very log count."""
    write(log, line(5))
    write(log.with_name(name), line(5))

    assert (await count()).values["errors"] == 1


async def test_a_damaged_gzip_is_an_error(count: Count, log: Path) -> None:
    """A packed file that ends too early makes the count unknown, not too low."""
    write(log)
    write_raw(log.with_name("app.log.1.gz"), gzip.compress(os.urandom(1000))[:-100])

    with pytest.raises(StepError, match=r"app.log.1.gz is damaged, or not written to its end"):
        await count()


async def test_a_file_packed_in_another_way_is_a_warning(count: Count, log: Path) -> None:
    """What lies in the window and cannot be unpacked is said."""
    write(log, line(5))
    write(log.with_name("app.log.1.zst"), "?", minutes_ago=5)

    measured = await count()

    assert [(status, text.rpartition("/")[2]) for status, text in measured.findings] == [
        (Status.WARNING, "app.log.1.zst lies in the window and was not read: only gzip can be")
    ]


@pytest.mark.parametrize(("minutes", "expected"), [(1, 167), (30, 5000), (600, 100_000)])
async def test_every_error_of_the_window_in_a_big_log_counts(
    count: Count, big_log: Path, minutes: int, expected: int
) -> None:
    """However far from the end the window starts, its start is found to the second."""
    measured = await count(f"{minutes}m")

    assert abs(float(str(measured.values["errors"])) - expected) <= 3  # 167 a minute, written to the second


async def test_little_more_than_the_window_of_a_big_log_is_read(big_log: Path) -> None:
    """The start of the window is searched, not read up to."""
    target = LogsTarget(type="logs", path=str(big_log), format="python")
    since = (NOW - timedelta(minutes=1)).timestamp()

    async with ThisMachine().files() as files:
        window = await log_window.read_window(files, str(big_log), make_format(target, NOW), since)

    assert window.tally.lines < 20_000


async def test_a_cancelled_count_stops(count: Count, big_log: Path) -> None:
    """Cancelling in the middle of a big log ends the reading within a piece of it."""
    step = asyncio.ensure_future(count("600m"))
    await asyncio.sleep(0.05)

    step.cancel()
    done, _ = await asyncio.wait({step}, timeout=0.5)

    assert done == {step}
    assert step.cancelled()


async def test_a_window_that_is_too_long_is_cut(
    count: Count, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the limit of bytes the newest lines count, and the summary says that it was cut."""
    monkeypatch.setattr(log_window, "MOST_BYTES", 1000)
    write(log, *[line(5)] * 100)
    write(log.with_name("app.log.1.gz"), *[line(20)] * 100, minutes_ago=19)

    measured = await count()

    assert measured.values["errors"] == 1000 // len(line(5))
    assert "of the window were read" in measured.summary


async def test_a_gzip_bomb_is_cut_too(count: Count, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packed file is unpacked only up to the limit."""
    monkeypatch.setattr(log_window, "MOST_BYTES", 3 * log_window.PIECE)
    write(log, line(5))
    write(log.with_name("app.log.1.gz"), line(6), "x" * 50_000_000, minutes_ago=5)

    measured = await count()

    assert (measured.values["errors"], measured.values["unreadable"]) == (2, 1)
    assert "of the window were read" in measured.summary


def rotate(log: Path) -> None:
    """What logrotate does: the log gets another name, and a new one begins."""
    log.rename(log.with_name("app.log.1"))
    write(log, line(1, "INFO app: new file"))


async def test_a_log_that_rotates_while_it_is_looked_up_counts_once(log: Path) -> None:
    """When a name comes to mean another file between listing and opening, it is looked up again.

    The rotation happens in a `Files` that wraps the real one: no real one would rotate at that moment.
    """
    write(log, line(5))

    class Rotating:
        turns = 0

        def __init__(self, files: Files) -> None:
            self.state, self.open, self._files = files.state, files.open, files

        async def folder(self, path: str) -> list[FileState]:
            found = await self._files.folder(path)
            if self.turns == 0:
                rotate(log)
            self.turns += 1
            return found

    target = LogsTarget(type="logs", path=str(log), format="python")
    since = (NOW - timedelta(hours=1)).timestamp()
    async with ThisMachine().files() as files:
        window = await log_window.read_window(Rotating(files), str(log), make_format(target, NOW), since)

    assert (window.tally.errors, window.tally.records, window.files) == (1, 2, 2)


@pytest.mark.debian("sshd")
async def test_a_big_log_over_ssh_is_searched_as_here(sshd: Sshd, reach: Reach, big_log: Path) -> None:
    """The search for the window's start works over ssh too."""
    remote = replace(reach, targets={"remote": sshd.target()}, now=lambda: NOW)
    target = LogsTarget(type="logs", path=str(big_log), format="python", host="remote")

    measured = await LogErrors.model_validate({"window": "30m"}).measure(target, remote)

    assert abs(float(str(measured.values["errors"])) - 5000) <= 3
