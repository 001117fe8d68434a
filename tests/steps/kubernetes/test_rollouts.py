"""Whole rollouts in Kubernetes, by each driver: up through the stages, and back to what was there."""

from typing import Any

import pytest

from runbooks.engine.at import Finished
from runbooks.engine.rollout_state import recorded_of
from runbooks.engine.rollout_undo import changed_since, undo_rollout
from runbooks.engine.rollouts import run_rollout
from runbooks.spec.runbook import RunbookStep
from runbooks.steps.rollout import Rollout
from runbooks.steps.traffic import read_driver
from tests.engine.at_double import AtDouble, World, drive
from tests.steps.kubernetes.clusters import Cluster

#: Driver -> its fields, and the stages that it can set.
DRIVERS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "canary": (
        {"stable": "app", "canary": "app-canary", "replicas": 4, "image": "registry/app:{version}"},
        [25, 50, 75],
    ),
    # At 100 % the stable Deployment takes over, and there is no way down but to what was recorded.
    "canary that takes over": (
        {"stable": "app", "canary": "app-canary", "replicas": 4, "image": "registry/app:{version}"},
        [10, 50, 100],
    ),
    "route": (
        {"route": "web", "stable": "app", "canary": "app-canary", "deployment": "app-canary"},
        [10, 25, 50, 100],
    ),
    "env": ({"deployment": "app", "variable": "LIBRARY_UPDATE_TRAFFIC"}, [10, 25, 100]),
}


async def look_at(cluster: Cluster) -> tuple[object, ...]:
    """Everything that a rollout may change."""
    deployments = [await cluster.get("deployments", name) for name in ("app", "app-canary")]
    specs = [(each["spec"]["replicas"], each["spec"]["template"]["spec"]) for each in deployments]
    return (*specs, await cluster.weights())


@pytest.mark.parametrize("name", sorted(DRIVERS))
async def test_a_rollout_and_its_gradual_rollback_leave_nothing_behind(cluster: Cluster, name: str) -> None:
    """Each weight is seen to have taken, the way back falls, and in the end everything is as it was."""
    await cluster.deploy("app", replicas=4)
    # A route only shares traffic out: the new version is there before.
    route = name == "route"
    await cluster.deploy(
        "app-canary", replicas=int(route), image=f"registry/app:{'2.0.0' if route else '1.0.0'}"
    )
    await cluster.route()
    fields, stages = DRIVERS[name]
    target = cluster.target.model_copy(update={"traffic": read_driver({name.split()[0]: fields})})
    probe = {"http.probe": {"target": "site"}}
    model = Rollout.model_validate(
        {"target": target.name, "to": "2.0.0", "stages": stages, "verify": [probe], "gradual_rollback": True}
    )
    step = RunbookStep(
        id="shift", title="Shift", kind="rollout", line=1, fields={}, model=Rollout, sample=model
    )
    was = await look_at(cluster)
    world = World(step=step, targets={target.name: target})

    outcome = await drive(world, run_rollout, model)
    moved = await look_at(cluster)
    since = await changed_since(AtDouble(world), model, world.data)  # type: ignore[arg-type]
    recorded = recorded_of(world.data)
    back = World(step=step, targets={target.name: target})
    undone = await drive(back, lambda at, model: undo_rollout(at, model, recorded), model)

    assert isinstance(outcome, Finished), outcome
    assert moved != was
    assert since == ()
    assert isinstance(undone, Finished), undone
    assert await look_at(cluster) == was
