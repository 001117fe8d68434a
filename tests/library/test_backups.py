"""The runbooks for backups that ship: what their plans say, and who must agree."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from runbooks.spec.library import load_library
from runbooks.spec.lint import lint
from runbooks.spec.params import parse_params
from runbooks.spec.plan import Plan, make_plan
from runbooks.spec.runbook import Runbook
from runbooks.targets import BackupsTarget, PostgresTarget, TargetBase

TARGETS: Mapping[str, TargetBase] = {
    "db": PostgresTarget(type="postgres", name="db", url=SecretStr("postgresql://db.invalid/shop")),
    "backups": BackupsTarget(type="backups", name="backups", folder="/var/backups/maint"),
}
NAMES = ("backup-daily", "backup-weekly", "backup-verify", "restore-database", "restore-table")


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
    assert lint(found, {"sre": ("U1", "U2", "U3")}) == ()


def test_a_daily_backup_asks_nobody_and_locks_nothing() -> None:
    """It only reads the database, and adds a file."""
    found = plan("backup-daily", target="db", store="backups")

    assert [step.kind for step in found.steps] == ["postgres.backup", "backup.age"]
    assert found.locks == ()
    assert found.warnings == ()
    assert {"db", "backups"} <= set(found.targets)
    assert all(step.repeatable for step in found.steps)


def test_a_weekly_backup_keeps_what_was_agreed_on() -> None:
    """The numbers are in the plan that people approve; what goes is asked about only when there is some."""
    found = plan("backup-weekly", target="db", store="backups", daily="14")
    look = next(step for step in found.steps if step.kind == "backup.preview")

    assert "14 daily, 4 weekly, 12 monthly, 7 yearly" in look.lines[0]
    assert [step.when for step in found.steps if step.kind == "gate"] == ["steps.look.count > 0"]


def test_a_restore_beside_asks_nobody_and_one_over_a_database_asks_two() -> None:
    """By what was given, before anything begins."""
    beside = plan("restore-database", target="db", reason="who bought socks")
    over = plan(
        "restore-database", target="db", database="shop", replace="true", confirm="shop", reason="it is lost"
    )

    assert [step.id for step in beside.steps if not step.skipped] == ["look", "restore"]
    assert [step.id for step in over.steps if not step.skipped] == ["look", "two", "replace"]
    assert "2 different people" in next(step.gate for step in over.steps if step.id == "two")
    assert over.locks == ("db",)
