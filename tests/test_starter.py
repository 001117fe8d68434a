"""`maint init` writes a file that starts as it is, and every example in it works."""

import re
from pathlib import Path

import pytest

from bot.settings import Loaded, load_settings
from bot.starter import write_starter
from runbooks.errors import UsageError
from tests.spec.kinds import KINDS

ENVIRON = {
    name: f"s3cret-{name}" for name in ("MAINT_DB_PASSWORD", "APP_TOKEN", "DB_PASSWORD", "REDIS_PASSWORD")
}
#: Stands for the runbook that an example puts on a schedule.
SCHEDULED = """\
name: log-maintenance
title: Logs
params: {host: {type: target, of: host}, folder: {}}
steps: [{id: look, http.probe: {}}]
"""
#: A commented line that is an example; explanations begin with ##.
EXAMPLE = re.compile(r"^( *)# (.*)$")


def load(path: Path) -> Loaded:
    """What that maint.yaml says, without the runbooks that ship."""
    library = path.parent / "library"
    library.mkdir(exist_ok=True)
    (library / "log-maintenance.yaml").write_text(SCHEDULED)
    return load_settings(path, ENVIRON, kinds=KINDS, library=library)


def examples(text: str) -> list[range]:
    """The lines of each commented example: neighbours belong together."""
    found: list[range] = []
    for number, line in enumerate(text.splitlines()):
        if EXAMPLE.match(line):
            begin = found.pop().start if found and found[-1].stop == number else number
            found.append(range(begin, number + 1))
    return found


def uncommented(text: str, *parts: range) -> str:
    """The text with those examples in use. A second `database:` takes the place of the first."""
    lines = text.splitlines()
    for part in parts:
        for number in part:
            lines[number] = EXAMPLE.sub(r"\1\2", lines[number])
        if lines[part.start].startswith("database:"):
            lines = [line for line in lines if line != "database: sqlite:///maint.db"]
    return "\n".join(lines) + "\n"


def test_the_file_starts_as_it_is(tmp_path: Path) -> None:
    """SQLite beside the file, this machine as a target, and nobody may do anything in Slack."""
    path = write_starter(tmp_path / "new" / "folder", (), ())
    found = load(path).settings

    assert path == tmp_path / "new" / "folder" / "maint.yaml"
    assert found.database_url() == f"sqlite:///{path.parent}/maint.db"
    assert [(target.name, target.where()) for target in found.targets.values()] == [("local", "this machine")]
    assert (found.roles, found.grants) == ({}, ())


def test_admins_and_channels_are_in_it(tmp_path: Path) -> None:
    """Admins get a role with every command, channels their names."""
    path = write_starter(tmp_path, ("U0ALICE", "W0BOB"), ("ops=C0OPS", "alerts=G0ALERTS"))
    found = load(path).settings

    assert found.slack.channels == {"ops": "C0OPS", "alerts": "G0ALERTS"}
    assert found.alerts.channel == "alerts"
    assert found.rotations["oncall"].people == ("U0ALICE", "W0BOB")
    assert found.roles["admin"].members == ("U0ALICE", "W0BOB")
    assert [(grant.role, grant.commands, grant.channels) for grant in found.grants] == [
        ("admin", ("*",), ("*", "direct"))
    ]


def test_each_example_works_when_it_is_uncommented(tmp_path: Path) -> None:
    """Alone and all together, for every type of target."""
    path = write_starter(tmp_path, (), ())
    (tmp_path / "runbooks").mkdir()
    text = path.read_text()
    parts = examples(text)

    assert len(parts) == 16
    for part in parts:
        path.write_text(uncommented(text, part))
        load(path)
    # From the end, because a replaced line moves those after it.
    path.write_text(uncommented(text, *reversed(parts)))
    found = load(path).settings
    assert {type(target).__name__ for target in found.targets.values()} == {
        "HostTarget",
        "HttpTarget",
        "LogsTarget",
        "PostgresTarget",
        "PrometheusTarget",
        "RedisTarget",
    }
    assert found.grants[0].role == "admin"
    assert list(found.schedules) == ["log-maintenance"]


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    """Nothing is ever written over."""
    (tmp_path / "maint.yaml").write_text("mine")

    with pytest.raises(UsageError, match="it was left as it is"):
        write_starter(tmp_path, (), ())
    assert (tmp_path / "maint.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("admins", "channels", "message"),
    [
        (["alice"], [], "'alice' is no Slack user id"),
        (["U0A]\nx: [1"], [], "is no Slack user id"),
        ([], ["ops"], "'ops' is no channel"),
        ([], ["ops=#ops"], "'ops=#ops' is no channel"),
        ([], ["Ops=C0OPS"], "'Ops=C0OPS' is no channel"),
        ([], ["direct=C0OPS"], "'direct=C0OPS' is no channel"),
        ([], ["ops=C0OPS", "ops=C0ELSE"], "Two channels have the same name"),
    ],
)
def test_arguments_that_slack_does_not_know_are_refused(
    tmp_path: Path, admins: list[str], channels: list[str], message: str
) -> None:
    """A wrong id or name is said, and nothing is written."""
    with pytest.raises(UsageError, match=message):
        write_starter(tmp_path, admins, channels)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file where the folder should be is a usage error with the reason."""
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="Cannot make the folder"):
        write_starter(tmp_path / "file" / "folder", (), ())
