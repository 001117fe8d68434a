"""`maint doctor`, on the sandbox and both databases, and what can be wrong with them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot import doctor
from bot.__main__ import main
from bot.doctor import Finding, examine, exit_code
from bot.sandbox import Sandbox
from bot.settings import load_settings
from bot.slack.manifest import manifest
from runbooks.records.records import Records
from runbooks.status import Status

SECRET = """\
name: secret
title: S
params: {token: {type: string, secret: true}}
steps: [{id: a, manual: {instructions: x}}]
"""


class Place:
    """A folder with a maint.yaml, in which everything is well at first."""

    def __init__(self, folder: Path, sandbox: Sandbox, database: str) -> None:
        self.folder = folder
        self.database = database
        self.roles = {"sre": ["@sre"], "dba": ["S000000DBA", "dba@example.com"]}
        self.channels = {"ops": "C000000OPS"}
        self.environ = {**sandbox.environment(), "MAINT_AUDIT_KEY": "k", "MAINT_SECRET_KEY": "k" * 32}
        (folder / "runbooks").mkdir()

    @property
    def path(self) -> Path:
        """Writes maint.yaml as it is now."""
        settings = {
            "database": self.database,
            "runbooks": "runbooks",
            "slack": {"channels": self.channels},
            "roles": {name: {"members": members} for name, members in self.roles.items()},
        }
        path = self.folder / "maint.yaml"
        path.write_text(json.dumps(settings))
        return path

    async def findings(self) -> dict[str, Finding]:
        """What there is to say, without what is well."""
        found = await examine(load_settings(self.path, self.environ), self.environ)
        assert all(each.do for each in found if each.status not in (Status.OK, Status.SKIPPED))
        return {each.what: each for each in found if each.status is not Status.OK}


@pytest.fixture
async def place(tmp_path: Path, sandbox: Sandbox, database_url: str) -> Place:
    """All is well, on both databases; the app is installed as its manifest says."""
    sandbox.workspace.install(manifest())
    await (await Records.open(database_url)).close()
    return Place(tmp_path, sandbox, database_url)


async def test_all_is_well(place: Place) -> None:
    """Nothing is found but, on PostgreSQL, that the tables are our role's own; that needs no other scope."""
    found = await place.findings()

    assert set(found) <= {"audit log"}
    assert exit_code(tuple(found.values()) or (Finding(what="", status=Status.OK, found=""),)) <= 1


@pytest.mark.parametrize(
    ("variable", "value", "what", "said"),
    [
        ("SLACK_BOT_TOKEN", "", "SLACK_BOT_TOKEN", "is not set"),
        (
            "SLACK_BOT_TOKEN",
            "xoxb-of-another-app-altogether",
            "bot token",
            "refused SLACK_BOT_TOKEN: invalid_auth",
        ),
        ("SLACK_APP_TOKEN", "xapp-of-another-app-altogether", "app token", "refused it"),
        ("SLACK_API_URL", "http://127.0.0.1:9/api/", "bot token", "cannot be reached"),
    ],
)
async def test_a_token_that_is_wrong_is_critical(
    place: Place, variable: str, value: str, what: str, said: str
) -> None:
    """Each is named with what is wrong with it; no token is quoted."""
    place.environ[variable] = value
    found = await place.findings()

    assert found[what].status is Status.CRITICAL
    assert said in found[what].found
    assert not value or value not in str(found).replace("http://127.0.0.1:9/api/", "")


async def test_a_missing_scope_is_named(place: Place, sandbox: Sandbox) -> None:
    """With the way to get it."""
    sandbox.workspace.scopes -= {"files:read"}
    found = await place.findings()

    assert found["scopes"].found == "missing: files:read"
    assert "install the app again" in found["scopes"].do


async def test_channels_are_looked_into(place: Place) -> None:
    """Where the bot is not, no card can be posted."""
    place.channels |= {"random": "C0000RANDOM", "leads": "C0000LEADS", "typo": "C0NOWHERE"}
    found = await place.findings()

    assert found["channel random"].found == "the bot is not in C0000RANDOM"
    assert "private" in found["channel leads"].found
    assert "is not there" in found["channel typo"].found
    assert "channel ops" not in found


async def test_usergroups_are_there_and_not_empty(place: Place, sandbox: Sandbox) -> None:
    """An unknown, a disabled and an empty one give nobody their role: errors."""
    place.roles |= {"net": ["@network"], "ops": ["@devops"]}
    sandbox.workspace.usergroup("devops").is_disabled = True
    sandbox.workspace.usergroup("dba").users.clear()
    found = await place.findings()

    assert {what: each.status for what, each in found.items() if what.startswith("role")} == dict.fromkeys(
        ("role net", "role ops", "role dba"), Status.CRITICAL
    )
    assert found["role dba"].found == "nobody is in the usergroup S000000DBA"
    assert exit_code(tuple(found.values())) == 2


async def test_what_slack_does_not_say_is_unknown(place: Place, sandbox: Sandbox) -> None:
    """On a free plan there are no usergroups; unknown is not OK."""
    sandbox.workspace.scopes -= {"usergroups:read"}
    found = await place.findings()

    assert found["usergroups"].status is Status.UNKNOWN
    assert exit_code((found["usergroups"],)) == 2


@pytest.mark.parametrize(("seconds", "said"), [(-60, "60 s behind"), (60, "60 s ahead of")])
def test_a_clock_that_is_wrong_is_worth_a_look(seconds: int, said: str) -> None:
    """More than five seconds to either side."""
    theirs = datetime.now(UTC) - timedelta(seconds=seconds)
    finding = doctor._skew("Slack's clock", theirs)

    assert (finding.status, said in finding.found) == (Status.WARNING, True)
    assert doctor._skew("x", datetime.now(UTC) - timedelta(seconds=4)).status is Status.OK
    assert doctor._skew("x", None).status is Status.SKIPPED


async def test_a_database_that_is_away_is_critical(place: Place) -> None:
    """The rest is looked at all the same."""
    place.database = "postgresql://maint@127.0.0.1:9/maint"
    found = await place.findings()

    assert found["database"].status is Status.CRITICAL
    assert "127.0.0.1" in found["database"].found


async def test_a_database_that_is_not_there_yet_is_not_made(place: Place, tmp_path: Path) -> None:
    """To look changes nothing."""
    place.database = f"sqlite:///{tmp_path}/fresh/../new.db"
    (tmp_path / "fresh").mkdir()
    found = await place.findings()

    assert found["database"].status is Status.WARNING
    assert not (tmp_path / "new.db").exists()


async def test_an_older_schema_is_worth_a_look(place: Place, tmp_path: Path) -> None:
    """An empty database is one."""
    (tmp_path / "empty.db").touch()
    place.database = f"sqlite:///{tmp_path}/empty.db"
    found = await place.findings()

    assert found["schema"].status is Status.WARNING


async def test_keys_that_are_missing_are_named(place: Place) -> None:
    """The audit key is worth a look; without the other a runbook with secrets cannot be run."""
    (place.folder / "runbooks" / "secret.yaml").write_text(SECRET)
    place.environ |= {"MAINT_AUDIT_KEY": "", "MAINT_SECRET_KEY": "short"}
    found = await place.findings()

    assert found["audit key"].status is Status.WARNING
    assert "secret" in found["secret key"].found
    assert found["secret key"].status is Status.CRITICAL


def run(path: Path, environ: dict[str, str], *words: str) -> Any:
    """`maint doctor`, in a process of its own as far as click goes."""
    return CliRunner(env={**environ, "MAINT_DATABASE_URL": ""}).invoke(
        main, ["--config", str(path), "doctor", *words]
    )


def test_the_program_says_it_and_ends_with_it(tmp_path: Path) -> None:
    """In lines for people, as JSON for machines; a settings file that is wrong ends with 2."""
    path = tmp_path / "maint.yaml"
    path.write_text("{}")
    none = dict.fromkeys(
        ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "MAINT_AUDIT_KEY"), ""
    )
    plain, as_json = run(path, none), run(path, none, "--json")

    assert (plain.exit_code, as_json.exit_code) == (2, 2)
    assert "critical  SLACK_BOT_TOKEN: is not set" in plain.output
    said = json.loads(as_json.output)
    assert said["exit_code"] == 2
    assert {"what", "status", "found", "do"} == set(said["findings"][0])

    path.write_text("nonsense: 1")
    assert run(path, none).exit_code == 2
