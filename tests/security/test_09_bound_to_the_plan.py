"""09: an approval is of one plan, to the letter. Also kept by tests/engine/test_gates.py,
tests/spec/test_plan.py and tests/scenario/test_gates.py, where a changed plan voids what was approved."""

from typing import Any

import pytest

from runbooks.targets import HttpTarget
from tests.spec.test_plan import SOURCE, TARGETS, plan

ELSEWHERE = HttpTarget(type="http", url="https://evil.example", name="app")
MOVED = HttpTarget(type="http", url="https://app.example", name="app", environment="bank")
LAST = "rollback:\n  - {id: tell"
#: What somebody changes after the approval.
HOSTILE: dict[str, dict[str, Any]] = {
    "a parameter": {"version": "1.3"},
    "one letter of it": {"version": "1.20"},
    "which machines": {"webs": "two"},
    "the environment that is asked for": {"env": "production"},
    "where a target is": {"targets": {**TARGETS, "app": ELSEWHERE}},
    "the environment of a target": {"targets": {**TARGETS, "app": MOVED}},
    "an argument": {"source": SOURCE.replace("argv: [deploy,", "argv: [destroy,")},
    "an argument of the way back": {"source": SOURCE.replace("argv: [back,", "argv: [destroy,")},
    "a step more": {"source": SOURCE.replace(LAST, f"  - {{id: more, backup: {{target: db}}}}\n{LAST}")},
    "who must approve": {"source": SOURCE.replace("quorum: 2", "quorum: 1")},
    "what it locks": {"source": SOURCE.replace("locks: [db,", "locks: [")},
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_another_plan_has_another_digest(change: dict[str, Any]) -> None:
    """So that what was approved is not what would run, and the approval is void."""
    assert plan(**change).digest != plan().digest


def test_the_same_plan_has_the_same_digest() -> None:
    """The differences above are the changes, and nothing else."""
    assert plan().digest == plan().digest
