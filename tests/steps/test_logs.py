"""`logs.errors` on real files, here and over ssh."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.logs import LogErrors
from runbooks.steps.reach import Reach
from runbooks.targets import HostTarget, LogsTarget
from tests.steps.app_log import NOW, Count, line, write
from tests.steps.conftest import Sshd


async def test_errors_of_the_window_are_counted(count: Count, log: Path) -> None:
    """Errors older than the window and lines that are no errors do not count."""
    write(log, line(90), line(50), line(40, "INFO app: fine"), line(10, "CRITICAL app: worse"))

    measured = await count()

    assert measured.values == {
        "errors": 2,
        "total": None,
        "rate_percent": None,
        "unrated_errors": 2,
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


@pytest.mark.parametrize(("level", "rate"), [("INFO", 0.0), ("ERROR", None)])
async def test_without_an_error_the_rate_is_zero_whatever_it_is_of(
    count: Count, log: Path, level: str, rate: float | None
) -> None:
    """Lines that are no requests have no rate, but for the one that is certain: no error is 0 %."""
    write(log, line(10, f"{level} app: said"))

    assert (await count()).values["rate_percent"] == rate


async def test_errors_without_a_rate_say_what_to_judge_instead(count: Count, log: Path) -> None:
    """Where the rate alone has a threshold and nobody knows it, the reason is more than `no data`."""
    write(log, line(10, "ERROR app: said"))

    measured = await count(warning={"rate_percent": {"above": 1}})

    ((status, text),) = measured.findings
    assert status is Status.UNKNOWN
    assert "judge `unrated_errors` too" in text


async def test_errors_are_unrated_where_lines_are_no_requests(count: Count, log: Path) -> None:
    """One runbook can judge both kinds of log: by the rate of an access log, by the number in any other."""
    write(log, line(10, "ERROR app: said"))
    other = (await count()).values
    stamp = f"{NOW:%d/%b/%Y:%H:%M:%S} +0000"
    write(log, f'h - - [{stamp}] "GET / HTTP/1.1" 500 5\n')
    access = (await count(format="nginx")).values

    assert (other["unrated_errors"], other["rate_percent"]) == (1, None)
    assert (access["unrated_errors"], access["rate_percent"]) == (None, 100)


async def test_a_night_without_requests_is_nothing_to_judge(count: Count, log: Path) -> None:
    """An access log in which nobody asked for anything is skipped when the rate alone has a threshold."""
    write(log)

    by_rate = await count(format="nginx", warning={"rate_percent": {"above": 1}})
    by_number = await count(format="nginx", warning={"errors": {"above": 0}})

    assert (by_rate.skipped, by_number.skipped) == ("no requests", "")


async def test_a_log_that_went_quiet_is_told(count: Count, log: Path) -> None:
    """No line in the window is no error, and the age of the last one is said."""
    write(log, line(180))

    measured = await count()

    assert (measured.values["errors"], measured.summary) == (0, "in 1h, last line 3 h ago")


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
async def test_a_missing_log_over_ssh_is_an_error(sshd: Sshd, reach: Reach, log: Path) -> None:
    """A log that is not there is told with the host's name."""
    remote = replace(reach, targets={"remote": sshd.target()}, now=lambda: NOW)
    target = LogsTarget(type="logs", path=str(log), format="python", host="remote")

    with pytest.raises(StepError, match=r"app.log does not exist on ssh://"):
        await LogErrors().measure(target, remote)
