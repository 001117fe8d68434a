"""06: whether somebody may is looked at at the command, at the approval, and before every effect.
Also kept by tests/runs/test_authority.py, tests/test_authority.py and tests/scenario/test_membership.py."""

from typing import Any

import pytest

from commands.rights import refused_now
from runbooks.access import Access, Approval
from runbooks.targets import HttpTarget
from tests.commands.world import OPS, TARGETS, grant, run_row

ALLOWED = grant(2, role="dev", runbooks=("deploy",), environments=("production",), channels=("ops",))
DENIED = grant(3, role="dev", runbooks=("deploy",), deny=True)
MOVED = {
    **TARGETS,
    "app": HttpTarget(type="http", name="app", url="https://app.example.com", environment="bank"),
}
GONE = {name: target for name, target in TARGETS.items() if name != "app"}
#: What changed while the run was under way: roles, grants, targets.
HOSTILE: dict[str, tuple[set[str], tuple[Any, ...], Any]] = {
    "the role was taken away": (set(), (ALLOWED,), TARGETS),
    "the grant was removed": ({"dev"}, (), TARGETS),
    "the grant is for another runbook": ({"dev"}, (grant(2, role="dev", runbooks=("clean",)),), TARGETS),
    "the grant is for another channel": (
        {"dev"}, (grant(2, role="dev", runbooks=("deploy",), channels=("alerts",)),), TARGETS,
    ),
    "somebody denied it": ({"dev"}, (ALLOWED, DENIED), TARGETS),
    "it needs a second person now": (
        {"dev"}, (grant(2, role="dev", runbooks=("deploy",), approval=Approval(by=("sre",))),), TARGETS,
    ),
    "its target is in another environment": ({"dev"}, (ALLOWED,), MOVED),
    "its target is not in maint.yaml any more": ({"dev"}, (ALLOWED,), GONE),
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_what_was_allowed_at_the_start_is_judged_by_what_holds_now(
    change: tuple[set[str], tuple[Any, ...], Any],
) -> None:
    """With a reason that people read."""
    roles, grants, targets = change

    assert refused_now(Access(frozenset(roles), grants, OPS), run_row(), targets)


def test_what_is_still_allowed_goes_on() -> None:
    """The refusals above are not for another reason."""
    assert refused_now(Access(frozenset({"dev"}), (ALLOWED,), OPS), run_row(), TARGETS) == ""
