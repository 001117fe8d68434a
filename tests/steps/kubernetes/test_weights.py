"""The weights of a canary, by pods and by a route: set, told, and put back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.action import Call
from runbooks.steps.kubernetes_canary import KubernetesCanary, pods_for
from runbooks.steps.kubernetes_route import KubernetesRoute
from tests.steps.kubernetes.clusters import Cluster, call_of


def canary(weight: float) -> KubernetesCanary:
    return KubernetesCanary(target="k8s", stable="app", canary="app-canary", replicas=4, weight=weight)


def route(weight: float, **more: Any) -> KubernetesRoute:
    fields = {"target": "k8s", "route": "web", "stable": "app", "canary": "app-canary", "weight": weight}
    return KubernetesRoute.model_validate({**fields, **more})


def before(call: Call, recorded: Any) -> Call:
    return call_of(call.connections, *call.targets.values(), before=recorded)


@given(weight=st.floats(0, 100), replicas=st.integers(2, 5000))
def test_a_weight_between_leaves_pods_to_both(weight: float, replicas: int) -> None:
    """No pod at 0, all at 100, and in between some for each, as near as pods allow."""
    pods = pods_for(weight, replicas)

    if 0 < weight < 100:
        assert 1 <= pods <= replicas - 1
        nearest = abs(pods - replicas * weight / 100)
        assert nearest <= 0.5 + 1e-6 or pods in (1, replicas - 1)
    else:
        assert pods == (replicas if weight else 0)


async def test_a_weight_becomes_pods_of_both(cluster: Cluster, call: Call) -> None:
    """What is possible with four pods is told."""
    await cluster.deploy("app", replicas=4)
    await cluster.deploy("app-canary", replicas=0)

    done = await canary(10).act(cluster.target, call)

    await cluster.settled("app", 3)
    await cluster.settled("app-canary", 1)
    assert done.values == {"percent": 25.0, "stable_replicas": 3, "canary_replicas": 1}
    assert done.summary == "the canary has 1 of 4 pods, 25 % (10 % is not possible with 4)"


async def test_a_canary_is_undone_to_the_recorded_pods(cluster: Cluster, call: Call) -> None:
    """Whatever stages came between."""
    await cluster.deploy("app", replicas=5)
    await cluster.deploy("app-canary", replicas=0)
    first = canary(25)
    recorded = await first.record(cluster.target, call)
    await first.act(cluster.target, call)
    after = await first.record(cluster.target, call)
    assert await first.changed_since(cluster.target, call, after) == ()
    await canary(100).act(cluster.target, call)
    assert len(await first.changed_since(cluster.target, call, after)) == 2

    await first.undo(cluster.target, before(call, recorded))

    await cluster.settled("app", 5)
    await cluster.settled("app-canary", 0)


async def test_no_pod_is_taken_away_before_its_successor_serves(cluster: Cluster, call: Call) -> None:
    """A canary that does not become ready leaves every stable pod in place."""
    await cluster.deploy("app", replicas=4)
    await cluster.deploy("app-canary", replicas=0, image="registry/app:bad")

    with pytest.raises(
        StepError, match=r"app-canary makes no progress for . s: 0 of 2 new pods are available"
    ):
        await canary(50).act(cluster.target, call)

    await cluster.settled("app", 4)


@pytest.mark.parametrize("weight", [10, 2.5, 100, 0])
async def test_a_route_gets_exact_weights(cluster: Cluster, call: Call, weight: float) -> None:
    """In the rule that has both Services; parts of a percent too."""
    await cluster.route()

    done = await route(weight).act(cluster.target, call)

    assert await cluster.weights() == [10_000 - weight * 100, weight * 100]
    assert done.values == {"percent": weight, "percent_before": 0.0}
    other = (await cluster.get("httproutes", "web"))["spec"]["rules"][0]["backendRefs"]
    assert [item["name"] for item in other] == ["docs"]


async def test_a_route_is_undone_to_the_recorded_weights(cluster: Cluster, call: Call) -> None:
    """As they were written: 1 and 0."""
    await cluster.route()
    step = route(10)
    recorded = await step.record(cluster.target, call)
    await step.act(cluster.target, call)
    after = await step.record(cluster.target, call)
    assert await step.changed_since(cluster.target, call, after) == ()
    await route(50).act(cluster.target, call)
    assert len(await step.changed_since(cluster.target, call, after)) == 1

    await step.undo(cluster.target, before(call, recorded))

    assert await cluster.weights() == [1, 0]


async def test_a_route_that_no_gateway_carries_out_is_a_failure(cluster: Cluster, call: Call) -> None:
    """The weights are in the object, but no request follows them."""
    cluster.nodes.gateway = False
    await cluster.route()

    with pytest.raises(StepError, match="no gateway says that it carries the route out"):
        await route(10, timeout="1s").act(cluster.target, call)


async def test_a_route_without_both_services_is_refused(cluster: Cluster, call: Call) -> None:
    """A typing error must not set half of a split."""
    await cluster.route()

    with pytest.raises(StepError, match="no rule with both Services, app and app-canari"):
        await route(10, canary="app-canari").record(cluster.target, call)


def test_stable_and_canary_are_two() -> None:
    """One name twice would scale a Deployment against itself."""
    with pytest.raises(ValidationError, match="two Deployments"):
        KubernetesCanary(target="k8s", stable="app", canary="app", replicas=4, weight=10)
