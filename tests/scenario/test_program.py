"""The `maint` program as people start it: a process, its output, its exit code, its signals."""

import asyncio
import contextlib
import getpass
import json
import os
import pty
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from bot.sandbox import Sandbox
from bot.sandbox.faults import Fault, Trouble
from runbooks.errors import RecordsError
from runbooks.records.audit import Filter
from runbooks.records.database import open_database
from tests.scenario.conftest import Site, Workplace, newest

REPORTED = "Morning health check: "


@dataclass
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def environment(workplace: Workplace | None = None, **more: str) -> dict[str, str]:
    """What a person's shell has, and the tokens."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "COLUMNS": "200", **(workplace.environment if workplace else {}), **more}


async def maint(*arguments: str, env: dict[str, str], cwd: Path) -> Ended:
    """Runs `maint` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments,
        env=env, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def serving(workplace: Workplace) -> AsyncIterator[asyncio.subprocess.Process]:
    """`maint serve` as a process of its own, from its ready line on; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "--config", str(workplace.write()), "serve",
        env=environment(workplace), cwd=workplace.folder, stderr=asyncio.subprocess.PIPE, limit=2**20,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b"maint.ready" not in (line := await process.stderr.readline()):
                assert line, "maint serve ended before it was ready"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_serve_answers_and_leaves_on_sigterm(sandbox: Sandbox, workplace: Workplace) -> None:
    """`maint serve` answers `/maint health`, and ends with exit code 0 when it is asked to."""
    async with serving(workplace) as process:
        await sandbox.slash("admin", "ops", "/maint health")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"), 15)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            code = await process.wait()

    assert code == 0


async def test_a_card_left_by_a_killed_process_is_mended(
    sandbox: Sandbox, workplace: Workplace, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 in mid-check the next start draws the card anew: it does not stay at `checking`."""
    monkeypatch.setattr("bot.app.CARD_AGE", timedelta(0))
    site.seconds = 8
    async with serving(workplace) as process:
        await sandbox.slash("admin", "ops", "/maint health")
        await sandbox.wait_for(lambda: newest(sandbox, "checking"), 15)
        process.kill()
    async with workplace.serving():
        card = await sandbox.wait_for(lambda: newest(sandbox, "Interrupted"), 15)

    assert sandbox.messages("ops") == [card]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-wrong-token", "Slack refused SLACK_BOT_TOKEN: invalid_auth"),
        ("SLACK_APP_TOKEN", "xapp-1-wrong-token", "Slack refused SLACK_APP_TOKEN: invalid_auth"),
        ("SLACK_API_URL", "http://127.0.0.1:9/api/", "Slack cannot be reached at http://127.0.0.1:9/api/"),
        ("SLACK_BOT_TOKEN", "", "SLACK_BOT_TOKEN: is not set"),
        ("MAINT_DATABASE_URL", "postgresql://u:pw12345@127.0.0.1:9/maint", "127.0.0.1:9"),
    ],
)
async def test_serve_says_in_one_line_what_keeps_it_from_starting(
    workplace: Workplace, name: str, value: str, said: str
) -> None:
    """A bad token, an unreachable Slack, a missing database: one clear line, a non-zero exit code."""
    workplace.environment[name] = value
    path = workplace.write()

    ended = await maint("--config", str(path), "serve", env=environment(workplace), cwd=workplace.folder)

    lines = [line for line in ended.err.splitlines() if not line.startswith("{") and "fault" not in line]
    assert ended.code in (1, 2)
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in ended.err
    assert "pw12345" not in ended.err
    assert "wrong-token" not in ended.err


async def test_a_port_that_is_taken_is_one_line(workplace: Workplace, site: Site) -> None:
    """`maint serve` says which address it cannot have and where that is configured, without a trace."""
    port = int(site.url.rpartition(":")[2])
    workplace.settings["http"] = {"port": port}

    ended = await maint(
        "--config", str(workplace.write()), "serve", env=environment(workplace), cwd=workplace.folder
    )

    assert ended.code == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use. " in ended.err
    assert "Traceback" not in ended.err


async def test_sigterm_ends_a_start_that_hangs(sandbox: Sandbox, workplace: Workplace) -> None:
    """A Slack that never answers does not keep `maint serve` from leaving when it is told to."""
    hole = Fault(Trouble.BLACK_HOLE, times=5)
    sandbox.faults.plan("auth.test", hole)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "--config", str(workplace.write()), "serve",
        env=environment(workplace), cwd=workplace.folder, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        for _ in range(200):
            if hole.times < 5:
                break
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()

    assert process.returncode == 0
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", "<html>Log in</html>"),
        ("text/plain", "Log in"),
        ("application/json", '{"ok": true}'),
        ("application/json", '{"ok": true, "team_id": "", "user_id": ""}'),
    ],
)
async def test_what_is_not_slack_is_told_apart(
    workplace: Workplace, site: Site, kind: str, body: str
) -> None:
    """A login page of a proxy, or anything else that answers in Slack's place, gives one clear line."""
    site.kind, site.body = kind, body
    workplace.environment["SLACK_API_URL"] = f"{site.url}/api/"
    path = workplace.write()

    ended = await maint("--config", str(path), "serve", env=environment(workplace), cwd=workplace.folder)

    lines = [line for line in ended.err.splitlines() if not line.startswith("{")]
    assert ended.code == 1
    assert len(lines) == 1
    assert "Slack" in lines[0]


async def test_a_second_process_on_one_sqlite_file_is_refused(sandbox: Sandbox, workplace: Workplace) -> None:
    """SQLite is for one serving process: the second says who the first is."""
    workplace.settings["database"] = f"sqlite:///{workplace.folder}/one.db"
    async with serving(workplace) as first:
        second = await maint(
            "--config", str(workplace.path), "serve", env=environment(workplace), cwd=workplace.folder
        )
        beside = await maint(
            "--config", str(workplace.path), "health", env=environment(workplace), cwd=workplace.folder
        )

    assert second.code == 1
    assert f"(pid {first.pid}) is serving" in second.err
    assert beside.code == 0


async def test_check_and_serve_list_every_fault(workplace: Workplace) -> None:
    """All that is wrong in maint.yaml and in a runbook is listed at once, each with file, line and column."""
    workplace.write()
    workplace.path.write_text(
        workplace.path.read_text().replace("grants:", "grant:").replace("type: http", "type: htpp", 1)
    )
    (workplace.folder / "runbooks" / "health.yaml").write_text("name: health\nname: twice\nsteps: [\n")

    check = await maint("check", env=environment(), cwd=workplace.folder)
    serve = await maint("serve", env=environment(workplace), cwd=workplace.folder)

    assert check.code == serve.code == 2
    assert "did you mean `grants`?" in check.err
    assert "did you mean `http`?" in check.err
    assert "health.yaml:" in check.err
    assert all(line in serve.err for line in check.err.splitlines()[:-1])


@pytest.mark.parametrize(
    ("status", "seconds", "timeout", "code", "word"),
    [(200, 0, "10s", 0, "ok"), (200, 3.1, "10s", 1, "warning"), (500, 0, "10s", 2, "critical")],
)
async def test_health_at_the_terminal_has_a_plugins_exit_codes(
    workplace: Workplace, site: Site, status: int, seconds: float, timeout: str, code: int, word: str
) -> None:
    """`maint health` ends with 0 when all is well, 1 for a warning, 2 when something is critical."""
    site.status, site.seconds = status, seconds
    workplace.write()

    ended = await maint("health", "app", env=environment(), cwd=workplace.folder)

    assert ended.code == code
    assert f"Morning health check: {word}" in ended.out


async def test_a_terminal_shows_how_far_the_checks_are(workplace: Workplace, site: Site) -> None:
    """On a terminal `maint health` draws its progress in place while the checks run."""
    site.seconds = 0.4
    workplace.write()
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "health", env=environment(TERM="xterm"), cwd=workplace.folder,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    async with asyncio.timeout(30):
        code = await process.wait()
    os.set_blocking(ours, False)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)

    assert code == 0
    assert "0 of 2 checks done" in shown
    assert shown.rindex("Morning health check: ok") > shown.rindex("checks done")


async def test_what_cannot_be_measured_ends_with_three(workplace: Workplace) -> None:
    """`maint health` ends with 3 when nobody knows: here, a CA file that is not there."""
    workplace.settings["targets"] = {
        "app": {"type": "http", "url": "https://127.0.0.1:9", "ca_file": "/nowhere/ca.pem"},
        "preview": {"type": "http", "url": "https://127.0.0.1:9", "ca_file": "/nowhere/ca.pem",
                    "environment": "staging"},
    }  # fmt: skip
    workplace.write()

    ended = await maint("health", env=environment(), cwd=workplace.folder)

    assert ended.code == 3
    assert "unknown" in ended.out


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (("health", "nosuch"), {}),
        (("health", "--nosuch"), {}),
        (("health",), {"target": {}}),
        (("health",), {"database": "postgresql://u:pw12345@127.0.0.1:9/maint"}),
    ],
    ids=["no such target", "no such option", "a fault in maint.yaml", "no database"],
)
async def test_what_keeps_health_from_looking_ends_with_three(
    workplace: Workplace, words: tuple[str, ...], settings: dict[str, object]
) -> None:
    """What was typed or configured wrongly alarms nobody as a warning or critical: it is a 3."""
    workplace.settings |= settings
    workplace.write()

    ended = await maint(*words, env=environment(), cwd=workplace.folder)

    assert ended.code == 3, ended.err


async def test_json_is_the_same_for_machines(workplace: Workplace, site: Site) -> None:
    """`maint health --json` prints nothing but JSON, with every value and its status."""
    site.status = 503
    workplace.write()

    ended = await maint("health", "app", "--json", env=environment(), cwd=workplace.folder)
    report = json.loads(ended.out)

    assert ended.code == 2
    assert report["status"] == "critical"
    assert [(row["target"], row["status"]) for row in report["results"]] == [("app", "critical")]


async def test_the_terminal_names_the_nearest_command_and_target(workplace: Workplace) -> None:
    """A typo at the terminal gets the same help as in Slack."""
    workplace.write()

    command = await maint("helth", env=environment(), cwd=workplace.folder)
    target = await maint("health", "ap", env=environment(), cwd=workplace.folder)

    assert (command.code, target.code) == (2, 3)
    assert "Did you mean health?" in command.err
    assert "Did you mean app?" in target.out


async def test_what_is_done_at_the_terminal_is_in_the_audit_log(workplace: Workplace) -> None:
    """A command at the terminal is recorded with the user and the host."""
    workplace.write()

    await maint("targets", env=environment(), cwd=workplace.folder)
    asked, done = [recorded.event for recorded in await workplace.audit()]

    assert (asked.actor_kind, asked.action, done.outcome) == ("terminal", "command.targets", "ok")
    assert "@" in asked.actor_id


async def test_a_fresh_folder_starts_as_it_is(tmp_path: Path) -> None:
    """`maint init`, `check` and `health` work one after another on a machine that has nothing else."""
    initial = await maint("init", "--admin", "U0123ABCD", "--channel", "ops=C0123ABCD", ".",
                          env=environment(), cwd=tmp_path)  # fmt: skip
    check = await maint("check", env=environment(), cwd=tmp_path)
    health = await maint("health", "--json", env=environment(), cwd=tmp_path)
    again = await maint("init", env=environment(), cwd=tmp_path)

    assert (initial.code, check.code) == (0, 0), check.err
    assert {row["target"] for row in json.loads(health.out)["results"]} == {"local"}
    assert again.code == 1
    assert "maint.yaml" in again.err


async def test_migrate_says_what_it_did(workplace: Workplace) -> None:
    """`maint migrate` applies what is missing once, and says so."""
    workplace.write()

    first = await maint("migrate", env=environment(), cwd=workplace.folder)
    second = await maint("migrate", env=environment(), cwd=workplace.folder)

    assert "Applied: 0001" in first.out
    assert "up to date" in second.out
    (migrated,) = await workplace.audit(Filter(action="schema.migrated"))
    assert (migrated.event.actor_kind, migrated.event.actor_name) == ("terminal", getpass.getuser())


async def test_migrate_hardens_postgresql_and_refuses_sqlite(workplace: Workplace) -> None:
    """With the role of that name, twice; where there are no roles it is an error."""
    workplace.write()
    url = str(workplace.settings["database"])
    role = f"app{uuid.uuid4().hex[:12]}"
    harden = ("migrate", "--harden", "--role", role)

    first = await maint(*harden, env=environment(), cwd=workplace.folder)
    if url.startswith("sqlite"):
        assert first.code == 1
        assert "SQLite has no roles" in first.err
        assert "Applied: 0001" in first.out
        return
    try:
        second = await maint(*harden, env=environment(), cwd=workplace.folder)
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"DROP OWNED BY {role}")
            admin.execute(f"DROP ROLE {role}")

    assert (first.code, second.code) == (0, 0), second.err
    assert f"GRANT {role} TO your_login" in second.out
    assert len(await workplace.audit(Filter(action="schema.hardened"))) == 2


async def test_a_role_is_for_hardening(tmp_path: Path) -> None:
    """`--role` alone would do nothing, and says so."""
    ended = await maint("migrate", "--role", "app", env=environment(), cwd=tmp_path)

    assert (ended.code, "--role goes with --harden" in ended.err) == (2, True)


async def test_serving_begins_with_what_it_was_told(workplace: Workplace) -> None:
    """Who migrated, the digests of maint.yaml and of every runbook file, and the workspace stand in the log
    first."""
    async with workplace.serving():
        migrated, loaded, connected = await workplace.audit(Filter(actor_id=socket.gethostname()))
    own = workplace.folder / "runbooks" / "health.yaml"

    assert (migrated.seq, migrated.event.action) == (1, "schema.migrated")
    assert (loaded.seq, loaded.event.action, loaded.event.object) == (2, "config.loaded", str(workplace.path))
    assert (connected.seq, connected.event.action) == (3, "slack.connected")
    assert connected.event.details["url"].startswith("http")
    details = loaded.event.details
    assert details["maint.yaml"] == sha256(workplace.path.read_bytes()).hexdigest()
    assert details["runbooks"]["health"] == sha256(own.read_bytes()).hexdigest()
    assert "deploy-rollout" in details["runbooks"]


async def test_nothing_is_served_without_the_log(workplace: Workplace) -> None:
    """What it was told cannot be written down: it does not start."""
    async with workplace.serving():
        pass
    engine = open_database(str(workplace.settings["database"]))
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_events RENAME TO taken_away")
    engine.dispose()

    with pytest.raises(RecordsError, match="has no tables of Maint"):
        async with workplace.serving():
            pytest.fail("it serves")


async def test_the_manifest_is_for_socket_mode_or_http(tmp_path: Path) -> None:
    """`maint manifest` prints what Slack's form takes; with --http it names our address."""
    plain = json.loads((await maint("manifest", env=environment(), cwd=tmp_path)).out)
    http = json.loads(
        (await maint("manifest", "--http", "https://maint.example.com", env=environment(), cwd=tmp_path)).out
    )

    assert plain["settings"]["socket_mode_enabled"] is True
    assert http["settings"]["socket_mode_enabled"] is False
    assert http["features"]["slash_commands"][0]["url"] == "https://maint.example.com/slack/events"
