"""`traffic: {route: ...}`: two Services in an HTTPRoute of the Gateway API; the weights are exact."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from runbooks.steps.action import Call
from runbooks.steps.kubernetes_objects import container_of, has_version, tag_of
from runbooks.steps.kubernetes_route import put_weights, read_weights, share_of, split
from runbooks.steps.traffic.driver import Traffic
from runbooks.steps.traffic.kubernetes_driver import VERSION, KubernetesDriver
from runbooks.targets import ObjectName, TargetBase


class KubernetesRouteTraffic(KubernetesDriver):
    """`deployment` is the one behind the canary's Service: its image says which version that is."""

    kind: ClassVar[str] = "route"
    title: ClassVar[str] = "weights of an HTTPRoute"

    route: ObjectName
    stable: ObjectName
    canary: ObjectName
    deployment: ObjectName
    container: ObjectName | None = None
    image: str | None = Field(default=None, max_length=500)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stable == self.canary:
            raise ValueError("`stable:` and `canary:` are two Services")
        if self.image is not None and VERSION not in self.image:
            raise ValueError("`image:` has {version} where the version stands: registry/app:{version}")
        return self

    def lines(self, target: TargetBase, version: str, weight: float) -> tuple[str, ...]:
        """How the requests are split."""
        new, old = f"{weight:g} % to {self.canary} ({version})", f"{100 - weight:g} % to {self.stable}"
        return (f"{self.target or target.name}: HTTPRoute {self.route} sends {new}, {old}",)

    async def read(self, target: TargetBase, version: str, call: Call) -> Traffic:
        """The canary's share in the route, if the canary is that version."""
        namespace = await self.namespace(target, call)
        rules = read_weights(await namespace.get("HTTPRoute", self.route), self.stable, self.canary)
        _, found = container_of(await namespace.get("Deployment", self.deployment), self.container)
        image, share = found.get("image", ""), share_of(rules, self.canary)
        same = has_version(image, version)
        live = version if same else tag_of(image)
        return Traffic(version=live, weight=share if same else 0.0, detail={"rules": rules})

    async def set(self, target: TargetBase, version: str, weight: float, call: Call) -> None:
        """Sees to the version, then sets the weights and waits for the gateways."""
        namespace = await self.namespace(target, call)
        if weight > 0:
            await self.bring(namespace, self.deployment, self.container, self.image, version, call)
        now = read_weights(await namespace.get("HTTPRoute", self.route), self.stable, self.canary)
        await put_weights(namespace, self.route, split(now, self.stable, self.canary, weight), self.seconds)

    async def restore(self, target: TargetBase, recorded: Traffic, call: Call) -> None:
        """The weights as they were. The canary keeps its image: it gets what it got before."""
        namespace = await self.namespace(target, call)
        await put_weights(namespace, self.route, recorded.detail["rules"], self.seconds)
