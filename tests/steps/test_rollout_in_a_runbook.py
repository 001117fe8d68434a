"""A rollout and its watch as a runbook has them: references, plans, and faults at their places."""

import pytest

from runbooks.errors import ConfigError
from runbooks.spec.plan import Plan, make_plan
from runbooks.spec.runbook import parse_runbook
from runbooks.spec.source import parse
from runbooks.steps import KINDS
from runbooks.targets import HttpTarget
from tests.steps.moving import app_at

TEXT = """\
name: deploy-rollout
title: Gradual rollout of {{ params.version }}
params:
  version: {type: string, prompt: Version to roll out}
  slow: {type: integer, default: 2000}
  soak: {type: duration, default: 1h}
steps:
  - id: shift
    rollout:
      target: app
      to: '{{ params.version }}'
      stages: [10, 100]
      soak: '{{ params.soak }}'
      verify:
        - http.probe: {target: app, path: /health, critical: {elapsed_ms: {above: '{{ params.slow }}'}}}
      between: {gate: {approvers: [sre]}}
  - id: watch
    soak: {for: 24h, every: 5m, checks: [shift.verify]}
"""
TRAFFIC = {"command": {"host": "web-1", "get": ["weights"], "set": ["shift", "{version}", "{weight}"]}}


def plan(text: str = TEXT) -> Plan:
    """The plan of that runbook for 2.0.0, soaked for half an hour."""
    book = parse_runbook(parse(text.encode(), "r.yaml"), KINDS, {"app": HttpTarget})
    values = {"version": "2.0.0", "slow": 700, "soak": "30m"}
    return make_plan(book, values, {"app": app_at("http://localhost", TRAFFIC)})


def test_references_reach_the_stages_and_the_checks() -> None:
    """Version, time and threshold are those of the parameters."""
    shift, watch = plan().steps

    assert '10 %: on web-1: ["shift", "2.0.0", "10"], then soaks 30m' in shift.lines
    assert "checks http.probe of app: critical: response time > 700 ms" in shift.lines
    assert (shift.target, shift.risk) == ("app", "high")
    assert shift.gate == "1 person of sre must approve between two stages"
    assert watch.lines[:2] == ("for 1d, with checks every 5m", "checks of shift.verify")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("shift.verify", "shft.verify", "r.yaml:18:42: there is no step `shft`"),
        ("shift.verify", "watch.checks", "does not come first"),
        ("path: /health", "path: health", "r.yaml:15:43: `path`: expected a text that"),
        ("http.probe: {target: app", "http.probe: {target: ap", "there is no target `ap`"),
        ("stages: [10, 100]", "stages: [100, 10]", "`stages:` rise"),
        ("approvers: [sre]", "approvers: []", "at least 1 item"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(old: str, new: str, fault: str) -> None:
    """When the file is read."""
    assert TEXT.count(old) == 1

    with pytest.raises(ConfigError) as raised:
        plan(TEXT.replace(old, new))

    assert fault in str(raised.value)
