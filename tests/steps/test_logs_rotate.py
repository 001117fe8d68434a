"""`logs.rotate` with the real logrotate."""

import gzip
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.steps import ACTIONS
from runbooks.steps.action import Done, Failed, Risk
from runbooks.targets import HostTarget
from tests.steps.acting import HERE, act
from tests.steps.conftest import Programs, Sshd

pytestmark = pytest.mark.debian("logrotate")
over_ssh = [
    pytest.mark.debian("sshd"),
    pytest.mark.skipif(sys.platform != "linux", reason="the machine that is logged in to has procps"),
]


@pytest.fixture(params=["here", pytest.param("ssh", marks=over_ssh)])
def host(request: pytest.FixtureRequest) -> HostTarget:
    """A host: this machine, and one over ssh."""
    if request.param == "here":
        return HERE
    sshd: Sshd = request.getfixturevalue("sshd")
    return sshd.target()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with a log, into which nobody else may write: logrotate insists on it."""
    folder = tmp_path / "a log's folder"
    folder.mkdir(mode=0o755)
    (folder / "app.log").write_text("line\n" * 2000)
    return folder


def rules(logs: Path, *more: str) -> str:
    """Rules for the folder: rotated when it is larger than 1 kB."""
    body = "\n  ".join(["rotate 3", "size 1k", "missingok", *more])
    return f'"{logs}/*.log" {{\n  {body}\n}}\n'


async def rotate(host: HostTarget, logs: Path, *more: str, **fields: Any) -> Done:
    """Does what a step with such rules says, with a state file of the test's own."""
    state = str(logs.parent / "state")
    return await act("logs.rotate", host, {"rules": rules(logs, *more), "state": state, **fields})


def write(path: str, text: str) -> None:
    """A file with that text."""
    Path(path).write_text(text)


def names(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(each.name for each in folder.iterdir())


async def test_what_is_due_is_rotated(host: HostTarget, logs: Path) -> None:
    """Its state goes to a file of its own, and what was freed is counted."""
    done = await rotate(host, logs, "compress")

    assert names(logs) == ["app.log.1.gz"]
    assert gzip.decompress((logs / "app.log.1.gz").read_bytes()) == b"line\n" * 2000
    assert "app.log" in (logs.parent / "state").read_text()
    freed = 10_000 - (logs / "app.log.1.gz").stat().st_size
    assert done.values == {"considered": 1, "rotated": 1, "bytes": 10_000, "freed_bytes": freed}
    assert done.summary.startswith("1 of 1 logs rotated, ")


async def test_a_preview_changes_nothing(host: HostTarget, logs: Path) -> None:
    """Neither the logs nor the state."""
    done = await rotate(host, logs, show_only=True)

    assert names(logs) == ["app.log"]
    assert not (logs.parent / "state").exists()
    assert done.summary == "1 of 1 logs would be rotated, 9.8 KiB"
    assert f"{logs}/app.log" in done.output


async def test_logrotate_decides_what_is_due_unless_it_is_forced(host: HostTarget, logs: Path) -> None:
    """The seeds' `-f` every day left the last three files only."""
    (logs / "app.log").write_text("short\n")

    assert (await rotate(host, logs)).values["rotated"] == 0
    assert names(logs) == ["app.log"]
    assert (await rotate(host, logs, force=True)).values["rotated"] == 1
    assert names(logs) == ["app.log.1"]


async def test_a_config_of_the_machine_is_used(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path; without `state:` the state is in a file of Maint's own."""
    config = logs.parent / "app"
    config.write_text(rules(logs))
    monkeypatch.setenv("HOME", str(logs.parent))

    done = await act("logs.rotate", HERE, {"config": str(config), "show_only": True})

    assert done.values["considered"] == 1
    assert (logs.parent / ".local/state/maint/logrotate").is_dir()


async def test_rules_that_match_nothing_are_worth_a_look(tmp_path: Path) -> None:
    """A wrong path would otherwise look like a quiet day."""
    (tmp_path / "empty").mkdir()

    done = await rotate(HERE, tmp_path / "empty")

    assert done.warnings == ("the rules match no log that is there",)


async def test_rules_that_cannot_be_read_fail(logs: Path) -> None:
    """With logrotate's own words, and the log as it was."""
    with pytest.raises(Failed, match=r"logrotate: .*unknown option 'rotat'"):
        await rotate(HERE, logs, "rotat 3")
    assert names(logs) == ["app.log"]


async def test_a_script_that_fails_fails_the_step(logs: Path) -> None:
    """`postrotate` that did not reach the server: it writes to the old file."""
    with pytest.raises(Failed, match="error running"):
        await rotate(HERE, logs, "postrotate", "  false", "endscript")


async def test_a_config_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And nothing is done."""
    with pytest.raises(Failed, match="does not exist"):
        await act("logs.rotate", HERE, {"config": f"{tmp_path}/none"})


async def test_a_missing_privilege_is_named(logs: Path, programs: Programs) -> None:
    """The very lines for sudo that the step needs."""
    programs.add("sudo", "echo 'sudo: a password is required' >&2; exit 1")
    config, state = f"{logs.parent}/app", f"{logs.parent}/state"
    write(config, rules(logs))

    with pytest.raises(Failed, match=r"ALL=\(root\) NOPASSWD: \S+logrotate --debug --state ") as caught:
        await act("logs.rotate", HERE, {"config": config, "state": state, "sudo": True})

    assert f"logrotate --verbose --state {state} {config}" in str(caught.value)


async def test_sudo_is_used_where_the_step_says_so(logs: Path, programs: Programs) -> None:
    """With fixed arguments, so that a line in sudoers can name them."""
    programs.add("sudo", f'echo "$*" >> {logs.parent}/sudo; shift; exec "$@"')
    config, state = f"{logs.parent}/app", f"{logs.parent}/state"
    write(config, rules(logs))

    await act("logs.rotate", HERE, {"config": config, "state": state, "sudo": True})

    said = (logs.parent / "sudo").read_text().splitlines()
    assert [line.split("logrotate ")[1] for line in said] == [
        f"--debug --state {state} {config}",
        f"--verbose --state {state} {config}",
    ]
    assert names(logs) == ["app.log.1"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"config": "/etc/logrotate.d/app", "rules": "x {}"},
        {"rules": "x {}", "sudo": True, "state": "/var/lib/maint/state"},
        {"config": "/etc/logrotate.d/app", "sudo": True},
        {"config": "logrotate.d/app"},
    ],
)
def test_rules_come_from_one_place_and_never_from_a_runbook_to_root(fields: dict[str, Any]) -> None:
    """Whoever may write rules that root carries out is root."""
    with pytest.raises(ValidationError):
        ACTIONS["logs.rotate"].model_validate({"target": "here", **fields})


def test_forcing_is_a_risk_and_is_not_repeated() -> None:
    """Each time loses the oldest."""
    known = {"target": "here", "config": "/etc/logrotate.d/app"}
    plain = ACTIONS["logs.rotate"].model_validate(known)
    forced = ACTIONS["logs.rotate"].model_validate({**known, "force": True})

    assert (plain.risk, plain.repeatable, plain.plan_warnings({})) == (Risk.LOW, True, ())
    assert (forced.risk, forced.repeatable) == (Risk.MEDIUM, False)
    assert "three runs leave the last three files" in forced.plan_warnings({})[0]
