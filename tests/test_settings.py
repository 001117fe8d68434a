"""maint.yaml and the environment become Settings, or every fault in them is said at once."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.settings import Loaded, load_settings
from runbooks.errors import ConfigError
from runbooks.targets import HttpTarget, PostgresTarget
from tests.spec.kinds import KINDS

CANARY = "cAnArY-5f1c/+"

HEALTH = """\
name: health
title: Health
steps:
  - {id: app, http.probe: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small library in it, and room for a maint.yaml."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "health.yaml").write_text(HEALTH)
    return tmp_path


def load(folder: Path, text: str, **environ: str) -> Loaded:
    """Loads that text as the folder's maint.yaml."""
    (folder / "maint.yaml").write_text(text)
    return load_settings(
        folder / "maint.yaml",
        environ,
        commands=("health", "help", "targets", "whoami"),
        kinds=KINDS,
        library=folder / "library",
    )


def faults(folder: Path, text: str, **environ: str) -> list[str]:
    """What is wrong with that text; places in maint.yaml without its folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


FULL = """\
slack:
  mode: http
  teams: [T0PARTNER]
  connections: 3
  channels: {ops: C0OPS, alerts: C0ALERTS}
database: postgresql://maint:${DB_PASSWORD}@db:5432/maint
http: {host: 0.0.0.0, port: "${PORT:-3000}"}
runbooks: own
log: {format: json, level: debug}
checks: {concurrency: 10, per_target: 2}
limits: {commands_per_minute: 5}
roles:
  sre: {members: [U0ALICE, '@oncall', S0GROUP, dana@example.com]}
grants:
  - {role: sre, commands: ['*'], runbooks: [health], environments: [staging], channels: [ops, direct]}
targets:
  app:
    type: http
    url: ${APP_URL}
    environment: staging
    headers: {Authorization: 'Bearer ${APP_TOKEN}'}
  db: {type: postgres, url: 'postgresql://app:${DB_PASSWORD}@db/app'}
  web-1: {type: host}
  log: {type: logs, path: /var/log/x, format: nginx, host: web-1}
"""
ENVIRON = {"DB_PASSWORD": "p%40ss-word", "APP_URL": "https://app.example.com/", "APP_TOKEN": CANARY}


def test_a_full_file_is_read(folder: Path) -> None:
    """Every section arrives in the settings, references resolved and targets named by their keys."""
    (folder / "own").mkdir()
    loaded = load(folder, FULL, **ENVIRON)
    found = loaded.settings

    assert (found.slack.mode, found.slack.connections, found.slack.teams) == ("http", 3, ("T0PARTNER",))
    assert found.slack.channels == {"ops": "C0OPS", "alerts": "C0ALERTS"}
    assert found.database_url() == "postgresql://maint:p%40ss-word@db:5432/maint"
    assert (found.http_address().host, found.http_address().port) == ("0.0.0.0", 3000)
    assert found.runbooks == str(folder / "own")
    assert found.roles["sre"].members == ("U0ALICE", "@oncall", "S0GROUP", "dana@example.com")
    assert found.grants[0].environments == ("staging",)
    assert {name: target.name for name, target in found.targets.items()} == {
        name: name for name in ("app", "db", "web-1", "log")
    }
    app = found.targets["app"]
    assert isinstance(app, HttpTarget)
    assert (app.url, app.environment) == ("https://app.example.com", "staging")
    assert isinstance(found.targets["db"], PostgresTarget)
    assert list(loaded.runbooks) == ["health"]


def test_an_almost_empty_file_has_the_defaults(folder: Path) -> None:
    """One line is enough: Socket Mode, SQLite beside the file, and nobody may do anything."""
    found = load(folder, "targets: {}\n").settings

    assert found.slack.mode == "socket"
    assert found.database_url() == f"sqlite:///{folder}/maint.db"
    assert found.http is None
    assert (found.http_address().host, found.http_address().port) == ("127.0.0.1", 3000)
    assert (found.checks.concurrency, found.checks.per_target) == (50, 4)
    assert found.limits.commands_per_minute == 30
    assert found.grants == ()


def test_no_secret_is_shown(folder: Path) -> None:
    """Not by the repr of what was loaded, and the scrubber knows each, in the forms it may come in."""
    (folder / "own").mkdir()
    (folder / "signing").write_text("s1gning-secret\n")
    environ = ENVIRON | {
        "SLACK_BOT_TOKEN": "bot-token-1",
        "SLACK_SIGNING_SECRET_FILE": str(folder / "signing"),
        "MAINT_SECRET_KEY": "the key of this year, all 32 of them",
        "MAINT_SECRET_KEY_OLD": "the key of last year, all 32 of them",
    }
    loaded = load(folder, FULL, **environ)
    secrets = [CANARY, "p%40ss-word", "p@ss-word", "bot-token-1", "s1gning-secret"]
    secrets += [environ["MAINT_SECRET_KEY"], environ["MAINT_SECRET_KEY_OLD"]]

    for secret in secrets:
        assert secret not in repr(loaded)
        assert secret not in str(loaded.settings)
        assert loaded.scrub(f"before {secret} after") == "before [secret] after"


def test_a_secret_from_a_file_is_known_wherever_it_was_used(folder: Path) -> None:
    """What is read from a secret file is scrubbed, even when it went into an ordinary field."""
    (folder / "secret").write_text(CANARY)
    loaded = load(folder, "targets:\n  web: {type: host, description: 'file:./secret'}\n")

    assert loaded.settings.targets["web"].description == CANARY
    assert loaded.scrub(CANARY) == "[secret]"


def test_the_environment_overrides_the_database(folder: Path) -> None:
    """MAINT_DATABASE_URL wins; a relative SQLite path counts from the settings file."""
    text = "database: sqlite:///a.db\n"

    assert load(folder, text).settings.database_url() == f"sqlite:///{folder}/a.db"
    url = load(folder, text, MAINT_DATABASE_URL="sqlite:///b.db").settings.database_url()
    assert url == f"sqlite:///{folder}/b.db"
    loaded = load(folder, text, MAINT_DATABASE_URL=f"postgres://u:{CANARY[:8]}@h/d")
    assert loaded.scrub(CANARY[:8]) == "[secret]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            "maint.yaml:1:1: the file is empty",
        ),
        (
            "tagets: {}",
            "maint.yaml:1:1: unknown key `tagets` (did you mean `targets`?)",
        ),
        (
            "slack: {mode: sockets}",
            (
                "maint.yaml:1:15: `mode`: expected 'socket' or 'http', got the text 'sockets' (did you"
                " mean `socket`?)"
            ),
        ),
        (
            "slack: {channels: {ops: '#ops'}}",
            (
                "maint.yaml:1:25: `ops`: a channel's id looks like C0123ABCD: it is at the end of the"
                " channel's details in Slack"
            ),
        ),
        (
            "slack: {channels: {direct: C0OPS}}",
            "maint.yaml:1:20: `direct` means direct messages; call the channel something else",
        ),
        (
            "slack: {teams: [me]}",
            (
                "maint.yaml:1:17: item 1 of `teams`: a workspace's id looks like T0123ABCD: it is in the"
                " address of Slack in a browser"
            ),
        ),
        (
            "slack: {connections: 11}",
            "maint.yaml:1:22: `connections`: expected at most 10, got the number 11",
        ),
        (
            "slack: {bot_token: xoxb-1}",
            "maint.yaml:1:9: unknown key `bot_token` (known here: mode, teams, connections, channels)",
        ),
        (
            "database: mysql://x/y",
            (
                "maint.yaml:1:11: `database`: the address looks like sqlite:///maint.db or"
                " postgresql://user@host:5432/maint"
            ),
        ),
        (
            "database: 'sqlite:///:memory:'",
            (
                "maint.yaml:1:11: `database`: a database in memory forgets every record: name a file, like"
                " sqlite:///maint.db"
            ),
        ),
        (
            "database: sqlite:///a.db?mode=ro",
            "maint.yaml:1:11: `database`: options after a ? are not read in the address of a SQLite file",
        ),
        (
            "database: ${DB}",
            (
                "maint.yaml:1:11: the environment variable DB is not set (set it, or give it a default:"
                " ${DB:-…})"
            ),
        ),
        (
            "database: postgresql://u:abc@h/d",
            (
                "maint.yaml:1:11: `database`: a password has at least 4 characters, or it cannot be kept out"
                " of texts; / ? # @ in it are written %2F %3F %23 %40"
            ),
        ),
        (
            "http: {port: http}",
            "maint.yaml:1:14: `port`: expected a whole number, got the text 'http'",
        ),
        (
            "runbooks: nowhere",
            "maint.yaml:1:11: there is no folder nowhere",
        ),
        (
            "log: {level: trace}",
            "maint.yaml:1:14: `level`: expected 'debug', 'info', 'warning' or 'error', got the text 'trace'",
        ),
        (
            "checks: {concurrency: 0}",
            "maint.yaml:1:23: `concurrency`: expected at least 1, got the number 0",
        ),
        (
            "roles: {sre: {members: []}}",
            "maint.yaml:1:15: `members`: expected at least 1 item(s), got a list of 0",
        ),
        (
            "roles: {sre: {members: [dana]}}",
            (
                "maint.yaml:1:25: item 1 of `members`: a member is a user id (U…), a usergroup (@handle or"
                " S…) or an e-mail address"
            ),
        ),
        (
            "targets: {app: {type: host, name: web}}",
            "maint.yaml:1:29: a target's name is its key: `app` (remove this line)",
        ),
        (
            "targets: {App: {type: host}}",
            "maint.yaml:1:11: `App`: a name is small letters, digits and dashes, and begins with a letter",
        ),
        (
            "targets: {app: {type: http, url: 'http://h', headers: {Key: abc}}}",
            "maint.yaml:1:61: `Key`: a secret has at least 4 characters, or it cannot be kept out of texts",
        ),
        (
            "targets: {l: {type: logs, path: /x, format: json, host: web}}",
            "maint.yaml:1:57: `web` is no target of the type host (there is none)",
        ),
        (
            "targets: {web-1: {type: host}, l: {type: logs, path: /x, format: json, host: web-2}}",
            "maint.yaml:1:78: `web-2` is no target of the type host (did you mean `web-1`?)",
        ),
        (
            "targets: {web-1: {type: host, ssh: {host: w}}, c: {type: redis, url: 'unix:///x', via: web-2}}",
            "maint.yaml:1:88: `web-2` is no target of the type host (did you mean `web-1`?)",
        ),
        (
            "targets: {c: {type: redis, url: 'unix:///x', via: c}}",
            "maint.yaml:1:51: `c` is no target of the type host (there is none with `ssh:`)",
        ),
        (
            "targets: {here: {type: host}, d: {type: postgres, url: 'postgresql:///x', via: here}}",
            "maint.yaml:1:80: `here` has no `ssh:`: it is this machine (give it `ssh:`, or leave `via:` out)",
        ),
        (
            "targets: {l: {type: logs, path: /x, format: json, timezone: Xyz}}",
            "maint.yaml:1:61: `timezone`: there is no time zone 'Xyz' (one like Europe/Berlin)",
        ),
    ],
)
def test_a_wrong_line_says_where_and_what(folder: Path, text: str, expected: str) -> None:
    """Each wrong line of maint.yaml gives one fault, at its exact place."""
    assert faults(folder, text) == [expected]


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (
            "{role: sr, commands: [health]}",
            "there is no role `sr` (did you mean `sre`?)",
        ),
        (
            "{role: sre}",
            "this grant allows nothing (give it `commands:` or `runbooks:`)",
        ),
        (
            "{role: sre, commands: [helth]}",
            "there is no command `helth` (did you mean `health`?)",
        ),
        (
            "{role: sre, commands: ['x*']}",
            "there is no command `x*` (there are: health, help, targets, whoami)",
        ),
        (
            "{role: sre, commands: ['h*th']}",
            "`h*th`: a * stands only at the end of a name",
        ),
        (
            "{role: sre, runbooks: [heath]}",
            "there is no runbook `heath` (did you mean `health`?)",
        ),
        (
            "{role: sre, commands: ['*'], environments: [stagin]}",
            "there is no target in the environment `stagin` (did you mean `staging`?)",
        ),
        (
            "{role: sre, commands: ['*'], channels: [op]}",
            "there is no channel `op` (did you mean `ops`?)",
        ),
        (
            "{role: sre, commands: ['*'], channels: [C0OPS], chanels: 1}",
            "unknown key `chanels` (did you mean `channels`?)",
        ),
    ],
)
def test_a_grant_names_only_what_there_is(folder: Path, grant: str, expected: str) -> None:
    """Roles, commands, runbooks, environments and channels of a grant exist."""
    text = f"""\
slack: {{channels: {{ops: C0OPS}}}}
roles: {{sre: {{members: [U0A]}}}}
targets: {{web: {{type: host, environment: staging}}, other: {{type: host}}}}
grants: [{grant}]
"""
    (fault,) = faults(folder, text)

    assert re.sub(r"^maint.yaml:4:\d+: ", "", fault) == expected


@pytest.mark.parametrize("channel", ["ops", "'*'", "direct", "C0ELSE", "'op*'"])
@pytest.mark.parametrize("command", ["health", "'*'", "'he*'"])
def test_a_grant_may_name_a_beginning(folder: Path, channel: str, command: str) -> None:
    """Names, ids, `*` and beginnings with `*` are accepted."""
    text = (
        "slack: {channels: {ops: C0OPS}}\nroles: {sre: {members: [U0A]}}\n"
        f"grants: [{{role: sre, commands: [{command}], channels: [{channel}]}}]\n"
    )

    assert load(folder, text).settings.grants[0].role == "sre"


def test_the_faults_of_all_files_come_at_once(folder: Path) -> None:
    """maint.yaml's own, those between its parts, those of the runbooks and the environment's."""
    (folder / "own").mkdir()
    (folder / "own" / "a.yaml").write_text(
        "name: a\ntitle: A\nsteps:\n  - {id: x, http.probe: {target: ap}}\n"
    )
    text = "runbooks: own\nport: 1\ngrants:\n  - {role: x, commands: [y]}\ntargets:\n  app: {type: http}\n"

    assert [fault.split(": ")[0] for fault in faults(folder, text, MAINT_DATABASE_URL="x")] == [
        "maint.yaml:2:1",
        "maint.yaml:4:12",
        "maint.yaml:4:26",
        "maint.yaml:6:3",
        "own/a.yaml:4:34",
        "MAINT_DATABASE_URL",
    ]


def test_a_missing_file_names_the_command_that_writes_one(folder: Path) -> None:
    """Somebody who starts in the wrong folder, or for the first time, is told what to do."""
    with pytest.raises(ConfigError, match=r"there is no maint.yaml here \(`maint init` writes one\)"):
        load_settings(folder / "maint.yaml", {})


@given(st.binary(max_size=100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_settings_or_faults(folder: Path, content: bytes) -> None:
    """Whatever is in maint.yaml, the answer is settings or a ConfigError."""
    (folder / "maint.yaml").write_bytes(content)
    try:
        found: Loaded | ConfigError = load_settings(
            folder / "maint.yaml", {}, kinds=KINDS, library=folder / "library"
        )
    except ConfigError as error:
        found = error

    assert isinstance(found, Loaded) or found.faults


def test_files_count_from_the_folder_of_the_settings(tmp_path: Path) -> None:
    """Files that targets name are found wherever Maint was started from; other hosts' stay as they are."""
    path = tmp_path / "maint.yaml"
    path.write_text(
        "targets:\n"
        "  app: {type: http, url: 'https://a.example', ca_file: ca.pem}\n"
        "  web: {type: host, ssh: {host: w, key_file: keys/id, known_hosts: /etc/known}}\n"
        "  near: {type: logs, path: logs/a.log, format: nginx}\n"
        "  far: {type: logs, path: logs/a.log, format: nginx, host: web}\n"
    )

    targets = load_settings(path, {}).settings.targets

    assert targets["app"].ca_file == str(tmp_path / "ca.pem")  # type: ignore[union-attr]
    assert targets["web"].ssh.key_file == str(tmp_path / "keys/id")  # type: ignore[union-attr]
    assert targets["web"].ssh.known_hosts == "/etc/known"  # type: ignore[union-attr]
    assert targets["near"].path == str(tmp_path / "logs/a.log")  # type: ignore[union-attr]
    assert targets["far"].path == "logs/a.log"  # type: ignore[union-attr]


def test_a_runbooks_channel_is_one_of_maint_yaml(folder: Path) -> None:
    """A name that is none would be a card that nobody sees, so the load says it."""
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / "health.yaml").write_text(f"{HEALTH}channel: opps\n")

    (fault,) = faults(folder, "runbooks: runbooks\nslack: {channels: {ops: C0OPS}}\n")

    assert "there is no channel `opps` (did you mean `ops`?)" in fault
    known = load(folder, "runbooks: runbooks\nslack: {channels: {opps: C0OPS}}\n")
    assert known.runbooks["health"].channel == "opps"


@pytest.mark.parametrize(
    ("remedy", "fault"),
    [
        ("restart-servise", "no runbook `restart-servise` to help"),
        ("{runbook: health, steps: [upp]}", "no step `upp` to help"),
    ],
)
def test_a_remedy_is_a_runbook_that_there_is(folder: Path, remedy: str, fault: str) -> None:
    """A button that could do nothing is found when the files are read."""
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / "health.yaml").write_text(f"{HEALTH}remedies: [{remedy}]\n")

    (found,) = faults(folder, "runbooks: runbooks\n")

    assert fault in found


def test_the_channel_of_alerts_is_one_of_maint_yaml(folder: Path) -> None:
    """There, and where a runbook names one for its own."""
    (found,) = faults(folder, "slack: {channels: {ops: C0OPS}}\nalerts: {channel: opps}\n")
    assert "there is no channel `opps` (did you mean `ops`?)" in found
    (folder / "runbooks").mkdir()
    (folder / "runbooks" / "health.yaml").write_text(f"{HEALTH}alerts: {{channel: opps}}\n")
    (found,) = faults(folder, "runbooks: runbooks\nslack: {channels: {ops: C0OPS}}\n")
    assert "there is no channel `opps` (did you mean `ops`?)" in found


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("gate: {approvers: [sra]}", "no role `sra` (did you mean `sre`?)"),
        ("gate: {approvers: [sre, U0ANN], remind: [1h], then: oncall}", "no role `oncall`"),
        ("gate: {approvers: [sre], channel: sec}", "no channel `sec`"),
        ("manual: {instructions: Look, who: [hands]}", "no role `hands`"),
    ],
)
def test_whom_a_step_asks_and_where_is_in_maint_yaml(folder: Path, step: str, fault: str) -> None:
    """A role or a channel that nobody knows is found when the files are read, not at the gate."""
    (folder / "runbooks").mkdir()
    own = f"name: own\ntitle: Own\nsteps:\n  - id: ask\n    {step}\n"
    (folder / "runbooks" / "own.yaml").write_text(own)
    text = "runbooks: runbooks\nroles: {sre: {members: [U0A]}}\n"
    (folder / "maint.yaml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_settings(folder / "maint.yaml", {}, library=folder / "library")

    (found,) = caught.value.faults
    assert fault in str(found)
    assert found.line == 4


def test_a_shipped_runbook_that_lacks_a_role_keeps_nothing_from_starting(folder: Path) -> None:
    """It says what it lacks, where a runbook of the team's own would be at fault."""
    (folder / "maint.yaml").write_text("targets: {}\n")
    loaded = load_settings(folder / "maint.yaml", {})

    assert set(loaded.unfit) == {
        *("deploy-rollout", "rollback", "scale-service"),
        *("backup-weekly", "restore-database", "restore-table"),
        *("database-maintenance", "performance-review", "rotate-database-password"),
    }
    assert loaded.unfit["rollback"].startswith("there is no role `sre`: name it in maint.yaml")
    (folder / "maint.yaml").write_text("roles: {sre: {members: [U0A]}}\n")
    assert load_settings(folder / "maint.yaml", {}).unfit == {}


def grant_of(folder: Path, word: str) -> Loaded:
    """Settings that grant that word, judged by the commands that there are."""
    text = f"roles: {{sre: {{members: [U0A]}}}}\ngrants: [{{role: sre, commands: [{word}]}}]\n"
    (folder / "maint.yaml").write_text(text)
    return load_settings(folder / "maint.yaml", {}, kinds=KINDS, library=folder / "library")


@pytest.mark.parametrize("word", ["break-glass", "run", "unlock"])
def test_a_grant_names_a_word_or_the_glass(folder: Path, word: str) -> None:
    """`break-glass` is no command, and is granted like one."""
    assert grant_of(folder, word).settings.grants[0].commands == (word,)


def test_a_grant_of_no_word_is_a_fault(folder: Path) -> None:
    """With the nearest one."""
    with pytest.raises(ConfigError, match="did you mean `break-glass`"):
        grant_of(folder, "brake-glass")
