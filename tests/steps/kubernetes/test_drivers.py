"""What moves the traffic of a rollout in Kubernetes: it reads, sets and puts back."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.action import Call
from runbooks.steps.reach import Connections
from runbooks.steps.traffic import DRIVERS, TrafficDriver, driver_of, read_driver
from runbooks.targets import HttpTarget, KubernetesTarget
from tests.steps.kubernetes.clusters import Cluster, call_of

NEW, OLD = "registry/app:2.0.0", "registry/app:1.0.0"
CANARY = {"stable": "app", "canary": "app-canary", "replicas": 4}


def of(target: KubernetesTarget, **traffic: Any) -> tuple[KubernetesTarget, TrafficDriver]:
    """The target with that traffic, and its driver."""
    filled = target.model_copy(update={"traffic": read_driver(traffic)})
    return filled, driver_of(filled)


async def two(cluster: Cluster, canary_image: str = OLD, canaries: int = 0) -> None:
    await cluster.deploy("app", replicas=4)
    await cluster.deploy("app-canary", replicas=canaries, image=canary_image)


async def pods(cluster: Cluster) -> tuple[int, int]:
    found = [await cluster.get("deployments", name) for name in ("app", "app-canary")]
    stable, canary = (item["status"].get("availableReplicas", 0) for item in found)
    return stable, canary


async def test_a_canary_goes_through_its_stages_and_takes_over(cluster: Cluster, call: Call) -> None:
    """The canary gets the image and the pods; at 100 % the stable Deployment is the new version."""
    await two(cluster)
    target, driver = of(cluster.target, canary={**CANARY, "image": "registry/app:{version}"})
    seen = []
    for weight in (25, 50, 100):
        await driver.set(target, "2.0.0", weight, call)
        live = await driver.read(target, "2.0.0", call)
        seen.append((live.weight, live.version, await pods(cluster)))

    assert seen == [(25, "2.0.0", (3, 1)), (50, "2.0.0", (2, 2)), (100, "2.0.0", (4, 0))]
    assert await cluster.image("app") == NEW


async def test_a_takeover_can_be_repeated(cluster: Cluster, call: Call) -> None:
    """After a crash the last stage is set again, and nothing restarts."""
    await two(cluster)
    target, driver = of(cluster.target, canary={**CANARY, "image": "registry/app:{version}"})
    await driver.set(target, "2.0.0", 100, call)
    first = await cluster.get("deployments", "app")

    await driver.set(target, "2.0.0", 100, call)

    assert (await cluster.get("deployments", "app"))["metadata"]["generation"] == first["metadata"][
        "generation"
    ]
    assert await pods(cluster) == (4, 0)


@pytest.mark.parametrize("weight", [25, 100])
async def test_a_canary_is_restored_to_what_was_live(cluster: Cluster, call: Call, weight: float) -> None:
    """Images and pods of both, twice over."""
    await two(cluster)
    target, driver = of(cluster.target, canary={**CANARY, "image": "registry/app:{version}"})
    recorded = await driver.read(target, "2.0.0", call)
    await driver.set(target, "2.0.0", weight, call)

    await driver.restore(target, recorded, call)
    await driver.restore(target, recorded, call)

    assert recorded.weight == 0
    assert await pods(cluster) == (4, 0)
    assert (await cluster.image("app"), await cluster.image("app-canary")) == (OLD, OLD)


async def test_a_canary_of_another_version_gets_no_traffic(cluster: Cluster, call: Call) -> None:
    """Without an image to set, what runs there must be what is rolled out."""
    await two(cluster, canary_image="registry/app:v1.9.0")
    target, driver = of(cluster.target, canary=CANARY)

    with pytest.raises(StepError, match=r"runs registry/app:v1.9.0, not version 2.0.0"):
        await driver.set(target, "2.0.0", 25, call)

    assert await pods(cluster) == (4, 0)


async def test_a_canary_without_an_image_keeps_its_pods(cluster: Cluster, call: Call) -> None:
    """At 100 % the stable Deployment has none; whoever deploys must make it equal."""
    await two(cluster, canary_image="registry/app:v2.0.0")
    target, driver = of(cluster.target, canary=CANARY)

    await driver.set(target, "2.0.0", 100, call)

    assert await pods(cluster) == (0, 4)
    assert (await driver.read(target, "2.0.0", call)).weight == 100


async def test_another_rollout_that_is_under_way_is_told(cluster: Cluster, call: Call) -> None:
    """A canary with pods of a third version is not the one that is asked for."""
    await two(cluster, canary_image="registry/app:1.5.0", canaries=1)
    target, driver = of(cluster.target, canary=CANARY)

    live = await driver.read(target, "2.0.0", call)

    assert (live.version, live.weight) == ("1.5.0", 0)


def test_stages_that_are_the_same_pods_are_told() -> None:
    """10 % and 25 % of four pods are one pod, and a stage that changes nothing proves nothing."""
    driver = read_driver({"canary": CANARY})

    (fault,) = driver.faults((10, 25, 50, 100))

    assert fault.startswith("10 % and 25 % are both 1 of 4 pods")
    assert driver.reached(10) == 25
    assert (
        "25 % (10 % is not possible with 4)"
        in driver.lines(HttpTarget.model_construct(name="web"), "2", 10)[0]
    )


async def test_a_route_splits_and_is_restored(cluster: Cluster, call: Call) -> None:
    """The canary's Deployment gets the image first."""
    await cluster.route()
    await cluster.deploy("app-canary", replicas=1)
    fields = {"route": "web", "stable": "app", "canary": "app-canary", "deployment": "app-canary"}
    target, driver = of(cluster.target, route={**fields, "image": "registry/app:{version}"})
    recorded = await driver.read(target, "2.0.0", call)

    await driver.set(target, "2.0.0", 25, call)
    live = await driver.read(target, "2.0.0", call)
    assert (live.weight, live.version, await cluster.image("app-canary")) == (25, "2.0.0", NEW)
    await driver.restore(target, recorded, call)

    assert (recorded.weight, recorded.version) == (0, "1.0.0")
    assert await cluster.weights() == [1, 0]


async def test_a_variable_holds_the_percentage_and_is_removed_again(cluster: Cluster, call: Call) -> None:
    """It was not there before, so it is not there after."""
    await cluster.deploy()
    target, driver = of(cluster.target, env={"deployment": "app", "variable": "TRAFFIC"})
    recorded = await driver.read(target, "2.0.0", call)
    for weight in (10, 25):
        await driver.set(target, "2.0.0", weight, call)
        assert (await driver.read(target, "2.0.0", call)).weight == weight

    await driver.restore(target, recorded, call)

    assert await cluster.env() == {"MODE": "calm"}
    assert driver.restarts_pods
    assert driver.is_flag
    assert len(driver.warnings()) == 2


async def test_a_variable_that_is_no_percentage_is_said(cluster: Cluster, call: Call) -> None:
    """Unknown is not 0."""
    await cluster.deploy()
    target, driver = of(cluster.target, env={"deployment": "app", "variable": "MODE"})

    with pytest.raises(StepError, match=r"MODE of Deployment app in k8s .* is no percentage"):
        await driver.read(target, "2.0.0", call)


@pytest.fixture
def shop() -> HttpTarget:
    fields = {"deployment": "app", "variable": "TRAFFIC", "target": "k8s"}
    return HttpTarget.model_validate(
        {"name": "shop", "type": "http", "url": "http://shop", "traffic": {"env": fields}}
    )


async def test_a_web_service_names_its_cluster(
    cluster: Cluster, connections: Connections, shop: HttpTarget
) -> None:
    """The target of a rollout may be what people see, and the driver acts on the cluster."""
    await cluster.deploy()
    call = call_of(connections, shop, cluster.target)

    await driver_of(shop).set(shop, "2.0.0", 10, call)

    assert (await cluster.env())["TRAFFIC"] == "10"


async def test_a_cluster_that_is_none_is_refused(connections: Connections, shop: HttpTarget) -> None:
    """The names of targets are checked when they are used."""
    with pytest.raises(StepError, match="k8s is none"):
        await driver_of(shop).read(shop, "2.0.0", call_of(connections, shop))


@pytest.mark.parametrize(
    ("traffic", "says"),
    [
        ({"canari": CANARY}, "did you mean `canary`"),
        ({"canary": CANARY, "env": {}}, "one key"),
        ("canary", "one key"),
        ({"canary": {**CANARY, "replicas": 1}}, "canary.replicas"),
        ({"canary": {**CANARY, "image": "registry/app:latest"}}, r"has \{version\}"),
        ({"canary": {**CANARY, "canary": "app"}}, "two Deployments"),
        ({"route": {"route": "web", "stable": "a", "canary": "a", "deployment": "a"}}, "two Services"),
    ],
)
def test_a_driver_that_does_not_fit_is_told_in_words(traffic: Any, says: str) -> None:
    """What is wrong stands at the target's `traffic:`."""
    with pytest.raises(ValidationError, match=says) as caught:
        HttpTarget.model_validate({"name": "a", "type": "http", "url": "http://a", "traffic": traffic})

    assert caught.value.errors()[0]["loc"] == ("traffic",)


def test_a_target_without_traffic_is_told_what_there_is() -> None:
    """A rollout needs to know what moves it."""
    with pytest.raises(StepError, match=", ".join(DRIVERS)):
        driver_of(HttpTarget.model_validate({"name": "a", "type": "http", "url": "http://a"}))
