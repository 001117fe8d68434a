"""`traffic: {canary: ...}`: two Deployments behind one Service; the weight is the share of pods."""

from itertools import pairwise
from typing import ClassVar, Self

from pydantic import Field, model_validator

from runbooks.steps.action import Call
from runbooks.steps.kubernetes_canary import pods_for, set_replicas, share_words
from runbooks.steps.kubernetes_changes import recorded, roll_back, set_image, wait_for_rollout
from runbooks.steps.kubernetes_objects import container_of, has_version, tag_of
from runbooks.steps.traffic.driver import Traffic
from runbooks.steps.traffic.kubernetes_driver import VERSION, KubernetesDriver
from runbooks.targets import ObjectName, TargetBase


class KubernetesCanaryTraffic(KubernetesDriver):
    """With `image` the canary gets the new version's image before its first pod, and at 100 % the stable
    Deployment takes it over, so that the next rollout finds the canary empty."""

    kind: ClassVar[str] = "canary"
    title: ClassVar[str] = "pods of two Deployments behind one Service"

    stable: ObjectName
    canary: ObjectName
    replicas: int = Field(ge=2, le=5000)
    container: ObjectName | None = None
    image: str | None = Field(default=None, max_length=500)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stable == self.canary:
            raise ValueError("`stable:` and `canary:` are two Deployments")
        if self.image is not None and VERSION not in self.image:
            raise ValueError("`image:` has {version} where the version stands: registry/app:{version}")
        return self

    def lines(self, target: TargetBase, version: str, weight: float) -> tuple[str, ...]:
        """How many pods the new version gets."""
        where = f"{self.target or target.name}"
        if weight >= 100 and self.image:
            image = self.image.replace(VERSION, version)
            return (
                f"{where}: Deployment {self.stable} takes over {image}, Deployment {self.canary} goes to 0",
            )
        return (f"{where}: Deployment {self.canary} gets {share_words(weight, self.replicas)}",)

    def faults(self, stages: tuple[float, ...]) -> tuple[str, ...]:
        """Stages that would be the same number of pods."""
        found = []
        for before, stage in pairwise(stages):
            pods = pods_for(stage, self.replicas)
            if before != stage and pods_for(before, self.replicas) == pods:
                found.append(
                    f"{before:g} % and {stage:g} % are both {pods} of {self.replicas} pods: leave one out, or"
                    " have more `replicas:`"
                )
        return tuple(found)

    def reached(self, weight: float) -> float:
        """The share that comes nearest."""
        return 100 * pods_for(weight, self.replicas) / self.replicas

    def warnings(self) -> tuple[str, ...]:
        """That it is a matter of pods."""
        return ("the weight is a share of pods: open connections and sticky sessions do not follow it",)

    async def read(self, target: TargetBase, version: str, call: Call) -> Traffic:
        """The share of the pods that are to run the version; one that is just being replaced counts."""
        namespace = await self.namespace(target, call)
        detail = {name: await recorded(namespace, name) for name in (self.stable, self.canary)}
        found = {name: await namespace.get("Deployment", name) for name in detail}
        pods = {name: before["replicas"] for name, before in detail.items()}
        images = {
            name: container_of(item, self.container)[1].get("image", "") for name, item in found.items()
        }
        new = sum(pods[name] for name in found if has_version(images[name], version))
        live = version if new else tag_of(images[self.canary]) if pods[self.canary] else None
        return Traffic(version=live, weight=100 * new / (sum(pods.values()) or 1), detail=detail)

    async def set(self, target: TargetBase, version: str, weight: float, call: Call) -> None:
        """Sets the pods of both; those that grow come first."""
        namespace = await self.namespace(target, call)
        pods = pods_for(weight, self.replicas)
        if pods == self.replicas and self.image:
            await self._take_over(target, version, call)
            return
        if pods:
            await self.bring(namespace, self.canary, self.container, self.image, version, call)
        wanted = {self.stable: self.replicas - pods, self.canary: pods}
        await set_replicas(namespace, wanted, self.seconds, call.tell)

    async def _take_over(self, target: TargetBase, version: str, call: Call) -> None:
        namespace = await self.namespace(target, call)
        image = (self.image or "").replace(VERSION, version)
        stable = await namespace.get("Deployment", self.stable)
        if container_of(stable, self.container)[1].get("image") != image:
            # All pods are the canary's while the stable ones change, so no request meets the old version.
            await self.bring(namespace, self.canary, self.container, self.image, version, call)
            await set_replicas(
                namespace, {self.canary: self.replicas, self.stable: 0}, self.seconds, call.tell
            )
            await set_image(namespace, self.stable, self.container, image, self.cause(call))
        wanted = {self.stable: self.replicas, self.canary: 0}
        await set_replicas(namespace, wanted, self.seconds, call.tell)

    async def restore(self, target: TargetBase, recorded: Traffic, call: Call) -> None:
        """Images and pods as they were; the stable ones serve before the canary's are taken away."""
        namespace = await self.namespace(target, call)
        for name in (self.stable, self.canary):
            before = recorded.detail[name]
            await roll_back(namespace, name, before["replica_set"], f"{self.cause(call)}: undone")
            await namespace.scale(name, before["replicas"])
            await wait_for_rollout(namespace, name, self.seconds, call.tell)
