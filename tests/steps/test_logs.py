"""`logs.errors` on real files, here and over ssh."""

import asyncio
import gzip
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import log_window
from runbooks.steps.log_formats import make_format
from runbooks.steps.logs import LogErrors
from runbooks.steps.machine import Files, FileState, ThisMachine
from runbooks.steps.reach import Reach
from runbooks.steps.step import Measured
from runbooks.targets import HostTarget, LogsTarget
from tests.steps.conftest import Sshd

#: Measures the log: its window, and settings of its target.
Count = Callable[..., Awaitable[Measured]]

NOW = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)


def line(minutes_ago: float, text: str = "ERROR app: it broke") -> str:
    """A line of Python's logging, so long ago."""
    return f"{NOW - timedelta(minutes=minutes_ago):%Y-%m-%d %H:%M:%S},000 {text}\n"


def write(path: Path, *lines: str, minutes_ago: float = 0) -> None:
    """A log of those lines, last written to so long ago; gzipped when its name says so."""
    data = "".join(lines).encode()
    write_raw(path, gzip.compress(data) if path.suffix == ".gz" else data, minutes_ago)


def write_raw(path: Path, data: bytes, minutes_ago: float = 0) -> None:
    """A file of those bytes, last written to so long ago."""
    path.write_bytes(data)
    written = (NOW - timedelta(minutes=minutes_ago)).timestamp()
    os.utime(path, (written, written))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "app.log"


@pytest.fixture
def count(reach: Reach, log: Path) -> Count:
    """Measures that log at NOW."""

    async def measure(window: str = "1h", **target: object) -> Measured:
        settings = {"type": "logs", "name": "app", "path": str(log), "format": "python", **target}
        check = LogErrors.model_validate({"window": window})
        return await check.measure(LogsTarget.model_validate(settings), replace(reach, now=lambda: NOW))

    return measure


async def test_errors_of_the_window_are_counted(count: Count, log: Path) -> None:
    """Errors older than the window and lines that are no errors do not count."""
    write(log, line(90), line(50), line(40, "INFO app: fine"), line(10, "CRITICAL app: worse"))

    measured = await count()

    assert measured.values == {
        "errors": 2,
        "total": None,
        "rate_percent": None,
        "per_minute": 2 / 60,
        "signatures": 2,
        "unreadable": 0,
    }


async def test_the_window_is_a_setting(count: Count, log: Path) -> None:
    """A longer window counts what is older."""
    write(log, line(90), line(50))

    assert (await count("2h")).values["errors"] == 2
    assert (await count("10m")).values["errors"] == 0


async def test_an_access_log_has_a_rate(count: Count, log: Path) -> None:
    """Every line of nginx is a request: 5xx are a share of them."""
    stamp = f"{NOW:%d/%b/%Y:%H:%M:%S} +0000"
    write(log, *(f'h - - [{stamp}] "GET /u/{n} HTTP/1.1" {500 if n < 2 else 404} 5\n' for n in range(8)))

    measured = await count(format="nginx")

    assert (measured.values["total"], measured.values["rate_percent"]) == (8, 25)
    assert measured.summary == "in 1h, of 8 lines"
    assert measured.details == ("2 x 500 GET /u/<n> HTTP/<n>",)


async def test_no_requests_have_no_rate(count: Count, log: Path) -> None:
    """No traffic is no data for the rate, not 0 %."""
    write(log)

    measured = await count(format="nginx")

    assert (measured.values["errors"], measured.values["rate_percent"]) == (0, None)
    assert "the log is empty" in measured.summary


async def test_a_log_that_went_quiet_is_told(count: Count, log: Path) -> None:
    """No line in the window is no error, and the age of the last one is said."""
    write(log, line(180))

    measured = await count()

    assert (measured.values["errors"], measured.summary) == (0, "in 1h, last line 3 h ago")


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


async def test_the_same_errors_are_one_signature(count: Count, log: Path) -> None:
    """The details name the most frequent kinds, without what differs."""
    kinds = ["disk", "net", "cpu", "fan", "psu", "gpu", "tpm"]
    lines = [
        line(5, f"ERROR app: {kind} {n} 'x{n}'") for kind in kinds for n in range(2 if kind == "cpu" else 1)
    ]
    write(log, *lines)

    measured = await count()

    assert measured.values["signatures"] == 7
    assert measured.details[0] == "2 x ERROR app: cpu <n> <text>"
    assert measured.details[-1] == "and 2 other kinds of error"


async def test_what_a_log_holds_cannot_forge_a_line(count: Count, log: Path) -> None:
    """Escape sequences, separators and bidi marks of a log line are made visible."""
    write(log, line(5, "ERROR \x1b[2J\u2028<!channel>\u202eevil"))

    assert (await count()).details == (r"1 x ERROR \x1b[<n>J\u2028<!channel>\u202eevil",)


async def test_unreadable_lines_are_counted_and_shown(count: Count, log: Path) -> None:
    """A few lines that cannot be read are said, with an example that holds no secret."""
    write(log, *[line(5, "INFO x")] * 30, "ERROR:root:password=hunter2\n")

    measured = await count()

    assert (measured.values["unreadable"], measured.findings) == (1, ())
    assert measured.details == ("1 lines unreadable, such as: ERROR:root:password=<secret>",)


async def test_many_unreadable_lines_are_a_warning(count: Count, log: Path) -> None:
    """When more than a tenth cannot be read, the numbers are not to be trusted."""
    write(log, *[line(5, "INFO x")] * 6, *["garbage\n"] * 2)

    assert (await count()).findings == (
        (Status.WARNING, "25 % of the lines could not be read: is its `format:` right?"),
    )


async def test_a_log_in_another_format_is_an_error(count: Count, log: Path) -> None:
    """When no line at all can be read, nothing was measured."""
    write(log, *[line(5)] * 3)

    with pytest.raises(
        StepError, match=r"none of the last 3 lines of .* reads as nginx: look at its `format:`"
    ):
        await count(format="nginx")


async def test_lines_of_the_future_are_a_warning(count: Count, log: Path) -> None:
    """A wrong `timezone:` shows: here the log is in Berlin's time, and read as UTC."""
    write(log, line(-60))

    assert (await count()).findings == (
        (Status.WARNING, "the newest line is 60 min in the future: is its `timezone:` right?"),
    )


async def test_the_targets_time_zone_is_used(count: Count, log: Path) -> None:
    """The same log with its zone has its error an hour ago to the second, at the window's edge."""
    write(log, line(0))

    assert (await count(timezone="Europe/Berlin")).values["errors"] == 1
    assert (await count("59m", timezone="Europe/Berlin")).values["errors"] == 0


@pytest.fixture
def big_log(log: Path) -> Path:
    """100,000 errors over 10 hours, 9 MB."""
    texts = (line(600 - n * 0.006, "ERROR app: " + "x" * 50) for n in range(100_000))
    write(log, *texts)
    return log


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


async def test_a_missing_log_is_an_error(count: Count) -> None:
    """No log is not "no errors"."""
    with pytest.raises(StepError, match=r"app.log does not exist on this machine"):
        await count()


@pytest.fixture
def nobody() -> Iterator[None]:
    """The test runs as somebody else than root, who may read everything."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


@pytest.fixture
def forbidden_log(log: Path) -> Path:
    """A log that only root may read."""
    write(log, line(5))
    log.chmod(0)
    return log


async def test_a_forbidden_log_is_an_error(forbidden_log: Path, nobody: None, count: Count) -> None:
    """A log that may not be read says what to do."""
    with pytest.raises(StepError, match="may not be read by the user that Maint runs as: give it"):
        await count()


async def test_a_pipe_is_refused(count: Count, log: Path) -> None:
    """What is no regular file is not opened: a pipe would hold the step for ever."""
    os.mkfifo(log)

    with pytest.raises(StepError, match="is no regular file"):
        await count()


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


async def test_a_log_on_an_unknown_host_is_an_error(count: Count, log: Path) -> None:
    """A log names its host; a name that is no host target is told."""
    with pytest.raises(StepError, match="the log is on 'web-1', and no target of type host has that name"):
        await count(host="web-1")


@pytest.mark.parametrize("window", ["0s", "32d", "an hour"])
def test_a_window_without_sense_is_refused(window: str) -> None:
    """A window is longer than nothing and not longer than a month."""
    with pytest.raises(ValidationError):
        LogErrors.model_validate({"window": window})


@pytest.mark.debian("sshd")
async def test_a_log_over_ssh_counts_the_same(sshd: Sshd, reach: Reach, log: Path) -> None:
    """The current, the rotated and the gzipped file of a remote log are read through ssh."""
    write(log, line(5), line(4, "INFO x"))
    write(log.with_name("app.log.1"), line(90), line(30), minutes_ago=29)
    write(log.with_name("app.log.2.gz"), line(95), minutes_ago=40)
    remote = replace(reach, targets={"remote": sshd.target()}, now=lambda: NOW)
    here = replace(reach, targets={"remote": HostTarget(name="remote", type="host")}, now=lambda: NOW)
    target = LogsTarget(type="logs", path=str(log), format="python", host="remote")

    there = await LogErrors().measure(target, remote)

    assert there == await LogErrors().measure(target, here)
    assert there.values["errors"] == 2


@pytest.mark.debian("sshd")
async def test_a_big_log_over_ssh_is_searched_as_here(sshd: Sshd, reach: Reach, big_log: Path) -> None:
    """The search for the window's start works over ssh too."""
    remote = replace(reach, targets={"remote": sshd.target()}, now=lambda: NOW)
    target = LogsTarget(type="logs", path=str(big_log), format="python", host="remote")

    measured = await LogErrors.model_validate({"window": "30m"}).measure(target, remote)

    assert abs(float(str(measured.values["errors"])) - 5000) <= 3


@pytest.mark.debian("sshd")
async def test_a_missing_log_over_ssh_is_an_error(sshd: Sshd, reach: Reach, log: Path) -> None:
    """A log that is not there is told with the host's name."""
    remote = replace(reach, targets={"remote": sshd.target()}, now=lambda: NOW)
    target = LogsTarget(type="logs", path=str(log), format="python", host="remote")

    with pytest.raises(StepError, match=r"app.log does not exist on ssh://"):
        await LogErrors().measure(target, remote)
