"""A namespace of a Kubernetes cluster, as steps see it. Objects are JSON as the server sent it.

Needs lightkube (the extra `kubernetes`), so it is imported when it is used.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import yaml
from lightkube import ApiError, AsyncClient
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import Cluster, User
from lightkube.core.exceptions import ConfigError
from lightkube.core.resource import ApiInfo, NamespacedResourceG, ResourceDef
from lightkube.generic_resource import Generic
from lightkube.types import PatchType

from runbooks.errors import StepError
from runbooks.steps.kubernetes_objects import Away, Object
from runbooks.targets import KubernetesTarget
from runbooks.visible import one_line

T = TypeVar("T")

#: Seconds for one call; the server itself ends a call after 60.
CALL_TIMEOUT = 30.0
#: How often a guarded change is tried again when somebody else was quicker.
ATTEMPTS = 6
#: Seconds before the second attempt; each later one waits as much longer.
BACKOFF = 0.1

_VERBS = ["get", "list", "patch"]


def _kind(
    kind: ResourceDef, plural: str, parent: ResourceDef | None = None, action: str | None = None
) -> type[Any]:
    info = ApiInfo(resource=kind, plural=plural, verbs=_VERBS, parent=parent, action=action)

    # lightkube's own models drop the fields that they do not know, and what is put back must be whole.
    return type(kind.kind, (NamespacedResourceG, Generic), {"_api_info": info})


_DEPLOYMENT = ResourceDef("apps", "v1", "Deployment")
_KINDS: Mapping[str, type[Any]] = {
    "Deployment": _kind(_DEPLOYMENT, "deployments"),
    "ReplicaSet": _kind(ResourceDef("apps", "v1", "ReplicaSet"), "replicasets"),
    "HTTPRoute": _kind(ResourceDef("gateway.networking.k8s.io", "v1", "HTTPRoute"), "httproutes"),
}
_SCALE = _kind(ResourceDef("autoscaling", "v1", "Scale"), "deployments", _DEPLOYMENT, "scale")

#: From an object that was read to the JSON patch operations that it needs.
Changes = Callable[[Object], Sequence[Mapping[str, Any]]]


class Conflict(Exception):
    """Somebody changed the object since it was read."""


class Namespace:
    """What steps ask of one namespace. Every method raises StepError in words for people."""

    def __init__(self, client: AsyncClient, target: KubernetesTarget) -> None:
        self._client = client
        self._target = target

    @property
    def where(self) -> str:
        """Which one, for people."""
        return f"{self._target.name} (namespace {self._target.namespace})"

    async def get(self, kind: str, name: str) -> Object:
        """The object of that kind (`Deployment`, `ReplicaSet`, `HTTPRoute`) and name."""
        call = self._client.get(_KINDS[kind], name, namespace=self._target.namespace)
        return await self._object(call, f"get {kind} {name}")

    async def owned(self, owner: Object) -> tuple[Object, ...]:
        """The ReplicaSets of a Deployment, in no order."""
        selector = owner["spec"].get("selector", {})
        labels = selector.get("matchLabels") if not selector.get("matchExpressions") else None
        uid = owner["metadata"]["uid"]

        async def listed() -> tuple[Object, ...]:
            found = self._client.list(_KINDS["ReplicaSet"], namespace=self._target.namespace, labels=labels)
            return tuple([dict(item) async for item in found])

        every = await self._ask(listed(), "list ReplicaSets")
        return tuple(
            item
            for item in every
            if any(reference["uid"] == uid for reference in item["metadata"].get("ownerReferences", ()))
        )

    async def merge(self, kind: str, name: str, patch: Mapping[str, Any]) -> Object:
        """A strategic merge patch: lists are merged by the names of their items."""
        call = self._client.patch(
            _KINDS[kind], name, patch, namespace=self._target.namespace, patch_type=PatchType.STRATEGIC
        )
        return await self._object(call, f"patch {kind} {name}")

    async def _replace(self, kind: str, thing: Object, changes: Sequence[Mapping[str, Any]]) -> Object:
        name, version = thing["metadata"]["name"], thing["metadata"]["resourceVersion"]
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        resource = _SCALE if kind == "Scale" else _KINDS[kind]
        call = self._client.patch(
            resource, name, [test, *changes], namespace=self._target.namespace, patch_type=PatchType.JSON
        )
        try:
            return await self._object(call, f"patch {kind} {name}", conflicts=True)
        except Conflict as error:
            # A test that fails and a value that is wrong are both told as 422.
            now = await self._scale(name) if kind == "Scale" else await self.get(kind, name)
            if now["metadata"]["resourceVersion"] != version:
                raise
            raise StepError(f"{self.where} refused the change of {kind} {name}: {error}") from error

    async def edit(self, kind: str, name: str, changes: Changes) -> Object:
        """The object after the JSON patch operations that `changes` makes of what was read; none: as it is.

        Read and made anew when somebody else was quicker. `Scale` is how many pods a Deployment has.
        """
        for attempt in range(ATTEMPTS):
            # A controller writes its status several times in a row.
            await asyncio.sleep(BACKOFF * attempt)
            thing = await self._scale(name) if kind == "Scale" else await self.get(kind, name)
            wanted = changes(thing)
            if not wanted:
                return thing
            try:
                return await self._replace(kind, thing, wanted)
            except Conflict:
                continue
        raise StepError(f"{self.where}: others kept changing {kind} {name} meanwhile; try again")

    async def scale(self, name: str, replicas: int) -> None:
        """Sets how many pods a Deployment has, through its scale subresource: nothing else is touched."""

        def changes(scale: Object) -> list[Mapping[str, Any]]:
            if scale["spec"].get("replicas", 0) == replicas:
                return []
            # `add` is what sets a field that may be left out, as 0 is.
            return [{"op": "add", "path": "/spec/replicas", "value": replicas}]

        await self.edit("Scale", name, changes)

    async def _scale(self, name: str) -> Object:
        call = self._client.get(_SCALE, name, namespace=self._target.namespace)
        return await self._object(call, f"get the scale of Deployment {name}")

    async def _object(self, call: Awaitable[Any], what: str, *, conflicts: bool = False) -> Object:
        return dict(await self._ask(call, what, conflicts=conflicts))

    async def _ask(self, call: Awaitable[T], what: str, *, conflicts: bool = False) -> T:
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await call
        except ApiError as error:
            if conflicts and error.response.status_code in (409, 422):
                raise Conflict(one_line(str(error))) from error
            raise self._refusal(error, what) from error
        except httpx2.HTTPStatusError as error:
            raise StepError(
                f"{self.where} answered {error.response.status_code} to `{what}`, and not as a Kubernetes API"
                " does: does the address lead to one?"
            ) from error
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise Away(f"{self.where} did not answer in time: {what}") from error
        except (httpx2.HTTPError, ssl.SSLError) as error:
            raise Away(f"{self.where} cannot be reached: {_reason(error)}") from error
        except (ConfigError, OSError, json.JSONDecodeError, KeyError) as error:
            # The program or the file that a kubeconfig names for the token.
            raise StepError(f"{self.where}: the login failed: {one_line(str(error), 300)}") from error

    def _refusal(self, error: ApiError, what: str) -> StepError:
        said = one_line(str(error.status.message or ""), 500)
        match error.response.status_code:
            case 401:
                return StepError(
                    f"{self.where} does not know the login: its token or certificate is wrong or expired"
                )
            case 403:
                return StepError(
                    f"{self.where} does not let Maint {what}: its Role needs get, list, watch and patch, as"
                    f" docs/steps/kubernetes.md shows ({said})"
                )
            case 404:
                return StepError(f"{self.where} answered 404 to `{what}`: {said}")
            case 429:
                return Away(f"{self.where} has too much to do and refused to {what}; try again in a minute")
            case status if status >= 500:
                return Away(f"{self.where} answered {status} to `{what}`: {said}")
            case status:
                return StepError(f"{self.where} answered {status} to `{what}`: {said}")


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate does not hold ({cause.verify_message}): is its authority the right one?"
        if isinstance(cause, ConnectionRefusedError):
            return "it refused the connection"
        cause = cause.__cause__ or cause.__context__
    return one_line(str(error), 300) or type(error).__name__


@asynccontextmanager
async def open_namespace(target: KubernetesTarget) -> AsyncIterator[Namespace]:
    """The target, ready to be asked. Raises StepError when its files or its context cannot be used."""
    # In a thread: it reads files and builds a TLS context.
    client = await asyncio.to_thread(_client, target)
    try:
        yield Namespace(client, target)
    finally:
        await client.close()


def _client(target: KubernetesTarget) -> AsyncClient:
    try:
        # No proxy, no certificates from the environment: what is in maint.yaml is what holds.
        return AsyncClient(
            _config(target),
            namespace=target.namespace,
            timeout=httpx2.Timeout(CALL_TIMEOUT, connect=5.0),
            field_manager="maint",
            trust_env=False,
        )
    except ConfigError as error:
        raise StepError(f"the login to {target.name} cannot be used: {one_line(str(error), 300)}") from error
    except ssl.SSLError as error:
        raise StepError(f"the certificates for {target.name} cannot be used: not in PEM form?") from error
    except OSError as error:
        raise StepError(
            f"a file for {target.name} cannot be read: {error.filename}: {error.strerror}"
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        # Not chained: the text of such an error may quote the file, and with it a token.
        raise StepError(
            f"{target.kubeconfig or target.where()} is no kubeconfig that can be used"
            f" ({type(error).__name__})"
        ) from None


def _config(target: KubernetesTarget) -> SingleConfig | None:
    if target.in_cluster:
        return KubeConfig.from_service_account().get()
    if target.kubeconfig is not None:
        config = KubeConfig.from_file(target.kubeconfig).get(target.context)
        assert config is not None  # without a default, `get` raises rather than return nothing
        return config if config.user else config._replace(user=User())
    if target.token_file is not None:
        Path(target.token_file).read_bytes()  # or the first call would be the one to find it missing
    token = target.token.get_secret_value() if target.token else None
    user = User(token=token, token_file=target.token_file)
    cluster = Cluster(server=target.url or "", certificate_auth=target.ca_file)
    return KubeConfig.from_one(cluster=cluster, user=user).get()
