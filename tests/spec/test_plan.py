"""A plan shows everything that would be done, and its digest stands for all of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from runbooks.errors import UsageError
from runbooks.spec.params import parse_params
from runbooks.spec.plan import Plan, PlannedStep, differences, digest_of, make_plan
from runbooks.spec.runbook import Runbook, from_source
from runbooks.targets import HttpTarget, PostgresTarget, TargetBase
from tests.spec.kinds import ALL_KINDS

CANARY = "cAnArY-5f1c"
SOURCE = """\
name: roll
title: Roll {{ params.version }}
params:
  version: {pattern: '\\d+(\\.\\d+)*'}
  env: {type: choice, choices: [staging, production], default: staging}
  webs: {type: list, items: {type: target, of: http}, default: [app]}
  token: {secret: true, required: false}
locks: [db, '{{ params.webs }}']
steps:
  - {id: backup, backup: {target: db}}
  - {id: sure, when: {params.env: {equals: production}}, gate: {approvers: [sre], quorum: 2}}
  - id: put
    title: Put {{ params.version }} on {{ item }}
    for_each: '{{ params.webs }}'
    command: {target: '{{ item }}', argv: [deploy, 'v{{ params.version }}'], password: '{{ params.token }}'}
    rollback: {title: Take it back, command: {target: '{{ item }}', argv: [back, '{{ steps.backup.key }}']}}
  - id: look
    parallel:
      - {id: fast, http.probe: {target: app, path: /health, critical: {above: 500}}}
      - {id: base, postgres.connections: {}}
  - id: each-key
    for_each: '{{ steps.backup.key }}'
    steps:
      - {id: drop, command: {target: app, argv: [drop, '{{ item }}']}}
rollback:
  - {id: tell, command: {target: app, argv: [tell, '{{ run.requester }}']}}
"""
TARGETS: dict[str, TargetBase] = {
    "app": HttpTarget(type="http", url="https://app.example", name="app"),
    "two": HttpTarget(type="http", url="https://two.example", name="two"),
    "db": PostgresTarget(type="postgres", url=SecretStr(f"postgresql://u:{CANARY}-db@h/d"), name="db"),
}
TYPES = {name: type(target) for name, target in TARGETS.items()}


def load(source: str = SOURCE) -> Runbook:
    """The runbook in that text."""
    return from_source("roll.yaml", source, ALL_KINDS, TYPES)


def plan(
    source: str = SOURCE, targets: dict[str, TargetBase] | None = None, phase: str = "forward", **given: Any
) -> Plan:
    """The plan of that runbook for version 1.2, and what else is given."""
    runbook = load(source)
    there = targets or TARGETS
    params = parse_params(runbook.params, {"version": "1.2", **given}, there)
    return make_plan(runbook, params, there, phase=phase)


def at(made: Plan, path: str) -> PlannedStep:
    """The step of that path."""
    (found,) = [step for step in (*made.steps, *made.rollback) if step.path == path]
    return found


def test_a_plan_has_every_step_with_its_path() -> None:
    """Items of a known list one by one, those of an output as one; then what a rollback would do."""
    made = plan(webs="app,two", env="production")

    assert made.title == "Roll 1.2"
    assert made.locks == ("db", "app", "two")
    assert [step.path for step in made.steps] == [
        "backup",
        "sure",
        "put[0]",
        "put[1]",
        "look",
        "look.fast",
        "look.base",
        "each-key",
        "each-key[*].drop",
    ]
    assert [step.path for step in made.rollback] == [
        "rollback:put[1]",
        "rollback:put[0]",
        "rollback:backup",
        "rollback:tell",
    ]


def test_a_step_of_a_plan_says_what_it_would_do() -> None:
    """Resolved: on what, which command, how risky, who decides, and what would undo it."""
    made = plan(webs="app,two", env="production", token=CANARY)

    assert at(made, "put[1]") == PlannedStep(
        path="put[1]",
        id="put",
        title="Put 1.2 on two",
        kind="command",
        target="two",
        lines=("deploy v1.2", "password •••"),
        risk="high",
        repeatable=False,
        undo=("back {{ steps.backup.key }}",),
    )
    assert at(made, "sure").gate == "2 of sre"
    assert at(made, "sure").when == "params.env = production"
    assert at(made, "look.fast").lines == (
        "measures the time of app",
        "critical: time > 500 ms",
        "path: /health",
    )
    assert at(made, "backup").undo == ("puts back what `backup` found before it changed anything",)
    assert at(made, "each-key[*].drop").unresolved == ("item",)
    assert at(made, "rollback:put[0]").title == "Take it back"
    assert at(made, "rollback:put[0]").unresolved == ("steps.backup.key",)
    assert made.targets["two"] == "https://two.example (http, production)"


def test_a_step_that_will_not_run_is_shown_as_skipped() -> None:
    """The plan says why."""
    sure = at(plan(), "sure")

    assert sure.skipped
    assert sure.when == "params.env = production; skipped, as params.env is staging, not = production"


def test_a_risk_on_a_target_that_is_not_locked_is_a_warning() -> None:
    """Two runs could act there at the same time."""
    made = plan(SOURCE.replace("locks: [db, '{{ params.webs }}']", "locks: [db]"))

    assert made.warnings == (
        "put[0] acts on app, which this run does not lock",
        "each-key[*].drop acts on app, which this run does not lock",
    )


def test_a_plan_of_a_rollback_is_what_undoes_everything() -> None:
    """Its steps are those that stand under rollback in the plan of the way forward."""
    forward, backward = plan(), plan(phase="rollback")

    assert backward.steps == forward.rollback
    assert backward.rollback == ()
    assert backward.digest != forward.digest


def test_what_does_not_fit_is_told_at_once() -> None:
    """A value that a step refuses, and a target that has gone, stop the plan."""
    source = SOURCE.replace(
        "- {id: backup,",
        "- {id: v, command: {target: two, argv: [x], version: '{{ params.env }}'}}\n  - {id: backup,",
    )
    targets = {name: target for name, target in TARGETS.items() if name != "db"}
    runbook = load(source)
    params = parse_params(runbook.params, {"version": "1"}, TARGETS)
    with pytest.raises(UsageError) as caught:
        make_plan(runbook, params, targets)

    assert "Step `v`: `version`: expected a text that matches" in str(caught.value)
    assert "Step `backup`: there is no target `db` that backup can act on." in str(caught.value)


def test_a_plan_is_json_and_keeps_its_digest_there() -> None:
    """Kept in a database and read again, it has the same digest."""
    made = plan(webs="app,two")

    assert digest_of(json.loads(json.dumps(made.as_json()))) == made.digest


def test_two_processes_come_to_the_same_digest() -> None:
    """Whatever their hash seeds are."""
    program = (
        "from tests.spec.test_plan import CANARY, plan\nprint(plan(webs='app,two', token=CANARY).digest)"
    )
    root = Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert digests == {plan(webs="app,two", token=CANARY).digest}


CHANGES = {
    "a parameter": lambda: plan(version="1.3"),
    "a parameter with a default": lambda: plan(env="production"),
    "a list": lambda: plan(webs="two"),
    "a secret": lambda: plan(token=CANARY),
    "another secret": lambda: plan(token=f"{CANARY}2"),
    "a target's address": lambda: plan(
        targets={**TARGETS, "app": TARGETS["app"].model_copy(update={"url": "https://new.example"})}
    ),
    "a target's environment": lambda: plan(
        targets={**TARGETS, "app": TARGETS["app"].model_copy(update={"environment": "test"})}
    ),
    "a command": lambda: plan(SOURCE.replace("[deploy,", "[deploy, --force,")),
    "what undoes": lambda: plan(SOURCE.replace("[back,", "[back, --force,")),
    "a comment": lambda: plan(SOURCE + "# changed\n"),
    "who approves": lambda: plan(SOURCE.replace("quorum: 2", "quorum: 1")),
    "a lock": lambda: plan(SOURCE.replace("locks: [db,", "locks: [db, two,")),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_changes_the_digest_and_is_said(change: str) -> None:
    """Whatever differs, an approval of the one is none of the other, and people are told why."""
    old, new = plan(), CHANGES[change]()

    assert new.digest != old.digest
    assert differences(old.as_json(), new.as_json())


def test_differences_are_said_in_words() -> None:
    """What was and what is."""
    old = plan()
    moved = {**TARGETS, "app": TARGETS["app"].model_copy(update={"url": "https://new.example"})}
    new = plan(SOURCE.replace("locks: [db,", "locks: ["), moved, version="1.3", token=CANARY)
    found = differences(old.as_json(), new.as_json())

    assert found[0] == "the title: was Roll 1.2, is Roll 1.3"
    assert "the parameter version: was 1.2, is 1.3" in found
    assert "the parameter token: was nothing, is •••" in found
    assert "the parameter token, a secret, is another" in found
    assert (
        "the target app: was https://app.example (http, production), "
        "is https://new.example (http, production)"
    ) in found
    assert "the lock of db is gone" in found
    assert "the step put[0]: was deploy v1.2, is deploy v1.3; password •••" in found
    assert found[-1] == "the text of the runbook was changed"
    assert CANARY not in repr(found)


def test_equal_plans_do_not_differ() -> None:
    """Nothing is said where nothing changed."""
    assert differences(plan().as_json(), plan().as_json()) == ()


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=0x2FF), max_size=40))
def test_a_secret_is_nowhere_in_a_plan(secret: str) -> None:
    """Neither as it is nor in the form that JSON gives it; not in the words of a plan either."""
    secret = f"{CANARY}{secret}"  # not by chance a word of the plan
    made = plan(token=secret)
    text = json.dumps(made.as_json(), ensure_ascii=False)

    assert secret not in text
    assert json.dumps(secret)[1:-1] not in text
    assert secret not in repr(made)


_JSON_PLANS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.text(max_size=3),
        "params": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2)),
        "secrets": st.dictionaries(st.sampled_from(["a", "b"]), st.text("xy", max_size=1)),
        "targets": st.dictionaries(st.sampled_from(["a", "b"]), st.text("xy", max_size=1)),
        "locks": st.lists(st.sampled_from(["a", "b"]), max_size=3),
        "warnings": st.lists(st.sampled_from(["a", "b"]), max_size=3),
        "steps": st.lists(
            st.fixed_dictionaries(
                {
                    "path": st.sampled_from(["a", "b", "c"]),
                    "lines": st.lists(st.sampled_from(["x", "y"]), max_size=3),
                    "skipped": st.booleans(),
                }
            ),
            max_size=3,
        ),
    },
)


@given(_JSON_PLANS, _JSON_PLANS)
def test_plans_differ_in_words_exactly_when_they_differ(old: dict[str, Any], new: dict[str, Any]) -> None:
    """No change goes without a word, and no word comes without a change."""
    assert bool(differences(old, new)) == (old != new)
