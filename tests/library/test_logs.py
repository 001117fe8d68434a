"""The runbooks for logs that ship: what their plans say, and that their own tests hold."""

from collections.abc import Mapping
from typing import Any

import pytest

from runbooks.rehearsal.reading import file_beside
from runbooks.rehearsal.rehearse import load, rehearse
from runbooks.rehearsal.stage import World
from runbooks.spec.library import load_library
from runbooks.spec.lint import lint
from runbooks.spec.params import parse_params
from runbooks.spec.plan import Plan, make_plan
from runbooks.spec.runbook import Runbook
from runbooks.targets import HostTarget, LogsTarget, TargetBase

TARGETS: Mapping[str, TargetBase] = {
    "web-1": HostTarget(type="host", name="web-1"),
    "access-log": LogsTarget(type="logs", name="access-log", path="/var/log/access.log", format="nginx"),
}
NAMES = ("log-maintenance", "access-log-review")


def book(name: str) -> Runbook:
    """The runbook of that name."""
    return load_library(None, {each: type(target) for each, target in TARGETS.items()})[name]


def plan(name: str, **given: Any) -> Plan:
    """Its plan."""
    found = book(name)
    return make_plan(found, parse_params(found.params, given, TARGETS), TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_a_tired_person_wants_to_know(name: str) -> None:
    """Why it is there, whom to ask, what must be so before, how one sees that it worked, and the way back."""
    found = book(name)

    assert found.purpose
    assert found.owner
    assert found.prerequisites
    assert found.success_criteria
    assert found.rollback
    assert lint(found, {}) == ()


@pytest.mark.parametrize("name", NAMES)
async def test_its_own_tests_hold(name: str) -> None:
    """Those that stand beside it."""
    found = book(name)
    beside = file_beside(found.path)
    assert beside is not None

    for judgement in await rehearse([(found, load(found, beside))], World(targets=TARGETS, channels={})):
        assert judgement.faults == (), judgement


def test_maintenance_looks_first_and_deletes_only_what_it_showed() -> None:
    """Three previews, then rotation without force, packing, and deletions bound to the previews."""
    found = plan("log-maintenance", host="web-1", folder="/var/log/app")
    by_id = {step.path: step for step in found.steps}

    assert [step.risk for step in found.steps] == ["read", "read", "read", "low", "low", "medium", "medium"]
    assert "only what is due by its state" in by_id["rotate"].lines
    assert by_id["prune"].unresolved == ("steps.old.shown",)
    assert by_id["tmp"].unresolved == ("steps.unused.shown",)
    assert any("not written to for 30 d" in line for line in by_id["prune"].lines)
    assert found.locks == ("web-1",)
    assert found.warnings == ()
    assert all(step.repeatable for step in found.steps)


def test_a_review_only_reads() -> None:
    """It asks nobody, and locks nothing."""
    found = plan("access-log-review", log="access-log")

    assert [(step.kind, step.risk) for step in found.steps] == [("logs.access_review", "read")]
    assert found.locks == ()
