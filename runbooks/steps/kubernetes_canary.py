"""`kubernetes.canary`: two Deployments behind one Service, which get traffic by how many pods each has."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from runbooks.errors import StepError
from runbooks.steps.action import Action, Call, Done, Risk
from runbooks.steps.kubernetes_changes import open_target, wait_for_rollout
from runbooks.steps.step import Output
from runbooks.targets import KubernetesTarget, ObjectName

if TYPE_CHECKING:  # an extra
    from runbooks.steps.kubernetes_client import Namespace


def pods_for(weight: float, replicas: int) -> int:
    """How many of so many pods come nearest to a weight (percent): at least one, and never all, unless the
    weight says so."""
    if weight <= 0:
        return 0
    if weight >= 100:
        return replicas
    return min(max(round(replicas * weight / 100), 1), replicas - 1)


def share_words(weight: float, replicas: int) -> str:
    """What a weight becomes, for people: `1 of 4 pods, 25 % (10 % is not possible with 4)`."""
    pods = pods_for(weight, replicas)
    share = 100 * pods / replicas
    inexact = f" ({weight:g} % is not possible with {replicas})" if abs(share - weight) >= 0.5 else ""
    return f"{pods} of {replicas} pods, {share:.3g} %{inexact}"


async def read_replicas(namespace: "Namespace", *names: str) -> dict[str, int]:
    """How many pods each of the Deployments should have."""
    found = await asyncio.gather(*(namespace.get("Deployment", name) for name in names))
    return {item["metadata"]["name"]: item["spec"].get("replicas", 1) for item in found}


async def set_replicas(
    namespace: "Namespace", wanted: Mapping[str, int], seconds: float, tell: Callable[[str], None]
) -> None:
    """That many pods for each Deployment; those that grow come first, and serve before any is taken away."""
    now = await read_replicas(namespace, *wanted)
    try:
        async with asyncio.timeout(seconds):
            for name in sorted(wanted, key=lambda name: now[name] - wanted[name]):
                await namespace.scale(name, wanted[name])
                await wait_for_rollout(namespace, name, seconds, tell)
    except TimeoutError as error:
        raise StepError(f"the pods of {', '.join(wanted)} were not ready within {seconds:g} s") from error


class KubernetesCanary(Action[KubernetesTarget]):
    """Gives the canary Deployment as many of the pods as come nearest to a weight. Both Deployments must
    stand behind one Service, which chooses among all their pods alike."""

    kind: ClassVar[str] = "kubernetes.canary"
    title: ClassVar[str] = "Weight of a canary, by pods"
    needs: ClassVar[type[KubernetesTarget]] = KubernetesTarget
    outputs: ClassVar[Mapping[str, Output]] = {
        "percent": Output(title="share of the canary", unit="%"),
        "stable_replicas": Output(title="stable pods"),
        "canary_replicas": Output(title="canary pods"),
    }
    risk: ClassVar[Risk] = Risk.HIGH
    safe_to_repeat: ClassVar[bool] = True
    reversible: ClassVar[bool] = True

    target: str
    stable: ObjectName
    canary: ObjectName
    replicas: int = Field(ge=2, le=5000)
    weight: float = Field(ge=0, le=100)

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.stable == self.canary:
            raise ValueError("`stable:` and `canary:` are two Deployments")
        return self

    def lines(self, target: KubernetesTarget) -> tuple[str, ...]:
        """How many pods each gets."""
        return (
            f"Deployment {self.canary} in {target.where()} gets {share_words(self.weight, self.replicas)}",
            f"Deployment {self.stable} gets the rest; those that grow come first",
        )

    async def record(self, target: KubernetesTarget, call: Call) -> Mapping[str, Any]:
        """How many pods each has."""
        return await read_replicas(await open_target(target, call.connections), self.stable, self.canary)

    async def act(self, target: KubernetesTarget, call: Call) -> Done:
        """Scales both, and waits for the pods."""
        pods = pods_for(self.weight, self.replicas)
        await self._to({self.stable: self.replicas - pods, self.canary: pods}, target, call)
        return Done(
            values={
                "percent": round(100 * pods / self.replicas, 1),
                "stable_replicas": self.replicas - pods,
                "canary_replicas": pods,
            },
            summary=f"the canary has {share_words(self.weight, self.replicas)}",
        )

    async def undo(self, target: KubernetesTarget, call: Call) -> Done:
        """As many pods as each had."""
        await self._to({name: int(pods) for name, pods in call.before.items()}, target, call)
        return Done(summary=", ".join(f"{name}: {pods} pods" for name, pods in call.before.items()))

    async def _to(self, wanted: Mapping[str, int], target: KubernetesTarget, call: Call) -> None:
        namespace = await open_target(target, call.connections)
        await set_replicas(namespace, wanted, self.timeout.total_seconds() * 0.95, call.tell)

    async def changed_since(
        self, target: KubernetesTarget, call: Call, after: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Which of the two was scaled since."""
        now = await self.record(target, call)
        return tuple(
            f"Deployment {name} has {now[name]} pods now, not {pods}"
            for name, pods in after.items()
            if now[name] != pods
        )
