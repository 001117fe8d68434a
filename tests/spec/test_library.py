"""The runbooks that ship: they load whatever a team looks after, and their plans say what they would do."""

from collections.abc import Mapping
from typing import Any

import pytest

from runbooks.rehearsal.reading import file_beside
from runbooks.spec.library import load_library
from runbooks.spec.params import ParamFaults, parse_params
from runbooks.spec.plan import Plan, make_plan
from runbooks.targets import (
    HostTarget,
    HttpTarget,
    KubernetesTarget,
    TargetBase,
)

TRAFFIC = {"command": {"host": "web-1", "get": ["weights"], "set": ["shift", "{version}", "{weight}"]}}
TARGETS: Mapping[str, TargetBase] = {
    "app": HttpTarget.model_validate(
        {"type": "http", "name": "app", "url": "http://localhost", "traffic": TRAFFIC}
    ),
    "web-1": HostTarget(type="host", name="web-1"),
    "k8s": KubernetesTarget(type="kubernetes", name="k8s", in_cluster=True),
}


def plan(name: str, **given: Any) -> Plan:
    """The plan of that runbook."""
    book = load_library(None, {each: type(target) for each, target in TARGETS.items()})[name]
    return make_plan(book, parse_params(book.params, given, TARGETS), TARGETS)


def test_they_load_where_there_is_no_target_at_all() -> None:
    """What a team does not have keeps none of its settings from being read."""
    assert set(load_library(None, {})) == {
        "access-log-review",
        "backup-daily",
        "backup-verify",
        "backup-weekly",
        "database-maintenance",
        "deploy-rollout",
        "health",
        "log-maintenance",
        "performance-review",
        "restart-service",
        "restore-database",
        "restore-table",
        "rollback",
        "rotate-database-password",
        "scale-service",
        "slow-queries",
        "unused-indexes",
    }


def test_each_has_tests_beside_it() -> None:
    """`maint runbooks test` carries them out; tests/test_writing_runbooks.py does so here."""
    runbooks = load_library(None, {}).values()

    assert [each.name for each in runbooks if file_beside(each.path) is None] == []


def test_a_rollout_has_four_stages_of_an_hour_and_a_day_of_watching() -> None:
    """The library update of the seeds, with a gate before and between, and back by itself."""
    found = plan("deploy-rollout", target="app", version="2.1.0")
    before, go, shift, watch = found.steps

    assert found.locks == ("app",)
    assert before.kind == "http.probe"
    assert go.gate
    assert [line.partition(":")[0] for line in shift.lines if "soaks 1h" in line] == [
        "10 %",
        "25 %",
        "50 %",
        "100 %",
    ]
    assert "between two stages" in shift.gate
    assert any("rolled back" in line for line in shift.lines)
    assert watch.lines[:2] == ("for 1d, with checks every 5m", "checks of shift.verify")
    assert found.rollback


@pytest.mark.parametrize("how", ["at-once", "gradually"])
def test_a_rollback_goes_at_once_or_in_stages(how: str) -> None:
    """One of the two ways is taken, the other one is left out."""
    found = plan("rollback", target="app", version="2.0.0", reason="orders fail", how=how)

    assert [step.id for step in found.steps if not step.skipped] == ["go", how]


def test_a_restart_is_an_argument_list_with_the_unit_behind_a_dash_dash() -> None:
    """No shell reads the unit's name, and it cannot be an option."""
    found = plan("restart-service", host="web-1", service="app.service", reason="hangs")

    assert found.steps[1].lines[0] == "web-1 (this machine): sudo -n systemctl restart -- app.service"


@pytest.mark.parametrize("service", ["-app.service", "app; reboot", "app.timer", "../app.service"])
def test_only_a_services_name_can_be_restarted(service: str) -> None:
    """Options, commands, paths and other units are refused at the parameter."""
    with pytest.raises(ParamFaults) as caught:
        plan("restart-service", host="web-1", service=service, reason="hangs")
    assert "service" in caught.value.faults


@pytest.mark.parametrize(("replicas", "gates"), [(6, 0), (11, 1), (0, 1)])
def test_many_pods_and_none_are_for_people_to_decide(replicas: int, gates: int) -> None:
    """From one to ten nobody is asked."""
    found = plan("scale-service", cluster="k8s", deployment="app", replicas=replicas, reason="a sale")

    assert sum(step.kind == "gate" and not step.skipped for step in found.steps) == gates
