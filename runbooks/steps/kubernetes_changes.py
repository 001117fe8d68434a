"""What is done to Deployments by several steps: wait for a rollout, go back, set variables and images."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from runbooks.errors import StepError
from runbooks.steps.kubernetes_objects import (
    CHANGE_CAUSE,
    Away,
    Object,
    container_of,
    current,
    progress,
    revision_of,
    template_of,
    variable,
)
from runbooks.steps.reach import Connections
from runbooks.targets import KubernetesTarget
from runbooks.visible import one_line

if TYPE_CHECKING:  # an extra
    from runbooks.steps.kubernetes_client import Namespace

#: Seconds between two looks at a rollout.
LOOK_EVERY = 1.0
#: How many looks in a row may fail: a server that is replaced is away for some seconds.
PATIENCE = 10
#: How many looks in a row must find a rollout failed. Right after a bad one is rolled back, the controller
#: has seen the change, but still shows the deadline of the one before.
SURE = 4
#: Seconds that a Deployment's deadline may be over before it counts here. Kubernetes has none for one that is
#: only scaled; for the others the controller's own words come first.
SLACK = 3.0


async def open_target(target: KubernetesTarget, connections: Connections) -> "Namespace":
    """The target, reached. Raises StepError when it cannot be, or lightkube is not installed."""
    try:
        open_namespace = await asyncio.to_thread(_import_open_namespace)
    except ImportError as error:
        raise StepError(
            f"{target.name} needs the Kubernetes client: pip install 'maintbot[kubernetes]' where Maint runs"
        ) from error
    return await connections.get(("kubernetes", target.name), lambda: open_namespace(target))


def _import_open_namespace() -> Callable[[KubernetesTarget], AbstractAsyncContextManager["Namespace"]]:
    from runbooks.steps.kubernetes_client import open_namespace  # an extra, and slow to import

    return open_namespace


async def wait_for_rollout(
    namespace: "Namespace", name: str, seconds: float, tell: Callable[[str], None] = lambda _: None
) -> Object:
    """The Deployment once its rollout is complete. Raises StepError when it failed or took longer."""
    told, stuck = "", 0
    clock = asyncio.get_running_loop().time
    moved = clock()
    try:
        async with asyncio.timeout(seconds):
            while True:
                deployment = await _get_patiently(namespace, name)
                now = progress(deployment)
                stuck = stuck + 1 if now.failed else 0
                if stuck >= SURE:
                    raise StepError(f"Deployment {name} was not rolled out: {now.text}")
                if now.text != told and not now.failed:
                    told, moved = now.text, clock()
                    tell(f"{name}: {told}")
                if now.done:
                    return deployment
                deadline = deployment["spec"].get("progressDeadlineSeconds", 600)
                if not now.failed and clock() - moved > deadline + SLACK:
                    raise StepError(f"Deployment {name} makes no progress for {deadline} s: {told}")
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError as error:
        raise StepError(
            f"Deployment {name} was not rolled out within {seconds:g} s: {told or 'nothing was seen'}"
        ) from error


async def _get_patiently(namespace: "Namespace", name: str) -> Object:
    for _ in range(PATIENCE):
        try:
            return await namespace.get("Deployment", name)
        except Away:
            await asyncio.sleep(LOOK_EVERY)
    return await namespace.get("Deployment", name)


async def recorded(namespace: "Namespace", name: str) -> dict[str, Any]:
    """What `roll_back` needs to come back here: the ReplicaSet of the template, with its revision.

    Raises StepError while the controller has not seen the last change.
    """
    for _ in range(PATIENCE):
        deployment = await namespace.get("Deployment", name)
        found = current(deployment, await namespace.owned(deployment))
        if found is not None:
            return {
                "replica_set": found["metadata"]["name"],
                "revision": revision_of(found),
                "replicas": deployment["spec"].get("replicas", 1),
            }
        await asyncio.sleep(LOOK_EVERY)
    raise StepError(
        f"{namespace.where}: Deployment {name} has no ReplicaSet for its present template, so there would"
        " be no way back to it; does the cluster's controller-manager run?"
    )


async def roll_back(namespace: "Namespace", name: str, replica_set: str, cause: str) -> bool:
    """Gives the Deployment that ReplicaSet's template; False when it has it already.

    Raises StepError when the ReplicaSet is gone, or belongs to another Deployment.
    """
    owned = await namespace.owned(await namespace.get("Deployment", name))
    there = {item["metadata"]["name"]: item for item in owned}
    if replica_set not in there:
        raise StepError(
            f"{namespace.where}: Deployment {name} has no ReplicaSet {replica_set} any more, so the way back"
            f" to it is gone; there are {', '.join(sorted(there)) or 'none'}. Its"
            " spec.revisionHistoryLimit says how many are kept"
        )
    template = template_of(there[replica_set])
    changed = False

    def changes(deployment: Object) -> list[Mapping[str, Any]]:
        nonlocal changed
        changed = deployment["spec"]["template"] != template
        if not changed:
            return []
        return [
            {"op": "replace", "path": "/spec/template", "value": template},
            *annotate(deployment, CHANGE_CAUSE, cause),
        ]

    await namespace.edit("Deployment", name, changes)
    return changed


def annotate(thing: Object, name: str, value: str) -> list[Mapping[str, Any]]:
    """The JSON patch operations that set one annotation."""
    if thing["metadata"].get("annotations") is None:
        return [{"op": "add", "path": "/metadata/annotations", "value": {name: value}}]
    path = name.replace("~", "~0").replace("/", "~1")
    return [{"op": "add", "path": f"/metadata/annotations/{path}", "value": value}]


async def read_env(
    namespace: "Namespace", name: str, container: str | None, names: tuple[str, ...]
) -> dict[str, Any]:
    """The container, and each of those variables as it has it (None: not at all)."""
    deployment = await namespace.get("Deployment", name)
    _, found = container_of(deployment, container)
    return {"container": found["name"], "env": {key: variable(found, key) for key in names}}


async def set_env(
    namespace: "Namespace", name: str, container: str | None, env: Mapping[str, str], cause: str
) -> None:
    """Sets variables of a container, and leaves its others alone. Every pod is restarted when one changes."""
    deployment = await namespace.get("Deployment", name)
    _, found = container_of(deployment, container)
    listed: list[dict[str, Any]] = []
    for key, value in env.items():
        item: dict[str, Any] = {"name": key, "value": value}
        if "valueFrom" in (variable(found, key) or {}):
            item["valueFrom"] = None  # merging would leave both, which is refused
        listed.append(item)
    await _merge(namespace, name, {"name": found["name"], "env": listed}, cause)


async def put_back_env(
    namespace: "Namespace", name: str, container: str, env: Mapping[str, Mapping[str, Any] | None], cause: str
) -> bool:
    """The variables as they were recorded (None: not there), and nothing else; False when they are so."""
    changed = False

    def changes(deployment: Object) -> list[Mapping[str, Any]]:
        nonlocal changed
        place, found = container_of(deployment, container)
        before = found.get("env", [])
        after = [env.get(item["name"]) if item["name"] in env else item for item in before]
        there = {item["name"] for item in before}
        wanted = [item for item in (*after, *(env[key] for key in env if key not in there)) if item]
        changed = wanted != before
        if not changed:
            return []
        path = f"/spec/template/spec/containers/{place}/env"
        return [{"op": "add", "path": path, "value": wanted}, *annotate(deployment, CHANGE_CAUSE, cause)]

    await namespace.edit("Deployment", name, changes)
    return changed


async def set_image(namespace: "Namespace", name: str, container: str | None, image: str, cause: str) -> None:
    """Gives a container another image; nothing happens when it has it already."""
    deployment = await namespace.get("Deployment", name)
    _, found = container_of(deployment, container)
    if found.get("image") != image:
        await _merge(namespace, name, {"name": found["name"], "image": image}, cause)


async def _merge(namespace: "Namespace", name: str, container: Mapping[str, Any], cause: str) -> None:
    await namespace.merge(
        "Deployment",
        name,
        {
            "metadata": {"annotations": {CHANGE_CAUSE: one_line(cause, 500)}},
            "spec": {"template": {"spec": {"containers": [container]}}},
        },
    )
