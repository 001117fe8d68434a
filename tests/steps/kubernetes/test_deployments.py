"""What is done to Deployments: it takes effect, can be repeated, and leads back to what was recorded."""

from typing import Any

import pytest

from runbooks.errors import StepError
from runbooks.steps.action import Call
from runbooks.steps.kubernetes import (
    KubernetesRestart,
    KubernetesRolloutStatus,
    KubernetesScale,
    KubernetesSetEnv,
    KubernetesUndo,
)
from runbooks.steps.reach import Connections
from tests.steps.kubernetes.clusters import Cluster, call_of


def before(call: Call, recorded: Any) -> Call:
    return call_of(call.connections, *call.targets.values(), key=call.key, before=recorded)


def set_env(**env: str) -> KubernetesSetEnv:
    return KubernetesSetEnv(target="k8s", deployment="app", env=env)


async def test_variables_are_set_and_the_others_stay(cluster: Cluster, call: Call) -> None:
    """Setting one variable restarts the pods with it, and leaves the rest of the container alone."""
    await cluster.deploy()

    done = await set_env(TRAFFIC="10").act(cluster.target, call)

    assert await cluster.env() == {"MODE": "calm", "TRAFFIC": "10"}
    assert (done.values["revision_before"], done.values["revision"]) == (1, 2)
    cause = (await cluster.get("deployments", "app"))["metadata"]["annotations"]["kubernetes.io/change-cause"]
    assert cause == "kubernetes.set_env by Ada (maint r-1)"


async def test_setting_variables_twice_restarts_once(cluster: Cluster, call: Call) -> None:
    """The same variables again are no new revision."""
    await cluster.deploy()
    await set_env(TRAFFIC="10").act(cluster.target, call)

    done = await set_env(TRAFFIC="10").act(cluster.target, call)

    assert done.values["revision"] == 2


async def test_undoing_variables_leads_to_what_was_before_the_first_stage(
    cluster: Cluster, call: Call
) -> None:
    """After three stages the way back leads before the first one, whatever was last."""
    await cluster.deploy()
    first = set_env(TRAFFIC="10", MODE="brave")
    recorded = await first.record(cluster.target, call)
    await first.act(cluster.target, call)
    await set_env(TRAFFIC="25").act(cluster.target, call)
    await set_env(TRAFFIC="50").act(cluster.target, call)

    await first.undo(cluster.target, before(call, recorded))
    done = await first.undo(cluster.target, before(call, recorded))

    assert await cluster.env() == {"MODE": "calm"}
    assert done.summary == "it was as before already"


async def test_a_variable_from_a_secret_is_put_back_as_such(cluster: Cluster, call: Call) -> None:
    """A value in place of a reference is accepted, and undone to the reference."""
    await cluster.deploy()
    reference = {"secretKeyRef": {"name": "app", "key": "traffic"}}
    container = {"name": "app", "env": [{"name": "TRAFFIC", "valueFrom": reference}]}
    await cluster.patch("deployments", "app", {"spec": {"template": {"spec": {"containers": [container]}}}})
    step = set_env(TRAFFIC="10")
    recorded = await step.record(cluster.target, call)

    await step.act(cluster.target, call)
    assert (await cluster.env())["TRAFFIC"] == "10"
    await step.undo(cluster.target, before(call, recorded))

    assert (await cluster.env())["TRAFFIC"] == reference


async def test_a_variable_that_somebody_changed_is_told_before_undoing(cluster: Cluster, call: Call) -> None:
    """Undoing would overwrite what another person set since."""
    await cluster.deploy()
    step = set_env(TRAFFIC="10")
    await step.act(cluster.target, call)
    after = await step.record(cluster.target, call)
    assert await step.changed_since(cluster.target, call, after) == ()

    await set_env(TRAFFIC="90").act(cluster.target, call)

    (told,) = await step.changed_since(cluster.target, call, after)
    assert told.startswith("TRAFFIC of Deployment app")


async def test_a_bad_version_fails_with_the_reason(cluster: Cluster, call: Call) -> None:
    """A rollout that makes no progress fails at its deadline, while the old pods go on serving."""
    await cluster.deploy()
    container = {"name": "app", "image": "registry/app:bad"}
    await cluster.patch("deployments", "app", {"spec": {"template": {"spec": {"containers": [container]}}}})

    with pytest.raises(StepError, match=r"ProgressDeadlineExceeded.*3 of 3 pods are available"):
        await KubernetesRolloutStatus(target="k8s", deployment="app").act(cluster.target, call)


async def test_waiting_tells_how_far_it_is(cluster: Cluster, connections: Connections) -> None:
    """Progress is told once for each change of it."""
    await cluster.deploy()
    told: list[str] = []
    call = call_of(connections, cluster.target, tell=told.append)

    await set_env(TRAFFIC="10").act(cluster.target, call)

    assert told[-1] == "app: 3 of 3 pods are new and available"
    assert len(set(told)) == len(told)


async def test_waiting_ends_with_the_timeout_of_the_step(cluster: Cluster, call: Call) -> None:
    """The step itself says what it last saw, before it is cut off."""
    await cluster.deploy(progressDeadlineSeconds=60)
    container = {"name": "app", "image": "registry/app:bad"}
    await cluster.patch("deployments", "app", {"spec": {"template": {"spec": {"containers": [container]}}}})
    step = KubernetesRolloutStatus.model_validate({"target": "k8s", "deployment": "app", "timeout": "2s"})

    with pytest.raises(StepError, match=r"not rolled out within 1.8 s: 1 of 3 pods are new"):
        await step.act(cluster.target, call)


async def test_a_paused_rollout_fails_at_once(cluster: Cluster, call: Call) -> None:
    """Nothing would happen until somebody resumes it."""
    await cluster.deploy()
    await cluster.patch("deployments", "app", {"spec": {"paused": True}})
    container = {"name": "app", "image": "registry/app:2.0.0"}
    await cluster.patch("deployments", "app", {"spec": {"template": {"spec": {"containers": [container]}}}})

    with pytest.raises(StepError, match="paused"):
        await KubernetesRolloutStatus(target="k8s", deployment="app").act(cluster.target, call)


async def test_going_back_leads_to_the_named_revision(cluster: Cluster, call: Call) -> None:
    """Revision 1, not the one before the present one; and from there back again."""
    await cluster.deploy()
    await set_env(TRAFFIC="10").act(cluster.target, call)
    await set_env(TRAFFIC="25").act(cluster.target, call)
    step = KubernetesUndo(target="k8s", deployment="app", revision=1)
    recorded = await step.record(cluster.target, call)

    done = await step.act(cluster.target, before(call, recorded))
    again = await step.act(cluster.target, before(call, recorded))

    assert await cluster.env() == {"MODE": "calm"}
    assert (done.values["revision_before"], done.values["revision"]) == (3, 4)
    assert again.values["revision"] == 4
    after = await step.record(cluster.target, call)
    assert await step.changed_since(cluster.target, call, after) == ()
    await step.undo(cluster.target, before(call, recorded))
    assert (await cluster.env())["TRAFFIC"] == "25"
    assert len(await step.changed_since(cluster.target, call, after)) == 1


@pytest.mark.parametrize("replicas", [1, 3])
async def test_a_bad_version_is_rolled_back(cluster: Cluster, call: Call, replicas: int) -> None:
    """That the bad one missed its deadline does not fail the way back from it."""
    await cluster.deploy(replicas=replicas)
    container = {"name": "app", "image": "registry/app:bad"}
    await cluster.patch("deployments", "app", {"spec": {"template": {"spec": {"containers": [container]}}}})
    with pytest.raises(StepError, match="ProgressDeadlineExceeded"):
        await KubernetesRolloutStatus(target="k8s", deployment="app").act(cluster.target, call)

    await KubernetesUndo(target="k8s", deployment="app", revision=1).act(cluster.target, call)

    assert await cluster.image() == "registry/app:1.0.0"
    await cluster.settled("app", replicas)


async def test_a_revision_that_is_not_there_is_refused_with_those_that_are(
    cluster: Cluster, call: Call
) -> None:
    """A Deployment keeps some of its revisions only; which others it drops, and when, is its affair."""
    await cluster.deploy(revisionHistoryLimit=1)
    for weight in ("10", "25"):
        await set_env(TRAFFIC=weight).act(cluster.target, call)

    with pytest.raises(StepError, match=r"has no revision 7: there are ([12], )+3 "):
        await KubernetesUndo(target="k8s", deployment="app", revision=7).act(cluster.target, call)


async def test_scaling_is_undone_to_the_recorded_number(cluster: Cluster, call: Call) -> None:
    """Also from none."""
    await cluster.deploy(replicas=2)
    step = KubernetesScale(target="k8s", deployment="app", replicas=0)
    recorded = await step.record(cluster.target, call)

    done = await step.act(cluster.target, before(call, recorded))
    after = await step.record(cluster.target, call)
    assert done.values == {"replicas": 0, "replicas_before": 2}
    assert await step.changed_since(cluster.target, call, after) == ()
    await step.undo(cluster.target, before(call, recorded))

    await cluster.settled("app", 2)
    assert await step.changed_since(cluster.target, call, after) == (
        f"Deployment app in {cluster.target.where()} has 2 pods now, not 0",
    )


async def test_a_repeated_restart_restarts_once(cluster: Cluster, call: Call) -> None:
    """The key of the effect stands in the template, so a repetition finds it done."""
    await cluster.deploy()
    step = KubernetesRestart(target="k8s", deployment="app")

    first = await step.act(cluster.target, call)
    again = await step.act(cluster.target, call)
    other = await step.act(cluster.target, call_of(call.connections, cluster.target, key="another"))

    assert [done.values["revision"] for done in (first, again, other)] == [2, 2, 3]


async def test_what_is_not_there_is_said_with_its_name(cluster: Cluster, call: Call) -> None:
    """The message has the object and the namespace."""
    with pytest.raises(StepError, match=r'namespace shop.*"gone" not found'):
        await KubernetesScale(target="k8s", deployment="gone", replicas=1).act(cluster.target, call)


async def test_a_container_that_is_not_there_is_refused(cluster: Cluster, call: Call) -> None:
    """A strategic merge would add it, as a container without an image."""
    await cluster.deploy()
    step = KubernetesSetEnv(target="k8s", deployment="app", container="sidecar", env={"A": "1"})

    with pytest.raises(StepError, match="has no container sidecar: it has app"):
        await step.act(cluster.target, call)
