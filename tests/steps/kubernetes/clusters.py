"""A namespace to test in, of the API of the tests or, with MAINT_TEST_KUBERNETES, of a real one.

MAINT_TEST_KUBERNETES is `programs` (etcd, kube-apiserver and kube-controller-manager from the PATH).
"""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from runbooks.steps.action import Call
from runbooks.steps.kubernetes_objects import Object
from runbooks.steps.reach import Connections
from runbooks.targets import KubernetesTarget, TargetBase
from tests.steps.kubernetes.api import ADMIN, BOT, GROUPS, KINDS, ROLE, Api, Store, serving
from tests.steps.kubernetes.controller import Controller
from tests.steps.kubernetes.programs import Kubelet

REAL = os.environ.get("MAINT_TEST_KUBERNETES", "")
TYPES = {"json": "application/json-patch+json", "merge": "application/strategic-merge-patch+json"}


class Cluster:
    """What a test does beside Maint, with an administrator's token."""

    def __init__(self, url: str, namespace: str, admin: httpx.AsyncClient, ca_file: str | None) -> None:
        self.target = KubernetesTarget.model_validate(
            {
                "name": "k8s",
                "type": "kubernetes",
                "url": url,
                "token": BOT,
                "namespace": namespace,
                "ca_file": ca_file,
            }
        )
        self.admin = admin
        self.namespace = namespace
        #: What plays the part of the nodes and of the gateway.
        self.nodes: Kubelet | Controller

    def path(self, plural: str, name: str = "") -> str:
        return f"/apis/{GROUPS[plural]}/v1/namespaces/{self.namespace}/{plural}" + (
            f"/{name}" if name else ""
        )

    async def create(self, plural: str, name: str, spec: dict[str, Any]) -> None:
        thing = {
            "apiVersion": f"{GROUPS[plural]}/v1",
            "kind": KINDS[plural],
            "metadata": {"name": name},
            "spec": spec,
        }
        answer = await self.admin.post(self.path(plural), json=thing)
        assert answer.status_code in (200, 201), answer.text

    async def get(self, plural: str, name: str) -> Object:
        answer = await self.admin.get(self.path(plural, name))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def patch(self, plural: str, name: str, patch: Any, type_: str = "merge") -> None:
        headers = {"Content-Type": TYPES[type_]}
        answer = await self.admin.patch(self.path(plural, name), content=json.dumps(patch), headers=headers)
        assert answer.status_code == 200, answer.text

    async def replica_sets(self) -> list[Object]:
        return list((await self.admin.get(self.path("replicasets"))).json()["items"])

    async def deploy(
        self, name: str = "app", *, replicas: int = 3, image: str = "registry/app:1.0.0", **more: Any
    ) -> None:
        """A Deployment with one container, rolled out."""
        container = {"name": "app", "image": image, "env": [{"name": "MODE", "value": "calm"}]}
        spec = {
            "replicas": replicas,
            "progressDeadlineSeconds": 3 if REAL else 1,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
            **more,
        }
        await self.create("deployments", name, spec)
        await self.settled(name, replicas)

    async def route(self) -> None:
        """An HTTPRoute that splits between the Services `app` and `app-canary`, and has another rule."""
        pair = [{"name": "app", "port": 80, "weight": 1}, {"name": "app-canary", "port": 80, "weight": 0}]
        await self.create(
            "httproutes",
            "web",
            {
                "parentRefs": [{"name": "front"}],
                "rules": [{"backendRefs": [{"name": "docs", "port": 80}]}, {"backendRefs": pair}],
            },
        )

    async def settled(self, name: str, replicas: int) -> Object:
        """The Deployment once it has that many pods, all available."""
        async with asyncio.timeout(30):
            while True:
                thing = await self.get("deployments", name)
                status = thing.get("status", {})
                counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
                seen = status.get("observedGeneration") == thing["metadata"]["generation"]
                if seen and counts == [replicas] * 3:
                    return thing
                await asyncio.sleep(0.02)

    async def image(self, name: str = "app") -> str:
        thing = await self.get("deployments", name)
        return str(thing["spec"]["template"]["spec"]["containers"][0]["image"])

    async def env(self, name: str = "app") -> dict[str, Any]:
        thing = await self.get("deployments", name)
        listed = thing["spec"]["template"]["spec"]["containers"][0].get("env", [])
        return {item["name"]: item.get("value", item.get("valueFrom")) for item in listed}

    async def weights(self) -> list[int]:
        backends = (await self.get("httproutes", "web"))["spec"]["rules"][1]["backendRefs"]
        return [item["weight"] for item in backends]


class FakeCluster(Cluster):
    """With what only the API of the tests can do."""

    api: Api
    store: Store
    nodes: Controller


@asynccontextmanager
async def fake_cluster() -> AsyncIterator[FakeCluster]:
    store = Store()
    api, controller = Api(store), Controller(store)
    async with serving(api) as url, await asyncio.to_thread(_admin, url, None) as admin:
        cluster = FakeCluster(url, "shop", admin, None)
        cluster.api, cluster.store, cluster.nodes = api, store, controller
        async with _beside(controller.run()):
            yield cluster


@asynccontextmanager
async def real_cluster(url: str, ca_file: str) -> AsyncIterator[Cluster]:
    namespace = f"shop-{uuid4().hex[:8]}"
    async with await asyncio.to_thread(_admin, url, ca_file) as admin:
        cluster = Cluster(url, namespace, admin, ca_file)
        await admin.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})
        await _allow(admin, namespace)
        cluster.nodes = Kubelet(admin, namespace)
        async with _beside(cluster.nodes.run()):
            yield cluster
        await admin.delete(f"/api/v1/namespaces/{namespace}")


async def _allow(admin: httpx.AsyncClient, namespace: str) -> None:
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [
        {"apiGroups": [GROUPS[resource.partition("/")[0]]], "resources": [resource], "verbs": sorted(verbs)}
        for resource, verbs in ROLE.items()
    ]
    role = {"metadata": {"name": "maint"}, "rules": rules}
    binding = {
        "metadata": {"name": "maint"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maint"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "maint"}],
    }
    for plural, thing in (("roles", role), ("rolebindings", binding)):
        answer = await admin.post(f"{base}/{plural}", json=thing)
        assert answer.status_code == 201, answer.text


def _admin(url: str, ca_file: str | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    context = ssl.create_default_context(cafile=ca_file)
    return httpx.AsyncClient(base_url=url, verify=context, headers=headers, trust_env=False, timeout=30)


@asynccontextmanager
async def _beside(running: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(running)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def call_of(connections: Connections, *targets: TargetBase, key: str = "run:step", **more: Any) -> Call:
    """A call as the engine makes one."""
    return Call(
        targets={target.name: target for target in targets},
        connections=connections,
        key=key,
        run="r-1",
        requester="Ada",
        **more,
    )
