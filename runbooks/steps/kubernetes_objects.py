"""What Kubernetes objects say: how far a rollout is, which revision runs, what a container is made of.

Nothing here talks to a cluster.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbooks.errors import StepError
from runbooks.visible import one_line

#: An object as the server sent it.
Object = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
#: The label that the controller adds to the templates of ReplicaSets.
HASH = "pod-template-hash"


class Away(StepError):
    """The API server does not answer, or has too much to do: it may be there again in a moment."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a rollout is, in words. `done` and `failed` exclude each other; neither: it goes on."""

    text: str
    done: bool = False
    failed: bool = False


def progress(deployment: Object) -> Progress:
    """How far a Deployment's rollout is, as `kubectl rollout status` judges it; but fewer pods are only
    done when the others are gone.

    A paused one has failed: nothing will happen until somebody resumes it.
    """
    spec, status, meta = deployment["spec"], deployment.get("status", {}), deployment["metadata"]
    wanted = spec.get("replicas", 1)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    if meta["generation"] > status.get("observedGeneration", 0):
        return Progress(text="waiting for the controller to see the change")
    stuck = condition(deployment, "Progressing")
    if stuck.get("reason") == "ProgressDeadlineExceeded":
        return Progress(failed=True, text=_why(deployment, stuck, available, wanted))
    if updated < wanted:
        if spec.get("paused"):
            return Progress(failed=True, text="it is paused: `kubectl rollout resume` lets it go on")
        return Progress(text=f"{updated} of {wanted} pods are new")
    if total > updated:
        return Progress(text=f"{total - updated} old pods are still there")
    if total > wanted:
        return Progress(text=f"{total - wanted} pods are still to go")
    if available < updated:
        return Progress(text=f"{available} of {updated} new pods are available")
    return Progress(done=True, text=f"{available} of {wanted} pods are new and available")


def _why(deployment: Object, stuck: Mapping[str, Any], available: int, wanted: int) -> str:
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    failure = condition(deployment, "ReplicaFailure")
    said = failure.get("message") if failure.get("status") == "True" else stuck.get("message")
    return (
        f"no progress for {seconds} s (ProgressDeadlineExceeded): {one_line(str(said or ''), 300)};"
        f" {available} of {wanted} pods are available"
    )


def condition(thing: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    """The condition of that type in an object's status; empty when there is none."""
    found: Iterable[Mapping[str, Any]] = thing.get("status", {}).get("conditions", ())
    return next((item for item in found if item["type"] == type_), {})


def revision_of(thing: Object) -> int:
    """The revision that a Deployment or a ReplicaSet says it is; 0 when it does not."""
    return int(thing["metadata"].get("annotations", {}).get(REVISION, 0))


def current(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet that runs the Deployment's template; None until the controller has made it."""
    every = tuple(replica_sets)
    template = deployment["spec"]["template"]
    same = [item for item in every if template_of(item) == template]
    seen = deployment.get("status", {}).get("observedGeneration", 0)
    if not same and seen >= deployment["metadata"]["generation"]:
        # A newer server may write more into a template than an older one did.
        same = [item for item in every if revision_of(item) == revision_of(deployment) != 0]
    return min(same, key=lambda item: str(item["metadata"].get("creationTimestamp", "")), default=None)


def template_of(replica_set: Object) -> dict[str, Any]:
    """A ReplicaSet's template as its Deployment had it: without the controller's label."""
    template = dict(replica_set["spec"]["template"])
    meta = dict(template.get("metadata", {}))
    labels = {name: value for name, value in meta.get("labels", {}).items() if name != HASH}
    return {**template, "metadata": {**meta, "labels": labels}}


def no_revision(replica_sets: Iterable[Object], revision: int, where: str) -> StepError:
    """The error for a revision that is none of those."""
    there = ", ".join(str(number) for number in sorted(map(revision_of, replica_sets))) or "none"
    return StepError(
        f"{where} has no revision {revision}: there are {there} (a Deployment keeps its last"
        " spec.revisionHistoryLimit ones, and a rollback renumbers)"
    )


def container_of(deployment: Object, name: str | None) -> tuple[int, dict[str, Any]]:
    """A container of the Deployment's template and its place. Without a name it must be the only one."""
    containers: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    names = ", ".join(item["name"] for item in containers)
    if name is None and len(containers) > 1:
        raise StepError(
            f"Deployment {deployment['metadata']['name']} has several containers ({names}): say which with"
            " `container:`"
        )
    for place, item in enumerate(containers):
        if name in (None, item["name"]):
            return place, item
    raise StepError(f"Deployment {deployment['metadata']['name']} has no container {name}: it has {names}")


def variable(container: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """An environment variable as the container has it: `value` or `valueFrom`; None when it has it not."""
    found: Iterable[dict[str, Any]] = container.get("env", ())
    return next((item for item in found if item["name"] == name), None)


def has_version(image: str, version: str) -> bool:
    """Whether the image's tag is that version, with or without a leading v. A digest alone says nothing."""
    name = image.partition("@")[0].rpartition("/")[2]
    tag = name.partition(":")[2]
    return bool(tag) and tag.removeprefix("v") == version.removeprefix("v")


def tag_of(image: str) -> str | None:
    """The image's tag, None when it has none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2] or None
