"""Canaries in every place where a secret comes in, looked for in every place where a text goes out.

The same is done once with a scrubber that lets everything through: every canary is found then, so that the
search and the places where they are planted are known to be real.
"""

import base64
import io
import json
import logging
import re
import sqlite3
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from bot.app import Server
from bot.logs import set_up_logs
from bot.settings import load_settings, slack_credentials
from commands.targets import Targets
from runbooks.errors import RecordsError
from runbooks.records.audit import Filter
from runbooks.scrub import Scrubber
from tests.scenario.floor import RHYTHM, Floor
from tests.scenario.test_program import environment, maint

#: By the way each comes in. Blanks, quotes, escapes and what an address escapes are in them.
CANARIES = {
    "header from a variable": "c4nary-header-t0ken",
    "password in an address": "c4nary/Pa$$ word&co",
    "file": 'c4nary of a file, "quoted" and \\ 100%41',
    "parameter": "c4nary-param/eter+of=the-run",
    "key of parameters": "c4nary-key of thirty-two letters and more",
}
#: Known to nobody but by their shape.
UNKNOWN = {
    "key id": "AKIAIOSFODNN7EXAMPLE",
    "key": "wJalrXUtnFEMIK7MDENGbPxRfiCYzzEXAMPLEKEY",
    "github": "github_pat_11ABCDEFG0abcdefghijkl",
    "pem": "MIIEpAIBAAKCAQEA1c7Pad7OejecsQ0bu3aozN3tihPmUQOcU8aFDlQMlrpO",
    "address": "unkn0wn-of-an-address",
    "basic": "dW5rbm93bjp1bmtub3du",
}
LEAK = """
    printf '%s' "$TOKEN" | head -c 12; sleep 0.3; printf '%s' "$TOKEN" | tail -c +13; echo
    printf '%s' "pass:$TOKEN" | base64 -w 20
    printf '%s' "$TOKEN" | fold -w 7 >&2; echo >&2
    printf '%s' "$TOKEN" | od -An -v -tx1 | tr -d ' \\n'; echo
    printf '{"token": "%s"}\\n' "$TOKEN"
    head -c 15990 /dev/zero | tr '\\0' x; echo " $TOKEN and then some"
    echo 'AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMIK7MDENGbPxRfiCYzzEXAMPLEKEY'
    echo 'export GH=github_pat_11ABCDEFG0abcdefghijkl'
    echo '-----BEGIN PRIVATE KEY-----'
    echo MIIEpAIBAAKCAQEA1c7Pad7OejecsQ0bu3aozN3tihPmUQOcU8aFDlQMlrpO
    sleep 1.5
    echo '-----END PRIVATE KEY-----'
    echo 'cloning https://me:unkn0wn-of-an-address@git.example.com/a.git'
    echo '> Authorization: Basic dW5rbm93bjp1bmtub3du'
    sleep 1.5
"""
LEAKY = """
    name: leaky
    title: Leaky
    params: {token: {type: string, secret: true, prompt: Which token}}
    steps:
      - id: print
        command:
          target: here
          run: [sh, DIR/leak.sh]
          environment: {TOKEN: '{{ params.token }}'}
          repeatable: true
      - id: tell
        slack.message: {text: 'The token is {{ params.token }}'}
      - id: send
        http.request: {target: app, method: POST, path: '/a', json: {token: '{{ params.token }}'}}
"""
HEALTH = (
    "{name: health, title: Morning health check, purpose: x, owner: x, steps: ["
    "{id: up, title: response, http.probe: {body_contains: fine}},"
    "{id: db, title: connect, postgres.connect: {}}]}"
)


def as_written(secret: str) -> set[str]:
    """The secret in the forms in which it might get out, all without line breaks."""
    raw = secret.encode()
    inner = (base64.b64encode(b"\0" * shift + raw).decode()[4:-4] for shift in range(3))
    escaped = "".join(f"%{byte:02x}" for byte in raw)
    return {
        secret, quote(secret, safe=""), escaped, escaped.upper(), json.dumps(secret)[1:-1], raw.hex(),
        json.dumps(json.dumps(secret)[1:-1])[1:-1], *inner,
    }  # fmt: skip


def found_in(places: Mapping[str, str]) -> dict[str, set[str]]:
    """Which canaries are where."""
    found: dict[str, set[str]] = {}
    for place, text in places.items():
        flat = re.sub(r"\\[rn]|\s", "", text)
        for name, canary in {**CANARIES, **UNKNOWN}.items():
            if any(re.sub(r"\s", "", form) in flat for form in as_written(canary)):
                found.setdefault(name, set()).add(place)
    return found


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What Maint logs, byte for byte; everything is put back afterwards."""
    root, configuration = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield io.StringIO()
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


@pytest.fixture
def planted(floor: Floor) -> Floor:
    """A Maint whose settings, systems and runbook hold canaries, and like to quote them."""
    place, folder = floor.workplace, floor.folder
    (folder / "token").write_text(CANARIES["file"] + "\n")
    (folder / "leak.sh").write_text(textwrap.dedent(LEAK))
    place.environment |= {
        "HEADER_TOKEN": CANARIES["header from a variable"],
        "DB_PASSWORD": quote(CANARIES["password in an address"], safe=""),
        "MAINT_SECRET_KEY": CANARIES["key of parameters"],
    }
    floor.site.status = 500
    quoted = json.dumps(list(CANARIES.values()))
    floor.site.body = f"{quoted} {quote(quoted)} {base64.encodebytes(quoted.encode()).decode()}"
    headers = {"Authorization": "Bearer ${HEADER_TOKEN}", "X-Api-Key": "file:./token"}
    place.settings["targets"] = {
        "app": {"type": "http", "url": floor.site.url, "headers": headers},
        "db": {"type": "postgres", "url": "postgresql://maint:${DB_PASSWORD}@127.0.0.1:9/app"},
        "here": {"type": "host"},
        "preview": {"type": "http", "url": floor.site.url, "environment": "staging"},
    }
    place.settings["log"] = {"level": "debug"}
    (folder / "runbooks" / "health.yaml").write_text(HEALTH)
    floor.runbook("leaky", LEAKY)
    return floor


async def everything_that_went_out(
    floor: Floor, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What people do for a morning, and then all that can be read of it, by place."""
    all_of_them = " ".join(CANARIES.values())

    async def crash(*_: Any) -> None:
        try:
            raise RecordsError(f"duplicate key (token)=({all_of_them})")
        except RecordsError as error:
            raise RuntimeError(f"it was {all_of_them}, {quote(all_of_them)}") from error

    monkeypatch.setattr(Targets, "answer", crash)
    place = floor.workplace
    loaded = load_settings(place.write(), place.environment)
    set_up_logs(loaded.scrub, "json", "debug", log)
    credentials = slack_credentials(place.environment, "socket")
    async with Server(loaded, credentials, now=floor.clock, rhythm=RHYTHM):
        await floor.type("admin", "health")
        await floor.sees("Morning health check: critical")
        await floor.type("admin", f"run leaky token={CANARIES['parameter']}")
        form = await floor.form("admin")
        await floor.sandbox.submit("admin", form, {"maint-param:token": CANARIES["parameter"]})
        card = await floor.card("Leaky")
        await floor.shows(card, "Retry", "Abandon")
        # From here on the run's own secret is known too, as it must be while it is not over.
        await floor.type("admin", "targets")
        await floor.told("admin", "Something broke")
        await floor.type("admin", f"health {all_of_them}")
        run = (await floor.view(card)).run.id
        await floor.type("admin", f'answer {run} abandon "{CANARIES["parameter"]} did not do"')
        await floor.shows(card, "bandoned")
        events = await place.audit(Filter())
        database = floor.folder / "maint.db"
        files = {path.name: path.read_bytes() for path in floor.folder.glob("maint.db*")}
        rows = "\n".join(sqlite3.connect(database).iterdump())
    sandbox = floor.sandbox
    env = environment(place)
    words = (("health", "-v"), ("health", "--json"), ("runs", run), ("runs", run, "--json", "-v"))
    ended = [await maint(*each, env=env, cwd=floor.folder) for each in words]
    ended.append(
        await maint(
            *("plan", "leaky", "token=${TOKEN}", "--json"),
            env=env | {"TOKEN": CANARIES["parameter"]},
            cwd=floor.folder,
        )
    )
    assert all(each.out for each in ended)
    ours = [one for one in sandbox.workspace.messages.values() if one.user == sandbox.workspace.bot.id]
    return {
        "calls to Slack": "\n".join(str(call.arguments) for call in sandbox.calls),
        "messages": "\n".join(str(content.__dict__) for one in ours for content in one.history),
        "files": "\n".join((file.content or b"").decode() for file in sandbox.files),
        "log": log.getvalue(),
        "audit": repr(events),
        "rows": rows,
        **{name: data.decode("utf-8", "replace") for name, data in files.items()},
        "terminal": "\n".join(each.out + each.err for each in ended),
    }


async def test_no_canary_gets_out(planted: Floor, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a message, a file, a form, the log, the audit log, a row, the database's bytes, a terminal."""
    places = await everything_that_went_out(planted, log, monkeypatch)

    assert {"maint.db", "maint.db-wal"} <= places.keys()
    assert all(places[name] for name in ("calls to Slack", "messages", "files", "log", "audit", "rows"))
    assert found_in(places) == {}


async def test_every_canary_would_get_out(
    planted: Floor, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a scrubber that lets everything through each is found, and in every kind of place."""
    monkeypatch.setattr(Scrubber, "__call__", lambda _, text: text)
    places = await everything_that_went_out(planted, log, monkeypatch)
    found = found_in(places)

    assert found.keys() == {**CANARIES, **UNKNOWN}.keys()
    everywhere = set().union(*found.values())
    assert {"calls to Slack", "messages", "files", "log", "audit", "rows", "maint.db-wal"} <= everywhere


def test_the_search_sees_every_form(tmp_path: Path) -> None:
    """However a canary is written, and over however many lines."""
    for name, canary in CANARIES.items():
        for form in as_written(canary):
            lines = "\n".join(textwrap.wrap(form, 7, drop_whitespace=False))
            assert name in found_in({"here": f"before {lines} after"})
