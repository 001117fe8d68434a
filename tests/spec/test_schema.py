"""The JSON Schemas: what editors accept and underline is what the loader does."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bot.settings import Settings
from bot.starter import write_starter
from runbooks.errors import ConfigError
from runbooks.rehearsal.case import Cases
from runbooks.spec.library import SHIPPED, files_of_tests
from runbooks.spec.runbook import parse_runbook
from runbooks.spec.schema import DIALECT, model_schema, runbook_schema, settings_schema
from runbooks.spec.source import parse
from runbooks.steps import CHECKS, KINDS

ROOT = Path(__file__).parents[2]
SCHEMA = runbook_schema()
RUNBOOK = Draft202012Validator(SCHEMA)
STEP = Draft202012Validator({"$ref": "#/$defs/step", "$defs": SCHEMA["$defs"]})
SETTINGS = Draft202012Validator(settings_schema(Settings))


def wrong(validator: Draft202012Validator, text: str) -> list[str]:
    """What the schema says against a file."""
    return [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(data_of(text))]


def data_of(text: str) -> Any:
    return parse(text.encode(), "file.yaml").data


def is_refused(text: str) -> bool:
    """Whether the loader refuses it."""
    try:
        parse_runbook(parse(text.encode(), "file.yaml"), KINDS, None)
    except ConfigError:
        return True
    return False


def steps_of_the_pages() -> list[Any]:
    found = []
    for page in sorted((ROOT / "docs" / "steps").glob("*.md")):
        for part in page.read_text(encoding="utf-8").split("```yaml\n")[1:]:
            if part.startswith("# step"):
                found += data_of(part.split("```")[0])
    return found


@pytest.mark.parametrize(
    "schema",
    [SCHEMA, settings_schema(Settings), model_schema(Cases, "tests")],
    ids=["runbook", "maint", "tests"],
)
def test_it_is_a_schema_of_that_dialect(schema: dict[str, Any]) -> None:
    """Draft 2020-12, and nothing in it is misspelled or refers to nothing."""
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert references(schema) <= {f"#/$defs/{name}" for name in schema["$defs"]}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def runbook_files() -> list[Path]:
    shipped = [path for path in SHIPPED.rglob("*.yaml") if path not in files_of_tests(SHIPPED)]
    return [*shipped, *(ROOT / "tests" / "commands" / "library").glob("*.yaml")]


@pytest.mark.parametrize("path", runbook_files(), ids=lambda path: path.stem)
def test_every_runbook_fits(path: Path) -> None:
    """What ships, and what the tests use."""
    assert wrong(RUNBOOK, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("step", steps_of_the_pages(), ids=lambda step: step["id"])
def test_every_example_of_a_step_fits(step: Any) -> None:
    """Every step on the pages about kinds."""
    assert [fault.message for fault in STEP.iter_errors(step)] == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_its_fields(kind: str) -> None:
    """Each key that people may write is there to be completed."""
    field = SCHEMA["$defs"]["step"]["properties"][kind]
    refs = [field, *field.get("anyOf", ())]
    name = next(each["$ref"] for each in refs if "$ref" in each).rpartition("/")[2]

    assert set(SCHEMA["$defs"][name]["properties"]) == set(KINDS[kind].written())
    assert field["title"] == KINDS[kind].title


DESIGN = r"""
name: deploy-rollout
title: Gradual rollout of {{ params.version }}
purpose: Shift traffic to a new version in stages, and back if it misbehaves.
owner: platform
params:
  version: {type: string, pattern: '^\d+\.\d+\.\d+$', prompt: Version to roll out}
locks: [app]
schedule:
  - {cron: '0 9 * * *', timezone: Europe/Berlin, channel: ops, missed: latest, params: {version: 1.2.3}}
  - {every: 5m, report: changes, channel: alerts, params: {version: 1.2.3}}
steps:
  - id: go
    gate:
      {approvers: [sre], quorum: 1, requester_may_approve: false, expires: 4h, remind: [1h], then: oncall}
  - id: shift
    rollout:
      target: app
      to: '{{ params.version }}'
      stages: [10, 25, 50, 100]
      soak: 1h
      every: 1m
      verify:
        - prometheus.query:
            {target: metrics, query: 'job:error_ratio', critical: {above: 0.05}, warning: {above: 0.01}}
        - {http.probe: {target: app, path: /health, critical: {elapsed_ms: {above: 2000}}}}
      between: {gate: {approvers: [sre]}}
      on_failure: rollback
  - id: watch
    soak: {for: 24h, every: 5m, checks: [shift.verify]}
escalation:
  - {when: {status: critical}, to: devops, page: true}
"""


def test_the_design_fits() -> None:
    """The rollout and the schedules that the design promises, with the kinds that there are."""
    assert not is_refused(DESIGN)
    assert wrong(RUNBOOK, DESIGN) == []


HEAD = "name: a\ntitle: A\nsteps:\n"


@pytest.mark.parametrize(
    "text",
    [
        "name: Big\ntitle: A\nsteps: [{id: a, wait: {for: 1m}}]\n",
        "name: a\nsteps: [{id: a, wait: {for: 1m}}]\n",
        "name: a\ntitle: A\nsteps: []\n",
        "name: a\ntitle: A\nsetps: [{id: a, wait: {for: 1m}}]\n",
        f"{HEAD}  - {{wait: {{for: 1m}}}}\n",
        f"{HEAD}  - {{id: a}}\n",
        f"{HEAD}  - {{id: a, wait: {{for: 1m}}, redis.ping: {{}}}}\n",
        f"{HEAD}  - {{id: a, weit: {{for: 1m}}}}\n",
        f"{HEAD}  - {{id: a, wait: {{for: soon}}}}\n",
        f"{HEAD}  - {{id: a, wait: }}\n",
        f"{HEAD}  - {{id: a, gate: {{approvers: [sre], quorum: many}}}}\n",
        f"{HEAD}  - {{id: a, gate: {{approvers: ['two words']}}}}\n",
        f"{HEAD}  - {{id: a, command: {{target: h, run: ls}}}}\n",
        f"{HEAD}  - {{id: a, redis.memory: {{critical: {{abov: 3}}}}}}\n",
        f"{HEAD}  - {{id: a, redis.memory: {{critical: {{used: {{above: 3}}}}}}}}\n",
        f"{HEAD}  - {{id: a, on_failure: ignore, wait: {{for: 1m}}}}\n",
        f"{HEAD}  - {{id: a, retry: {{attempts: 100}}, redis.ping: {{}}}}\n",
        f"{HEAD}  - {{id: a, at_once: 3, redis.ping: {{}}}}\n",
        f"{HEAD}  - {{id: a, steps: [{{id: b, redis.ping: {{}}}}]}}\n",
        f"{HEAD}  - {{id: a, for_each: [x], parallel: [{{id: b, redis.ping: {{}}}}]}}\n",
        f"{HEAD}  - {{id: a, parallel: [{{id: b, parallel: [{{id: c, redis.ping: {{}}}}]}}]}}\n",
        f"{HEAD}  - {{id: a, soak: {{for: 1h, checks: [{{wait: {{for: 1m}}}}]}}}}\n",
        f"{HEAD}  - {{id: a, when: {{params.x: {{is: 3}}}}, redis.ping: {{}}}}\n",
        f"{HEAD}  - {{id: a, command: {{target: h, run: [a]}}, rollback: {{command: {{run: [b]}}}}}}\n",
        f"params: {{Big: {{}}}}\n{HEAD}  - {{id: a, redis.ping: {{}}}}\n",
        f"params: {{x: {{type: text}}}}\n{HEAD}  - {{id: a, redis.ping: {{}}}}\n",
        f"schedule: [{{cron: 5}}]\n{HEAD}  - {{id: a, redis.ping: {{}}}}\n",
    ],
)
def test_what_the_schema_refuses_the_loader_refuses(text: str) -> None:
    """Wrong names, types, words, kinds and groups are underlined, and cannot be loaded."""
    assert wrong(RUNBOOK, text) != []
    assert is_refused(text)


COMPARED = (
    "rollout: {target: a, to: '1', compare: {stable: {redis.ping: {target: x}}, "
    "canary: {redis.ping: {target: y}}, critical: {above: 2}}}"
)


@pytest.mark.parametrize(
    "step",
    [
        "gate: {approvers: ['{{ params.who }}'], quorum: '{{ params.n }}', expires: '{{ params.d }}'}",
        "kubernetes.scale: {target: c, deployment: app, replicas: '{{ params.n }}'}",
        "redis.memory: {critical: {above: '{{ params.n }}'}}",
        "redis.memory: {critical: {used_percent: {above: '{{ params.n }}'}}}",
        "soak: {for: '{{ params.d }}', checks: [{redis.ping: {timeout: '{{ params.d }}'}}]}",
        "command: {target: h, run: [a, 5, true], environment: {N: 5}}",
        "http.request: {target: app, method: PUT, expect: 204, json: {a: [1, {b: null}]}}",
        "http.probe:",
        COMPARED,
    ],
)
def test_what_the_loader_takes_the_schema_takes(step: str) -> None:
    """References in place of every type, short forms, numbers where programs want text."""
    params = "params: {who: {}, n: {type: integer}, d: {type: duration}}\n"
    text = f"{params}{HEAD}  - {{id: a, {step}}}\n" if ":" in step else ""
    text = text if step != "http.probe:" else f"{HEAD}  - id: a\n    http.probe:\n"

    assert not is_refused(text)
    assert wrong(RUNBOOK, text) == []


@given(
    kind=st.sampled_from(sorted(CHECKS)),
    fields=st.dictionaries(
        st.sampled_from(["target", "timeout", "warning", "path", "method", "samples", "nonsense"]),
        st.one_of(
            st.sampled_from(["*", "app", "10s", "/health", "GET", "{{ run.id }}"]),
            st.integers(-3, 30),
            st.booleans(),
            st.dictionaries(st.sampled_from(["above", "below", "elapsed_ms"]), st.integers(0, 9), max_size=2),
        ),
        max_size=4,
    ),
)
def test_whatever_the_schema_refuses_is_wrong(kind: str, fields: dict[str, Any]) -> None:
    """Nothing that can be loaded is underlined, whatever is written."""
    text = yaml.safe_dump({"name": "a", "title": "A", "steps": [{"id": "a", kind: fields}]})

    assert is_refused(text) or wrong(RUNBOOK, text) == []


def test_the_settings_fit(tmp_path: Path) -> None:
    """What `maint init` writes, and values from the environment wherever they stand."""
    starter = write_starter(tmp_path, ("U0ALICE00",), ("ops=C0123ABCD",)).read_text(encoding="utf-8")
    referring = "http: {host: 127.0.0.1, port: '${PORT:-3000}'}\nslack: {mode: '${MODE}'}\n"

    assert wrong(SETTINGS, starter) == []
    assert wrong(SETTINGS, referring) == []


@pytest.mark.parametrize(
    "text",
    [
        "htpp: {}\n",
        "http: {port: many}\n",
        "targets: {app: {type: web}}\n",
        "targets: {app: {type: http}}\n",
        "targets: {app: {type: http, url: http://a.example, name: b}}\n",
    ],
)
def test_wrong_settings_do_not_fit(text: str) -> None:
    """Unknown keys, types and targets; `name` is the key itself."""
    assert wrong(SETTINGS, text) != []
