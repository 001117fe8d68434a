"""Runbook files: what they may say, and every fault at its place."""

import json
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import ConfigError
from runbooks.spec.library import load_library
from runbooks.spec.runbook import Runbook, parse_runbook
from runbooks.spec.source import parse
from runbooks.steps.step import EVERY
from tests.spec.kinds import ALL_KINDS, KINDS, TARGETS, Connections, Probe

HEAD = "name: health\ntitle: Health\nsteps:\n"


def load(text: str) -> Runbook:
    """The runbook in that text."""
    return parse_runbook(parse(text.encode(), "r.yaml"), KINDS, TARGETS)


def faults(text: str) -> list[str]:
    """What is wrong with that text."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    return [str(fault) for fault in caught.value.faults]


def test_a_runbook_is_read_whole() -> None:
    """Head, schedule, escalation and steps are there, each step with its kind, its fields and its line."""
    text = """\
name: health
title: Morning health check
purpose: Know it first.
owner: oncall
prerequisites: [coffee]
success_criteria: [All is well]
timeout: 5m
schedule:
  - {cron: '0 9 * * mon-fri', timezone: Europe/Berlin, report: digest, channel: ops, missed: latest}
  - {every: 5m, report: changes, channel: alerts, jitter: 10s}
escalation:
  - {when: {status: critical}, to: devops, page: true}
steps:
  - id: app
    http.probe: {target: app, path: /health, critical: {above: 2000}, timeout: 3s}
  - id: connections
    title: Database connections
    postgres.connections:
"""
    runbook = load(text)

    assert (runbook.name, runbook.title, runbook.owner) == ("health", "Morning health check", "oncall")
    assert runbook.timeout == timedelta(minutes=5)
    assert [schedule.channel for schedule in runbook.schedule] == ["ops", "alerts"]
    assert runbook.escalation[0].when == {"status": "critical"}
    assert runbook.path == "r.yaml"
    assert runbook.digest == sha256(text.encode()).hexdigest()
    app, connections = runbook.steps
    assert (app.id, app.title, app.kind, app.line) == ("app", "HTTP probe", "http.probe", 14)
    assert isinstance(app.check, Probe)
    assert (app.check.target, app.check.path, app.check.timeout) == ("app", "/health", timedelta(seconds=3))
    assert app.check.critical["elapsed_ms"].above == 2000
    assert (connections.title, connections.line) == ("Database connections", 16)
    assert connections.check == Connections(target=EVERY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: x\nsteps:\n  - {id: a, http.probe: {}}", "r.yaml:1:1: `name` is missing"),
        (
            "name: Health\ntitle: x\nsteps:\n  - {id: a, http.probe: {}}",
            "r.yaml:1:7: `name`: a name is small letters, digits and dashes, and begins with a letter",
        ),
        ("name: a\ntitle: x\n", "r.yaml:1:1: `steps` is missing"),
        (
            "name: a\ntitle: x\nsteps: []\n",
            "r.yaml:3:1: `steps`: expected at least 1 item(s), got a list of 0",
        ),
        (HEAD + "  - app", "r.yaml:4:5: item 1 of `steps`: expected a map of keys, got the text 'app'"),
        (HEAD + "  - http.probe: {}", "r.yaml:4:5: `id` is missing in item 1 of `steps`"),
        (HEAD + "  - id: app", "r.yaml:4:5: a step has a kind (as in `http.probe: {}`)"),
        (
            HEAD + "  - id: app\n    http.prob: {}",
            "r.yaml:5:5: there is no step kind `http.prob` (did you mean `http.probe`?)",
        ),
        (
            HEAD + "  - id: app\n    zzz: {}",
            "r.yaml:5:5: there is no step kind `zzz` (there are: http.probe, postgres.connections)",
        ),
        (
            HEAD + "  - id: app\n    titel: x\n    http.probe: {}",
            "r.yaml:5:5: there is no step kind `titel` (did you mean `title`?)",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {}\n    postgres.connections: {}",
            "r.yaml:6:5: one kind in a step; this one has http.probe and postgres.connections",
        ),
        (
            HEAD + "  - {id: app, http.probe: {}}\n  - {id: app, http.probe: {}}",
            "r.yaml:5:10: there is a step `app` in line 4 already",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {pth: /}",
            "r.yaml:5:18: unknown key `pth` (did you mean `path`?)",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {samples: many}",
            "r.yaml:5:27: `samples`: expected a whole number, got the text 'many'",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {warning: {elapsed: {above: 5}}}",
            "r.yaml:5:18: `warning`: http.probe has no output 'elapsed'; it has elapsed_ms",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {timeout: 1h}",
            "r.yaml:5:27: `timeout`: it must be longer than 0s and at most 10m",
        ),
        (
            HEAD + "  - id: app\n    http.probe: [1]",
            "r.yaml:5:5: `http.probe`: expected a map of keys, got a list of 1",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {target: ap}",
            "r.yaml:5:26: there is no target `ap` (did you mean `app`?)",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {target: db2}",
            (
                "r.yaml:5:26: there is no target `db2`"
                " (did you mean `db`? it is a postgres target; http.probe needs an http target)"
            ),
        ),
        (
            HEAD + "  - id: app\n    http.probe: {target: somewhere}",
            "r.yaml:5:26: there is no target `somewhere` (http.probe needs an http target: app, odd)",
        ),
        (
            HEAD + "  - id: app\n    http.probe: {target: db}",
            "r.yaml:5:26: `db` is a postgres target; http.probe needs an http target (there is app, odd)",
        ),
        (
            "schedule: [{cron: '0 9 * *'}]\n" + HEAD + "  - {id: a, http.probe: {}}",
            (
                "r.yaml:1:19: `cron`: five fields: minute, hour, day of month, month, day of week,"
                " as in '0 9 * * mon-fri'"
            ),
        ),
        (
            "schedule: [{every: 5m, timezone: Europe/Berln}]\n" + HEAD + "  - {id: a, http.probe: {}}",
            "r.yaml:1:34: `timezone`: there is no time zone 'Europe/Berln' (did you mean `Europe/Berlin`?)",
        ),
        (
            "schedule: [{report: digest}]\n" + HEAD + "  - {id: a, http.probe: {}}",
            "r.yaml:1:12: item 1 of `schedule`: a schedule has one of `cron:`, `on:` and `every:`",
        ),
        (
            "escalation: [{to: x}]\n" + HEAD + "  - {id: a, http.probe: {}}",
            "r.yaml:1:14: `when` is missing in item 1 of `escalation`",
        ),
    ],
)
def test_a_wrong_runbook_says_where_and_what(text: str, expected: str) -> None:
    """Each wrong line gives one fault, with its place and the nearest right thing."""
    assert faults(text) == [expected]


def test_a_target_that_is_itself_at_fault_is_not_blamed_on_the_step() -> None:
    """A step may name a target whose type cannot be read; that is said once, where it is."""
    assert load(HEAD + "  - {id: a, http.probe: {target: odd}}").steps[0].check.target == "odd"


def test_the_faults_of_all_steps_come_at_once() -> None:
    """A fault in one step does not hide those of the others, nor those of the head."""
    text = (
        "nam: x\ntitle: 5\nsteps:\n  - {id: a, htp.probe: {}}\n  - {id: b, http.probe: {x: 1, target: q}}\n"
    )

    assert [fault.split(" ")[0] for fault in faults(text)] == [
        "r.yaml:1:1:",
        "r.yaml:1:1:",
        "r.yaml:2:8:",
        "r.yaml:4:13:",
        "r.yaml:5:26:",
        "r.yaml:5:40:",
    ]


def write(folder: Path, name: str, text: str) -> None:
    """A file in a folder that is made if need be."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


ONE = "name: {}\ntitle: {}\nsteps:\n  - {{id: a, http.probe: {{}}}}\n"


def test_a_teams_runbook_replaces_the_shipped_one(tmp_path: Path) -> None:
    """By name, wherever the file is; the others stay."""
    write(tmp_path, "shipped/daily/health.yaml", ONE.format("health", "shipped"))
    write(tmp_path, "shipped/weekly/audit.yaml", ONE.format("audit", "shipped"))
    write(tmp_path, "own/a/b/c.yml", ONE.format("health", "own"))
    write(tmp_path, "own/.hidden/health.yaml", ONE.format("health", "hidden"))
    write(tmp_path, "own/README.md", "not a runbook")

    found = load_library(tmp_path / "own", TARGETS, kinds=KINDS, shipped=tmp_path / "shipped")

    assert {name: runbook.title for name, runbook in found.items()} == {"audit": "shipped", "health": "own"}


def test_two_files_of_one_folder_cannot_have_the_same_name(tmp_path: Path) -> None:
    """The fault names both files."""
    write(tmp_path, "own/a.yaml", ONE.format("health", "a"))
    write(tmp_path, "own/b.yaml", ONE.format("health", "b"))

    with pytest.raises(ConfigError) as caught:
        load_library(tmp_path / "own", TARGETS, kinds=KINDS, shipped=tmp_path / "none")

    assert str(caught.value) == (
        f"{tmp_path}/own/b.yaml:1:7: there is a runbook `health` in {tmp_path}/own/a.yaml already"
    )


def test_the_runbooks_that_ship_are_right() -> None:
    """Every shipped runbook names kinds, fields and outputs that there are, and no target of its own."""
    found = load_library(None, {})

    assert "health" in found
    named = [step.fields.get("target", EVERY) for runbook in found.values() for step in runbook.steps]
    assert [name for name in named if name != EVERY and not name.startswith("{{ params.")] == []


def test_the_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    """One file that is not YAML and one with a wrong key are both listed."""
    write(tmp_path, "own/a.yaml", "name: 'x\n")
    write(tmp_path, "own/b.yaml", ONE.format("b", "b") + "foo: 1\n")
    (tmp_path / "own/c.yaml").symlink_to(tmp_path / "gone")

    with pytest.raises(ConfigError) as caught:
        load_library(tmp_path / "own", TARGETS, kinds=KINDS, shipped=tmp_path / "none")

    assert [fault.where.removeprefix(f"{tmp_path}/own/") for fault in caught.value.faults] == [
        "a.yaml:1:7",
        "b.yaml:5:1",
        "c.yaml",
    ]


_WORDS = st.sampled_from(
    ["a", "b", "app", "{{ params.a }}", "x{{ item }}", "{{ steps.a.key }}", "{{", "steps.a.key", "params.a"]
)
_KEYS = st.sampled_from(
    [
        *("id", "title", "http.probe", "command", "watch", "target", "argv", "checks", "x", "a"),
        *("when", "for_each", "at_once", "retry", "rollback", "parallel", "steps", "type", "default"),
        *("params.a", "steps.a.key", "equals", "in", "above", "{{ params.a }}"),
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_STEPS = st.lists(
    st.fixed_dictionaries(
        {"id": _WORDS},
        optional={
            "title": _WORDS,
            "when": st.dictionaries(_WORDS, _JSON, max_size=2),
            "for_each": _JSON,
            "retry": _JSON,
            "rollback": _JSON,
            "parallel": _JSON,
            "steps": _JSON,
            "http.probe": _JSON,
            "command": st.fixed_dictionaries({"target": _WORDS, "argv": st.lists(_WORDS, max_size=2)}),
            "watch": _JSON,
        },
    )
    | _JSON,
    max_size=3,
)


@given(
    st.fixed_dictionaries(
        {"name": st.just("a"), "title": _WORDS, "steps": _STEPS},
        optional={
            "params": st.dictionaries(_WORDS, _JSON, max_size=2),
            "locks": _JSON,
            "rollback": _STEPS,
            "schedule": _JSON,
            "escalation": _JSON,
        },
    )
    | st.dictionaries(st.sampled_from(["name", "title", "steps", "params", "locks"]), _JSON)
)
def test_any_data_is_a_runbook_or_has_faults(data: object) -> None:
    """Whatever a file holds, the answer is a runbook or a ConfigError."""
    document = parse(json.dumps(data).encode(), "r.yaml")
    try:
        made: Runbook | ConfigError = parse_runbook(document, ALL_KINDS, TARGETS)
    except ConfigError as error:
        made = error

    assert isinstance(made, Runbook) or made.faults
