"""Which trouble goes where."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from runbooks.spec.source import read
from runbooks.spec.validate import validate
from runbooks.watch import policies
from runbooks.watch.policies import Escalation, Policy, Route, Trouble, make_router

SHIPPED = Path(policies.__file__).with_name("default_escalation.yaml")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


def shipped() -> Escalation:
    found, faults = validate(read(SHIPPED), Escalation)
    assert not faults
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("trouble", "policy", "first"),
    [
        (Trouble(severity="critical", runbook="health", step="services"), "service-down", "devops"),
        (Trouble(severity="critical", runbook="health", step="app"), "service-down", "devops"),
        (Trouble(severity="critical", runbook="health", step="errors", value=6), "error-rate", "engineering"),
        (Trouble(severity="critical", runbook="health", step="app", value=2400), "slow", "oncall"),
        (Trouble(severity="warning", step="failed-workflows", value=4), "failed-workflows", "engineering"),
        (Trouble(severity="warning", step="connections", value=81), "connections", "oncall"),
        (Trouble(severity="warning", step="costs", value=51), "costs", "devops"),
    ],
)
def test_the_seeds_rules_ship(trouble: Trouble, policy: str, first: str) -> None:
    """Without a word in maint.yaml."""
    router = make_router(Escalation(), shipped())

    assert router.way(trouble, NOON).policy == policy
    assert router.policies[policy].levels[0].who == (first,)


def test_a_service_that_is_down_is_paged_at_once() -> None:
    """The first level has no delay, and wakes people up."""
    level = shipped().policies["service-down"].levels[0]

    assert (level.after, "page" in level.by) == (timedelta(0), True)


def test_below_the_seeds_thresholds_nobody_is_called() -> None:
    """A warning stands in its channel, and that is all."""
    router = make_router(Escalation(), shipped())

    for step, value in [("errors", 4.9), ("app", 800.0), ("connections", 80.0)]:
        trouble = Trouble(severity="warning", runbook="health", step=step, value=value)
        assert router.way(trouble, NOON).policy == ""


def test_routes_of_maint_yaml_come_first_and_channel_and_policy_may_come_from_two() -> None:
    """By severity, target, owner and hours."""
    own = Escalation.model_validate(
        {
            "policies": {"night": {"levels": [{"who": "UBOB"}]}},
            "routes": [
                {"severity": "critical", "hours": "Mon-Fri 18:00-08:00", "policy": "night"},
                {"target": "shop-*", "channel": "shop"},
                {"owner": "platform", "labels": {"team": "db*"}, "channel": "platform"},
            ],
        }
    )
    router = make_router(own, shipped())
    trouble = Trouble(severity="critical", runbook="health", step="services", target="shop-1")

    by_day, by_night = router.way(trouble, NOON), router.way(trouble, NOON.replace(hour=3))
    assert (by_day.policy, by_day.channel) == ("service-down", "shop")
    assert (by_night.policy, by_night.channel) == ("night", "shop")
    mine = Trouble(severity="info", owner="platform", labels={"team": "dba"})
    assert router.way(mine, NOON).channel == "platform"


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([], "at least 1"),
        ([{"who": "U1", "after": "10m"}, {"who": "U2", "after": "5m"}], "counted from the beginning"),
        ([{"who": "two words"}], "name a rotation"),
        ([{"who": "U1", "after": "31d"}], "longer than 30d"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(levels: list[object], said: str) -> None:
    """With words that say what is wrong."""
    with pytest.raises(ValidationError, match=said):
        Policy.model_validate({"levels": levels})


def test_a_route_leads_somewhere() -> None:
    """One that does not is a mistake."""
    with pytest.raises(ValidationError, match="leads to"):
        Route.model_validate({"severity": "critical"})


def test_each_level_comes_after_the_one_before() -> None:
    """`after` counts from the beginning, the gaps from level to level."""
    policy = Policy.model_validate({"levels": [{"who": "U1", "after": "5m"}, {"who": "U2", "after": "15m"}]})

    assert policy.gaps() == (timedelta(minutes=5), timedelta(minutes=10))
