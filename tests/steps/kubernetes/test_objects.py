"""What objects say, as the documentation of Kubernetes shows them."""

import copy
from typing import Any

import pytest

from runbooks.steps.kubernetes_objects import current, has_version, progress, tag_of, template_of

#: kubernetes.io/docs/concepts/workloads/controllers/deployment/, a Deployment that was rolled out.
ROLLED_OUT: dict[str, Any] = {
    "metadata": {"name": "nginx-deployment", "generation": 2, "uid": "u"},
    "spec": {"replicas": 3, "progressDeadlineSeconds": 600, "template": {}},
    "status": {
        "observedGeneration": 2,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "conditions": [
            {
                "type": "Progressing",
                "status": "True",
                "reason": "NewReplicaSetAvailable",
                "message": 'ReplicaSet "nginx-deployment-4262182780" has successfully progressed.',
            }
        ],
    },
}
#: The same page, with a quota that does not suffice.
FAILED_CREATE = {
    "type": "ReplicaFailure",
    "status": "True",
    "reason": "FailedCreate",
    "message": 'Error creating: pods "nginx-deployment-4262182780-" is forbidden: exceeded quota:'
    " object-counts, requested: pods=1, used: pods=3, limited: pods=2",
}
TIMED_OUT = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "nginx-deployment-4262182780" has timed out progressing.',
}


def changed(*conditions: Any, spec: Any = None, generation: int = 2, **status: int) -> dict[str, Any]:
    thing = copy.deepcopy(ROLLED_OUT)
    thing["metadata"]["generation"] = generation
    thing["spec"].update(spec or {})
    thing["status"].update(status)
    thing["status"]["conditions"] = list(conditions) or thing["status"]["conditions"]
    return thing


def test_a_rollout_is_complete_when_every_pod_is_new_and_available() -> None:
    """And the controller has seen the last change."""
    assert progress(ROLLED_OUT).done


@pytest.mark.parametrize(
    ("deployment", "text"),
    [
        (changed(generation=3), "waiting for the controller to see the change"),
        (changed(updatedReplicas=1), "1 of 3 pods are new"),
        (changed(replicas=4), "1 old pods are still there"),
        (changed(spec={"replicas": 1}), "2 pods are still to go"),
        (changed(availableReplicas=2), "2 of 3 new pods are available"),
        ({**ROLLED_OUT, "status": {}}, "waiting for the controller to see the change"),
    ],
)
def test_a_rollout_goes_on_until_then(deployment: dict[str, Any], text: str) -> None:
    """What is missing is told."""
    now = progress(deployment)

    assert (now.done, now.failed, now.text) == (False, False, text)


def test_a_deadline_is_told_with_the_cause() -> None:
    """A quota that does not suffice is the cause; that time ran out is only its effect."""
    now = progress(changed(TIMED_OUT, FAILED_CREATE, updatedReplicas=0))

    assert now.failed
    assert "exceeded quota" in now.text
    assert "timed out" in progress(changed(TIMED_OUT, updatedReplicas=0)).text


def test_a_deadline_of_the_revision_before_does_not_count() -> None:
    """Until the controller has seen the change, its conditions are about the last one."""
    assert not progress(changed(TIMED_OUT, generation=3)).failed


def test_a_deployment_without_pods_is_complete() -> None:
    """Nothing is left out of nothing."""
    none = {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}

    assert progress(changed(spec={"replicas": 0}, **none)).done


def replica_set(name: str, image: str, revision: int) -> dict[str, Any]:
    labels = {"app": "a", "pod-template-hash": name}
    container = {"name": "a", "image": image}
    return {
        "metadata": {"name": name, "annotations": {"deployment.kubernetes.io/revision": str(revision)}},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    }


def test_the_template_says_which_replica_set_is_live() -> None:
    """Not the highest number: after a rollback the numbers are others until the controller has looked."""
    one, two = replica_set("a-1", "a:1", 1), replica_set("a-2", "a:2", 2)
    deployment = {"metadata": {"generation": 5}, "spec": {"template": template_of(one)}}

    found = current(deployment, [two, one])

    assert found is one
    assert template_of(one)["metadata"]["labels"] == {"app": "a"}


def test_a_template_with_more_defaults_is_found_by_its_revision() -> None:
    """A newer server writes more into templates; once the controller has looked, the number counts."""
    one = replica_set("a-1", "a:1", 1)
    template = {**template_of(one), "added": True}
    deployment = {
        "metadata": {"generation": 5, "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"template": template},
    }

    assert current({**deployment, "status": {"observedGeneration": 5}}, [one]) is one
    assert current({**deployment, "status": {"observedGeneration": 4}}, [one]) is None


@pytest.mark.parametrize(
    ("image", "tag", "is_two"),
    [
        ("app:2.0.0", "2.0.0", True),
        ("registry:5000/team/app:v2.0.0", "v2.0.0", True),
        ("app:2.0.0@sha256:abc", "2.0.0", True),
        ("app:12.0.0", "12.0.0", False),
        ("registry:5000/app", None, False),
        ("app@sha256:abc", None, False),
    ],
)
def test_a_tag_is_a_version(image: str, tag: str | None, is_two: bool) -> None:
    """A registry's port is none, and a digest alone says nothing."""
    assert (tag_of(image), has_version(image, "2.0.0")) == (tag, is_two)
