"""Grants of runbooks: nothing is granted to nobody."""

from typing import Any

import pytest

from runbooks.access import Access, Grant, Place, Touch, terminal_access, touched
from tests.commands.world import OPS, TARGETS

DIRECT = Place(id="D1", direct=True)


def on(*environments: str) -> set[Touch]:
    """A target in each of these."""
    return {Touch(target=f"one-of-{name}", environment=name) for name in environments}


def access(place: Place = OPS, **grant: Any) -> Access:
    """What somebody with the role sre may do there, with that one grant."""
    return Access(frozenset({"sre"}), (Grant(role="sre", **grant),), place)


@pytest.mark.parametrize(
    ("who", "environments", "allowed"),
    [
        (access(runbooks=("deploy",)), {"production"}, True),
        (access(runbooks=("dep*",)), {"production", "staging"}, True),
        (access(runbooks=("*",)), set(), True),
        (access(runbooks=("deploy",), environments=("staging",)), {"staging"}, True),
        (access(runbooks=("deploy",), environments=("staging",)), {"staging", "production"}, False),
        (access(runbooks=("deploy",), environments=("staging",)), {""}, False),
        (access(runbooks=("deploy",), channels=("ops",)), {"production"}, True),
        (access(runbooks=("deploy",), channels=("alerts",)), {"production"}, False),
        (access(DIRECT, runbooks=("deploy",)), {"production"}, False),
        (access(DIRECT, runbooks=("deploy",), channels=("direct",)), {"production"}, True),
        (access(runbooks=("clean",)), {"production"}, False),
        (access(commands=("*",)), {"production"}, False),
        (Access(frozenset(), (Grant(role="sre", runbooks=("*",)),), OPS), {"production"}, False),
        (terminal_access("sam", None, owner=True), {"production", ""}, True),
    ],
)
def test_one_grant_must_cover_the_runbook_its_environments_and_the_channel(
    who: Access, environments: set[str], allowed: bool
) -> None:
    """A grant of commands gives no runbook, and environments are not put together from several grants."""
    assert who.may_run("deploy", on(*environments)).allowed is allowed


def test_environments_of_two_grants_are_not_added_up() -> None:
    """Who may run it on staging and, by another grant, on production, may not on both at once."""
    grants = tuple(
        Grant(role="sre", runbooks=("deploy",), environments=(name,)) for name in ("staging", "production")
    )
    both = Access(frozenset({"sre"}), grants, OPS)

    assert both.may_run("deploy", on("staging")).allowed
    assert not both.may_run("deploy", on("staging", "production")).allowed


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"targets": {"app": "…"}}, {"production"}),
        ({"targets": {"app": "…", "preview": "…"}}, {"production", "staging"}),
        ({"targets": {"gone": "…"}}, {""}),
        ({"steps": [{"target": "preview", "steps": [{"target": "app"}]}]}, {"production", "staging"}),
        ({"rollback": [{"target": "app"}]}, {"production"}),
        ({"locks": ["app", "no target"]}, {"production"}),
        ({"steps": [{"target": "{{ steps.list.name }}"}]}, {""}),
        ({"steps": [{"target": "*"}, {"target": ""}]}, set()),
        ({}, set()),
    ],
)
def test_a_plan_touches_the_environments_of_all_its_targets(plan: dict[str, Any], found: set[str]) -> None:
    """A target that is known only later, or not any more, is in no environment: only `*` covers that."""
    assert {touch.environment for touch in touched(plan, TARGETS) if touch.somewhere} == found


def test_breaking_the_glass_is_granted_by_its_name_only() -> None:
    """`*` grants every command, and not this."""
    assert access(commands=("*",)).roles_granted("break-glass", on("production")) == frozenset()
    assert access(commands=("break-glass",)).roles_granted("break-glass", on("production")) == {"sre"}
    assert (
        access(commands=("break-glass",), channels=("alerts",)).roles_granted("break-glass", on("production"))
        == frozenset()
    )
