"""A runbook that begins with somebody's yes: the same gate whenever it is made, and no other plan changed."""

from dataclasses import replace
from typing import Any

from runbooks.spec.approval import with_approval
from runbooks.spec.plan import make_plan
from runbooks.spec.runbook import from_source
from runbooks.steps import KINDS
from runbooks.steps.gate import Gate

TEXT = """\
name: vacuum
title: Vacuum
steps:
  - {id: look, wait: {for: 1s}}
  - {id: approval, wait: {for: 1s}}
"""
RUNBOOK = from_source("vacuum.yaml", TEXT, KINDS)
APPROVAL: dict[str, Any] = {"by": ["sre", "U0ANN"], "people": 2, "expires": "8h", "grant": "maint.yaml:7"}


def test_it_is_the_first_step_with_a_name_that_is_free() -> None:
    """A runbook may have a step of that name already."""
    made = with_approval(RUNBOOK, APPROVAL)
    free = with_approval(replace(RUNBOOK, steps=RUNBOOK.steps[:1]), APPROVAL)

    assert [step.id for step in made.steps] == ["approval-2", "look", "approval"]
    assert [step.id for step in free.steps] == ["approval", "look"]
    gate = made.steps[0].sample
    assert isinstance(gate, Gate)
    assert (gate.approvers, gate.quorum, gate.requester_may_approve) == (("sre", "U0ANN"), 2, False)


def test_the_plan_keeps_what_the_gate_is_made_of_and_its_digest_is_the_same_again() -> None:
    """So a process that reads the runbook from its snapshot comes to the plan that was approved."""
    plan = make_plan(with_approval(RUNBOOK, APPROVAL), {}, {})
    again = make_plan(with_approval(RUNBOOK, plan.as_json()["approval"]), {}, {})

    assert plan.as_json()["approval"] == APPROVAL
    assert plan.digest == again.digest
    assert plan.steps[0].lines[0] == "2 different people of sre or U0ANN must approve"


def test_every_part_of_the_approval_is_in_the_digest() -> None:
    """Who, how many, until when, and under which grant."""
    others = [{"by": ["sre"]}, {"people": 1}, {"expires": "4h"}, {"grant": "maint.yaml:8"}]
    plans = [make_plan(with_approval(RUNBOOK, {**APPROVAL, **other}), {}, {}) for other in [{}, *others]]

    assert len({plan.digest for plan in plans}) == len(plans)


def test_a_plan_without_one_has_the_digest_that_it_always_had() -> None:
    """Runs that waited at a gate when Maint was upgraded go on waiting at it."""
    plan = make_plan(with_approval(RUNBOOK, None), {}, {})

    assert with_approval(RUNBOOK, None) is RUNBOOK
    assert "approval" not in plan.as_json()
