"""`maint doctor TARGET` of a machine: what the steps for logs need there."""

import os
import sys
from pathlib import Path

import pytest

from runbooks.status import Status
from runbooks.steps import logs_examine
from runbooks.steps.logs_examine import examine_folders, examine_host
from runbooks.steps.reach import Reach
from runbooks.targets import HostTarget
from tests.steps.acting import HERE
from tests.steps.conftest import Sshd

BLIND = (
    "7 processes are other users': of files that its user does not own, nobody can tell whether they are open"
)


async def looked(reach: Reach, target: HostTarget = HERE) -> dict[str, tuple[Status, str]]:
    """What was found, by what was looked at."""
    return {each.what: (each.status, each.found) for each in await examine_host(target, reach)}


@pytest.mark.debian("logrotate")
async def test_all_is_there_on_this_machine(reach: Reach) -> None:
    """Python and logrotate; who has files open is seen by root alone."""
    found = await looked(reach)

    assert found["Python"] == (Status.OK, ".".join(map(str, sys.version_info[:2])))
    assert found["logrotate"][0] is Status.OK
    assert found["open files"][0] is (Status.OK if os.getuid() == 0 else Status.WARNING)


@pytest.mark.debian("sshd")
async def test_another_machine_is_looked_at_over_ssh(reach: Reach, sshd: Sshd) -> None:
    """By the python3 that the steps would use there."""
    assert (await looked(reach, sshd.target()))["Python"][0] is Status.OK


@pytest.mark.debian("sshd")
async def test_a_machine_without_python_is_told(
    reach: Reach, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too old, or does not run."""
    monkeypatch.setattr(logs_examine, "_LOOK", "raise SystemExit('broken')")
    assert (await looked(reach, sshd.target()))["Python"] == (
        Status.CRITICAL,
        "python3 does not run: broken",
    )
    monkeypatch.setattr(logs_examine, "_LOOK", "print('[[3, 6], null, 7]')")
    assert await looked(reach, sshd.target()) == {
        "Python": (Status.CRITICAL, "3.6 is too old for the steps for logs"),
        "logrotate": (Status.WARNING, "it is not there: logs.rotate cannot run"),
        "open files": (
            Status.WARNING,
            BLIND,
        ),
    }


@pytest.mark.debian("sshd")
async def test_a_folder_that_the_login_cannot_use_is_told(reach: Reach, sshd: Sshd, tmp_path: Path) -> None:
    """One that is there, whatever is in its name; one that is not; and one that may not be written to."""
    good, gone = tmp_path / "a 'b'\n", tmp_path / "gone"
    good.mkdir()
    looked = await examine_folders(sshd.target(), [str(good), str(gone), "/proc/self"], reach)

    assert [each.status for each in looked] == [Status.OK, Status.WARNING, Status.CRITICAL]
    assert looked[2].found == "it may not be written to"
