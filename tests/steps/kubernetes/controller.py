"""What kube-controller-manager, a kubelet and a gateway do, for the API of the tests.

Deployments get ReplicaSets with revisions, and roll one pod at a time without losing any (maxSurge 1,
maxUnavailable 0). A pod whose image has `bad` in it never becomes ready.
"""

import asyncio
import copy
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.steps.kubernetes.api import Store, Thing

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
#: Seconds between two looks.
TICK = 0.02


class Controller:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._progress: dict[str, tuple[Any, float]] = {}
        #: Without a gateway nobody says that a route is carried out.
        self.gateway = True
        #: A controller that does not look does nothing.
        self.running = True

    async def run(self) -> None:
        while True:
            if self.running:
                self.look()
            await asyncio.sleep(TICK)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.running = False
        yield
        self.running = True

    def look(self) -> None:
        for deployment in self._store.all("deployments"):
            self._roll(deployment)
        for route in self._store.all("httproutes"):
            if self.gateway:
                self._accept(route)

    def _accept(self, route: Thing) -> None:
        seen = {"status": "True", "reason": "Ok", "observedGeneration": route["metadata"]["generation"]}
        conditions = [{"type": type_, **seen} for type_ in ("Accepted", "ResolvedRefs")]
        route["status"] = {
            "parents": [
                {"parentRef": parent, "controllerName": "tests/gateway", "conditions": conditions}
                for parent in route["spec"].get("parentRefs", ())
            ]
        }
        self._store.put("httproutes", route, status=True)

    def _roll(self, deployment: Thing) -> None:
        owned = self._owned(deployment)
        if not deployment["spec"].get("paused") or not owned:
            current = self._current(deployment, owned)
            self._move(deployment, current, [item for item in owned if item is not current])
        self._tell(deployment, self._owned(deployment))
        self._prune(deployment)

    def _owned(self, deployment: Thing) -> list[Thing]:
        uid = deployment["metadata"]["uid"]
        return [
            item
            for item in self._store.all("replicasets")
            if item["metadata"]["ownerReferences"][0]["uid"] == uid
        ]

    def _current(self, deployment: Thing, owned: list[Thing]) -> Thing:
        template = deployment["spec"]["template"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        newest = max((int(item["metadata"]["annotations"][REVISION]) for item in owned), default=0)
        found = next((item for item in owned if item["metadata"]["labels"][HASH] == digest), None)
        if found is None:
            found = self._make(deployment, digest)
            owned.append(found)
            number = newest + 1
        else:
            number = int(found["metadata"]["annotations"][REVISION])
            number = number if number == newest else newest + 1
        cause = deployment["metadata"].get("annotations", {}).get("kubernetes.io/change-cause")
        found["metadata"]["annotations"][REVISION] = str(number)
        if cause:
            found["metadata"]["annotations"]["kubernetes.io/change-cause"] = cause
        deployment["metadata"].setdefault("annotations", {})[REVISION] = str(number)
        return found

    def _make(self, deployment: Thing, digest: str) -> Thing:
        meta, spec = deployment["metadata"], deployment["spec"]
        template = copy.deepcopy(spec["template"])
        labels = {**template.get("metadata", {}).get("labels", {}), HASH: digest}
        template.setdefault("metadata", {})["labels"] = labels
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{meta['name']}-{digest}",
                "namespace": meta["namespace"],
                "labels": labels,
                "annotations": {},
                "ownerReferences": [owner],
            },
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
            "status": {"replicas": 0, "availableReplicas": 0},
        }

    def _move(self, deployment: Thing, current: Thing, old: list[Thing]) -> None:
        wanted = deployment["spec"]["replicas"]
        for item in (current, *old):
            good = "bad" not in item["spec"]["template"]["spec"]["containers"][0]["image"]
            pods = item["spec"]["replicas"]
            ready = pods if good else 0
            item["status"] = {"replicas": pods, "availableReplicas": ready, "readyReplicas": ready}
        available = sum(item["status"]["availableReplicas"] for item in (current, *old))
        total = sum(item["spec"]["replicas"] for item in (current, *old))
        if current["spec"]["replicas"] > wanted:
            current["spec"]["replicas"] = wanted
        elif current["spec"]["replicas"] < wanted and total <= wanted:
            current["spec"]["replicas"] += 1
        broken = [item for item in old if item["spec"]["replicas"] > item["status"]["availableReplicas"]]
        for item in broken or (old if available > wanted else []):
            if item["spec"]["replicas"]:
                item["spec"]["replicas"] -= 1
                break
        for item in (current, *old):
            self._store.put("replicasets", item, status=True)

    def _tell(self, deployment: Thing, owned: list[Thing]) -> None:
        meta, spec = deployment["metadata"], deployment["spec"]
        current = [
            item
            for item in owned
            if item["metadata"]["annotations"][REVISION] == meta["annotations"].get(REVISION)
        ]
        if spec.get("paused") and current:
            template = copy.deepcopy(current[0]["spec"]["template"])
            template["metadata"]["labels"].pop(HASH)
            current = current if template == spec["template"] else []
        total = sum(item["status"]["replicas"] for item in owned)
        available = sum(item["status"]["availableReplicas"] for item in owned)
        updated = sum(item["status"]["replicas"] for item in current)
        done = updated == total == available == spec["replicas"]
        deployment["status"] = {
            "observedGeneration": meta["generation"],
            "replicas": total,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "conditions": [
                self._condition(deployment, (meta["generation"], total, available, updated), done)
            ],
        }
        self._store.put("deployments", deployment, status=True)

    def _condition(self, deployment: Thing, state: Any, done: bool) -> Thing:
        uid, name = deployment["metadata"]["uid"], deployment["metadata"]["name"]
        last, since = self._progress.get(uid, (None, 0.0))
        if last != state:
            since = time.monotonic()
            self._progress[uid] = (state, since)
        if done:
            message = f'ReplicaSet "{name}" has successfully progressed.'
            return {
                "type": "Progressing",
                "status": "True",
                "reason": "NewReplicaSetAvailable",
                "message": message,
            }
        (before,) = deployment["status"].get("conditions") or [{}]
        if before.get("reason") == "NewReplicaSetAvailable" and state[1] == state[3]:
            return dict(before)  # it is only scaled, and that has no deadline
        if time.monotonic() - since > deployment["spec"]["progressDeadlineSeconds"]:
            message = f'ReplicaSet "{name}" has timed out progressing.'
            return {
                "type": "Progressing",
                "status": "False",
                "reason": "ProgressDeadlineExceeded",
                "message": message,
            }
        return {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": ""}

    def _prune(self, deployment: Thing) -> None:
        owned = self._owned(deployment)
        empty = [item for item in owned if not item["spec"]["replicas"] and not item["status"]["replicas"]]
        now = deployment["metadata"]["annotations"].get(REVISION)
        old = [item for item in empty if item["metadata"]["annotations"][REVISION] != now]
        old.sort(key=lambda item: int(item["metadata"]["annotations"][REVISION]))
        for item in old[: max(0, len(old) - deployment["spec"]["revisionHistoryLimit"])]:
            meta = item["metadata"]
            del self._store.things[(meta["namespace"], "replicasets", meta["name"])]
