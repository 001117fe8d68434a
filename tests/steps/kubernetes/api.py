"""A Kubernetes API server on this machine: Deployments, ReplicaSets, scales and HTTPRoutes.

It answers as kube-apiserver does: optimistic locking, strategic merge and JSON patches, RBAC, `Status`
objects for errors, required fields and types. What a controller-manager and a kubelet would do is in
controller.py. `make kubernetes` runs the same tests against the real programs.
"""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.steps.kubernetes.patches import JsonPatchFailed, json_patch, merge_patch, strategic_patch
from tests.steps.kubernetes.schema import faults_of

Thing = dict[str, Any]

GROUPS = {"deployments": "apps", "replicasets": "apps", "httproutes": "gateway.networking.k8s.io"}
KINDS = {"deployments": "Deployment", "replicasets": "ReplicaSet", "httproutes": "HTTPRoute"}
#: plural/subresource -> the verbs of the Role that docs/steps/kubernetes.md shows.
ROLE = {
    "deployments": {"get", "list", "watch", "patch"},
    "deployments/scale": {"get", "patch"},
    "replicasets": {"get", "list", "watch"},
    "httproutes": {"get", "list", "watch", "patch"},
}
ADMIN = "admin-token-of-the-tests"
BOT = "bot-token-of-the-tests"


def _json(thing: Thing, status: int = 200) -> web.Response:
    # As kube-apiserver writes it: without a charset.
    body, headers = json.dumps(thing).encode(), {"Content-Type": "application/json"}
    return web.Response(body=body, status=status, headers=headers)


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def response(self) -> web.Response:
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        return _json(status, self.code)


class Store:
    """The objects, each change of which is a new resourceVersion."""

    def __init__(self) -> None:
        self.things: dict[tuple[str, str, str], Thing] = {}
        self.version = 100
        self.role: dict[str, set[str]] = copy.deepcopy(ROLE)

    def put(self, plural: str, thing: Thing, *, status: bool = False) -> Thing:
        """Keeps it, with what the server writes. `status`: it is the controller that tells."""
        meta = thing["metadata"]
        key = (meta["namespace"], plural, meta["name"])
        old = self.things.get(key)
        if old is not None and old == thing:
            return old
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        if old is None:
            meta.setdefault("uid", str(uuid4()))
            meta["creationTimestamp"] = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            meta["generation"] = 1
        elif not status:
            thing["status"] = old.get("status", {})
            meta["generation"] = old["metadata"]["generation"] + (old["spec"] != thing["spec"])
        self.things[key] = copy.deepcopy(thing)
        return thing

    def all(self, plural: str) -> list[Thing]:
        return [copy.deepcopy(thing) for (_, kind, _), thing in self.things.items() if kind == plural]


def scale_of(deployment: Thing) -> Thing:
    meta = deployment["metadata"]
    kept = {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    replicas = deployment["spec"].get("replicas", 1)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": replicas} if replicas else {},  # 0 is left out, as by the real one
        "status": {"replicas": deployment.get("status", {}).get("replicas", 0)},
    }


class Api:
    def __init__(self, store: Store) -> None:
        self.store = store
        #: Called before each patch: where a test lets somebody else be quicker.
        self.before_patch: Any = lambda: None
        self.patches: list[tuple[str, Any]] = []
        self.app = web.Application()
        base = "/apis/{group}/v1/namespaces/{namespace}/{plural}"
        self.app.router.add_get(base, self.handle)
        self.app.router.add_post(base, self.handle)
        for method in ("GET", "PATCH", "DELETE"):
            self.app.router.add_route(method, base + "/{name}", self.handle)
            self.app.router.add_route(method, base + "/{name}/{sub}", self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        info = request.match_info
        plural, name, sub = info["plural"], info.get("name", ""), info.get("sub", "")
        try:
            if GROUPS.get(plural) != info["group"]:
                raise Refusal(404, "NotFound", "the server could not find the requested resource")
            self._authorise(request, plural, name, sub)
            return _json(await self._answer(request, plural, name, sub))
        except Refusal as refusal:
            return refusal.response()

    def _authorise(self, request: web.Request, plural: str, name: str, sub: str) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token == ADMIN:
            return
        if token != BOT:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        verb = {"GET": "get" if name else "list", "POST": "create"}.get(
            request.method, request.method.lower()
        )
        resource = f"{plural}/{sub}" if sub else plural
        if verb not in self.store.role.get(resource, set()):
            group, namespace = request.match_info["group"], request.match_info["namespace"]
            who = f'User "maint" cannot {verb} resource "{resource}" in API group "{group}"'
            message = f'{plural}.{group} "{name}" is forbidden: {who} in the namespace "{namespace}"'
            raise Refusal(403, "Forbidden", message)

    async def _answer(self, request: web.Request, plural: str, name: str, sub: str) -> Thing:
        namespace = request.match_info["namespace"]
        if not name and request.method == "GET":
            return self._list(request, plural, namespace)
        if request.method == "POST":
            return self._create(plural, namespace, await request.json())
        thing = self.store.things.get((namespace, plural, name))
        if thing is None:
            raise Refusal(404, "NotFound", f'{plural}.{GROUPS[plural]} "{name}" not found')
        if request.method == "PATCH":
            self.before_patch()
            thing = self.store.things[(namespace, plural, name)]
            return self._patch(plural, thing, sub, request.content_type, await request.read())
        return scale_of(thing) if sub == "scale" else copy.deepcopy(thing)

    def _list(self, request: web.Request, plural: str, namespace: str) -> Thing:
        wanted = [part.split("=") for part in request.query.get("labelSelector", "").split(",") if part]
        items = []
        for (there, kind, _), thing in self.store.things.items():
            labels = thing["metadata"].get("labels", {})
            if (there, kind) == (namespace, plural) and all(labels.get(k) == v for k, v in wanted):
                # In a list the items do not repeat their kind.
                items.append(
                    {key: value for key, value in thing.items() if key not in ("kind", "apiVersion")}
                )
        meta = {"resourceVersion": str(self.store.version)}
        return {"kind": f"{KINDS[plural]}List", "apiVersion": "v1", "metadata": meta, "items": items}

    def _create(self, plural: str, namespace: str, thing: Thing) -> Thing:
        self._validate(plural, thing)
        thing["metadata"]["namespace"] = namespace
        key = (namespace, plural, thing["metadata"]["name"])
        if key in self.store.things:
            raise Refusal(409, "AlreadyExists", f'{plural}.{GROUPS[plural]} "{key[2]}" already exists')
        if plural == "deployments":
            thing["spec"].setdefault("replicas", 1)
            thing["spec"].setdefault("progressDeadlineSeconds", 600)
            thing["spec"].setdefault("revisionHistoryLimit", 10)
        thing["status"] = {}
        return self.store.put(plural, thing)

    def _validate(self, plural: str, thing: Thing) -> None:
        if faults := faults_of(KINDS[plural], thing):
            name = thing.get("metadata", {}).get("name", "")
            message = f'{KINDS[plural]}.{GROUPS[plural]} "{name}" is invalid: {"; ".join(faults)}'
            raise Refusal(422, "Invalid", message)

    def _patch(self, plural: str, thing: Thing, sub: str, type_: str, body: bytes) -> Thing:
        patch = json.loads(body)
        self.patches.append((f"{plural}/{thing['metadata']['name']}" + (f"/{sub}" if sub else ""), patch))
        before = scale_of(thing) if sub == "scale" else thing
        after = self._patched(copy.deepcopy(before), type_, patch)
        if after["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"]:
            raise Refusal(
                409, "Conflict", "the object has been modified; please apply your changes to the latest"
            )
        if sub == "scale":
            replicas = after["spec"].get("replicas", 0)
            if not isinstance(replicas, int) or replicas < 0:
                raise Refusal(
                    422, "Invalid", "spec.replicas: Invalid value: must be greater than or equal to 0"
                )
            whole = copy.deepcopy(thing)
            whole["spec"]["replicas"] = replicas
            return scale_of(self.store.put(plural, whole))
        self._validate(plural, after)
        return self.store.put(plural, after, status=sub == "status")

    def _patched(self, thing: Thing, type_: str, patch: Any) -> Thing:
        try:
            match type_:
                case "application/json-patch+json":
                    return json_patch(thing, patch)
                case "application/merge-patch+json":
                    return merge_patch(thing, patch)
                case "application/strategic-merge-patch+json":
                    return strategic_patch(thing, patch)
        except JsonPatchFailed as error:
            raise Refusal(
                422, "Invalid", "the server rejected our request due to an error in our request"
            ) from error
        raise Refusal(
            415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {type_}"
        )


@asynccontextmanager
async def serving(api: Api, ssl_context: Any = None) -> AsyncIterator[str]:
    """The API on a free port: its address."""
    runner = web.AppRunner(api.app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
