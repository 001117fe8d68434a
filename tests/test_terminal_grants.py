"""Who may do what at the terminal: by `terminal:` in maint.yaml, by the user that the system knows."""

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.at_terminal import run_at_terminal
from bot.logins import login_name
from bot.sandbox import Sandbox
from runbooks.records.audit import Filter
from runbooks.records.records import Records

HEAD = """\
database: sqlite:///maint.db
runbooks: own
slack: {channels: {ops: C000000OPS}}
roles:
  sre: {members: ['@sre']}
  dba: {members: [U000000DBA]}
grants:
  - {role: sre, runbooks: [look]}
  - {role: dba, runbooks: [look], channels: [ops]}
targets:
  app: {type: host}
  web: {type: host, environment: staging}
"""
LOOK = """\
name: look
title: Look
purpose: Look at it.
owner: a
params:
  host: {type: target, of: host}
steps:
  - id: say
    command: {target: '{{ params.host }}', run: [echo, hello], risk: low, repeatable: true}
"""
ME = login_name()


@pytest.fixture
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> int:
    """The process is somebody's who does not own maint.yaml; only root could really become one."""
    nameless = max(user.pw_uid for user in pwd.getpwall() if user.pw_uid < 2**31) + 1
    monkeypatch.setattr(os, "getuid", lambda: nameless)
    return nameless


Maint = Callable[..., Any]


@pytest.fixture
def maint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Maint:
    """Types something with that `terminal:`; the exit code and what `--json` prints."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "look.yaml").write_text(LOOK)
    path = tmp_path / "maint.yaml"

    async def type_(terminal: str, *words: str, environ: dict[str, str] | None = None) -> tuple[int, Any]:
        path.write_text(HEAD + terminal)
        code = await run_at_terminal(path, environ or {}, words, as_json=True, verbose=False)
        return code, json.loads(capsys.readouterr().out)

    return type_


async def refused(tmp_path: Path) -> list[tuple[str, str, str]]:
    """Who was refused, as what kind of somebody, and what they had typed."""
    records = await Records.open(f"sqlite:///{tmp_path}/maint.db")
    try:
        events = [each.event for each in await records.events(Filter(outcome="denied"))]
    finally:
        await records.close()
    return [(event.actor_name, str(event.actor_kind), event.object) for event in events]


async def test_the_owner_of_the_file_may_everything_where_it_says_nothing(maint: Maint) -> None:
    """Whoever wrote maint.yaml need not be in it."""
    code, said = await maint("", "targets")

    assert (code, [each["name"] for each in said["targets"]]) == (0, ["app", "web"])


async def test_anybody_else_is_refused_with_what_to_write(
    maint: Maint, nobody_else: int, tmp_path: Path
) -> None:
    """And stands in the audit log, as who the system says that they are."""
    code, said = await maint("", "targets")

    assert code == 3
    assert f"`terminal: [{{users: [uid {nobody_else}], commands: [targets]}}]`" in said["error"]
    assert await refused(tmp_path) == [(f"uid {nobody_else}", "terminal", "targets")]


async def test_a_name_in_the_environment_makes_nobody_the_owner(
    maint: Maint, nobody_else: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is asked, not what anybody can set."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, ME)

    code, said = await maint(f"terminal: [{{users: [{ME}], commands: ['*']}}]\n", "targets")

    assert code == 3
    assert f"users: [uid {nobody_else}]" in said["error"]


@pytest.mark.parametrize(
    ("grant", "seen"),
    [
        ("{users: [ME], commands: ['*']}", ["app", "web"]),
        ("{users: ['*'], commands: [targets]}", ["app", "web"]),
        ("{users: [eve, ME], commands: [targets], environments: [staging]}", ["web"]),
        ("{users: [ME], commands: [targets], targets: [app]}", ["app"]),
        (
            "{users: ['*'], commands: [targets]}, {users: [ME], commands: ['*'], targets: [app], deny: true}",
            ["web"],
        ),
        ("{users: ['*'], commands: ['*']}, {users: [ME], commands: ['*'], deny: true}", None),
        ("{users: [eve], commands: ['*']}", None),
        ("{users: [ME], commands: [health]}", None),
        ("{users: [ME], runbooks: ['*']}", None),
        ("", None),
    ],
)
async def test_terminal_grants_decide_there(maint: Maint, grant: str, seen: list[str] | None) -> None:
    """As grants do in Slack: by word, environment and target, a denial above all; the owner too, once there
    is a `terminal:`. Roles of Slack give nothing."""
    code, said = await maint(f"terminal: [{grant.replace('ME', repr(ME))}]\n", "targets")

    if seen is None:
        assert (code, "error" in said) == (3, True)
    else:
        assert (code, [each["name"] for each in said["targets"]]) == (0, seen)


async def test_a_run_at_the_terminal_needs_the_grant_of_what_it_touches(maint: Maint, tmp_path: Path) -> None:
    """One of them is denied: there the run is refused with the line, elsewhere it is carried out."""
    grants = (
        f"terminal:\n  - {{users: ['{ME}'], runbooks: ['*']}}\n"
        "  - {users: ['*'], runbooks: [look], targets: [app], deny: true}\n"
    )

    denied, why = await maint(grants, "run", "look", "host=app")
    allowed, run = await maint(grants, "run", "look", "host=web")

    assert denied == 3
    assert "maint.yaml:15 denies it" in why["error"]
    assert (allowed, run["state"]) == (0, "succeeded")


async def test_a_run_that_needs_a_second_person_waits_for_one(maint: Maint) -> None:
    """It begins with the gate, and only of somebody of whom is known who they are not."""
    grant = f"terminal: [{{users: ['{ME}'], runbooks: ['*'], approval: {{by: [sre]}}}}]\n"

    unknown, why = await maint(grant, "run", "look", "host=web")
    asked, run = await maint(
        f"{grant}logins: {{{ME}@{os.uname().nodename}: U000000DBA}}\n", "run", "look", "host=web"
    )

    assert unknown == 3
    assert "Somebody else than who asks has to approve this" in why["error"]
    assert (asked, run["state"]) == (1, "waiting")
    assert [(step["path"], step["state"]) for step in run["steps"]] == [
        ("approval", "waiting"),
        ("say", "pending"),
    ]


async def test_without_a_token_explain_says_what_could_not_be_looked_up(maint: Maint) -> None:
    """Whom maint.yaml names by id is known; whether somebody is in a usergroup only Slack knows."""
    _, dba = await maint("", "access", "explain", "U000000DBA", "run", "look", "on", "app")
    _, sre = await maint("", "access", "explain", "U00000SRE1", "run", "look", "on", "app")

    unknown = "whether {} has the role sre, by @sre: there is no SLACK_BOT_TOKEN here"
    assert (dba["allowed"], dba["by"], dba["from"]) == (True, "maint.yaml:9", ["#ops"])
    assert dba["unknown"] == [unknown.format("U000000DBA")]
    assert (sre["allowed"], sre["by"], sre["unknown"]) == (False, "", [unknown.format("U00000SRE1")])


async def test_with_a_token_explain_asks_slack(maint: Maint, sandbox: Sandbox) -> None:
    """Members of usergroups, and people whom Maint does not answer at all."""
    environ = sandbox.environment()
    asked = ("access", "explain", "U00000SRE1", "run", "look", "on", "app")
    _, sre = await maint("", *asked, environ=environ)
    _, away = await maint("", *asked, environ={**environ, "SLACK_API_URL": "http://127.0.0.1:9/api/"})
    _, gone = await maint("", "access", "explain", "U0NOBODY0X", "health", environ=environ)

    assert (sre["allowed"], sre["by"], sre["unknown"]) == (True, "maint.yaml:8", [])
    assert sre["from"] == ["#ops", "any other channel"]
    assert (away["allowed"], len(away["unknown"])) == (False, 1)
    assert "cannot be asked of Slack just now" in away["unknown"][0]
    assert gone["allowed"] is False


async def test_another_login_is_explained_by_its_terminal_grants(maint: Maint, nobody_else: int) -> None:
    """For who was granted the word `access`; about oneself everybody may ask."""
    grants = (
        f"terminal:\n  - {{users: [uid {nobody_else}], commands: [access]}}\n"
        "  - {users: [alice], runbooks: [look], targets: [app]}\n"
    )
    _, alice = await maint(grants, "access", "explain", "alice", "run", "look", "on", "app")
    _, other = await maint(grants, "access", "explain", "alice", "run", "look", "on", "web")
    _, bob = await maint(grants, "access", "explain", "bob", "run", "look", "on", "app")
    code, refusal = await maint("terminal: []\n", "access", "explain", "alice", "health")
    _, mine = await maint("terminal: []\n", "access", "explain", "health")

    assert (alice["allowed"], alice["by"], alice["from"]) == (True, "maint.yaml:15", ["the terminal"])
    assert other["missing"] == ["maint.yaml:15 allows it not on web, only on app"]
    assert bob["allowed"] is False
    assert (code, "may ask about yourself" in refusal["error"]) == (3, True)
    assert mine["allowed"] is False


async def test_whoami_at_the_terminal_shows_the_lines_there(maint: Maint) -> None:
    """And of nobody what to write."""
    _, owner = await maint("", "whoami")
    _, granted = await maint(f"terminal: [{{users: ['{ME}'], commands: [health]}}]\n", "whoami")
    _, nobody = await maint("terminal: []\n", "whoami")

    assert [grant["written_at"] for grant in owner["grants"]] == ["being the owner of maint.yaml"]
    assert [grant["written_at"] for grant in granted["grants"]] == ["maint.yaml:13"]
    assert (nobody["grants"], nobody["roles"]) == ([], [])
