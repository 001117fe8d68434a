"""`kubernetes.route`: the weights of two Services in an HTTPRoute of the Gateway API."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from runbooks.errors import StepError
from runbooks.steps.action import Action, Call, Done, Risk
from runbooks.steps.kubernetes_changes import LOOK_EVERY, open_target
from runbooks.steps.kubernetes_objects import Object
from runbooks.steps.step import Output
from runbooks.targets import KubernetesTarget, ObjectName

if TYPE_CHECKING:  # an extra
    from runbooks.steps.kubernetes_client import Namespace

#: A weight of an HTTPRoute is a whole number; with 100 of them to a percent, 2.5 % is one too.
PER_PERCENT = 100


def _pairs(route: Object, stable: str, canary: str) -> Iterator[tuple[int, dict[str, int]]]:
    """The rules that split between the two Services, and where in `backendRefs` each stands."""
    for number, rule in enumerate(route["spec"].get("rules", ())):
        places = {
            backend["name"]: place
            for place, backend in enumerate(rule.get("backendRefs", ()))
            if backend.get("kind", "Service") == "Service"
        }
        if stable in places and canary in places:
            yield number, {stable: places[stable], canary: places[canary]}


def read_weights(route: Object, stable: str, canary: str) -> list[dict[str, Any]]:
    """The weights as they are, rule by rule, for `put_weights`. Raises StepError without such a rule."""
    found = [
        {
            "rule": number,
            "weights": {
                name: route["spec"]["rules"][number]["backendRefs"][place].get("weight", 1)
                for name, place in places.items()
            },
        }
        for number, places in _pairs(route, stable, canary)
    ]
    if not found:
        raise StepError(
            f"HTTPRoute {route['metadata']['name']} has no rule with both Services, {stable} and {canary},"
            " among its backendRefs"
        )
    return found


def share_of(weights: Sequence[Mapping[str, Any]], canary: str) -> float:
    """The percentage that the canary gets; of several rules, where it gets most."""
    shares = []
    for rule in weights:
        total = sum(rule["weights"].values())
        shares.append(100 * rule["weights"][canary] / total if total else 0.0)
    return max(shares)


def split(
    weights: Sequence[Mapping[str, Any]], stable: str, canary: str, weight: float
) -> list[dict[str, Any]]:
    """The same rules with that percentage for the canary."""
    part = round(weight * PER_PERCENT)
    wanted = {stable: 100 * PER_PERCENT - part, canary: part}
    return [{"rule": rule["rule"], "weights": wanted} for rule in weights]


async def put_weights(
    namespace: "Namespace", name: str, wanted: Sequence[Mapping[str, Any]], seconds: float
) -> None:
    """Sets the weights, and waits until every gateway of the route has taken them.

    Raises StepError when none says so: a route that nobody carries out moves no traffic.
    """

    def changes(route: Object) -> list[Mapping[str, Any]]:
        made: list[Mapping[str, Any]] = []
        for rule in wanted:
            stable, canary = rule["weights"]
            places = dict(_pairs(route, stable, canary)).get(rule["rule"])
            if places is None:
                raise StepError(
                    f"HTTPRoute {name} was changed: its rule {rule['rule']} has other Services now"
                )
            backends = route["spec"]["rules"][rule["rule"]]["backendRefs"]
            for service, weight in rule["weights"].items():
                if backends[places[service]].get("weight", 1) != weight:
                    path = f"/spec/rules/{rule['rule']}/backendRefs/{places[service]}/weight"
                    made.append({"op": "add", "path": path, "value": weight})
        return made

    await namespace.edit("HTTPRoute", name, changes)
    seen = ""
    try:
        async with asyncio.timeout(seconds):
            while seen := _not_taken(await namespace.get("HTTPRoute", name)):  # noqa: ASYNC110 - it is elsewhere
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError as error:
        raise StepError(
            f"{namespace.where}: the weights of HTTPRoute {name} are set, but {seen or 'it did not answer'}"
            f" after {seconds:g} s"
        ) from error


def _not_taken(route: Object) -> str:
    """Why the route cannot be relied on yet, in words; empty when every gateway has taken it."""
    generation = route["metadata"].get("generation", 0)
    parents = route.get("status", {}).get("parents", [])
    if not parents:
        return "no gateway says that it carries the route out"
    for parent in parents:
        gateway = parent.get("parentRef", {}).get("name", "?")
        conditions = {item["type"]: item for item in parent.get("conditions", ())}
        for type_ in ("Accepted", "ResolvedRefs"):
            item = conditions.get(type_, {})
            if item.get("status") != "True":
                return f"gateway {gateway} says {type_}: {item.get('reason') or 'nothing'}"
            if item.get("observedGeneration", 0) < generation:
                return f"gateway {gateway} has not seen them"
    return ""


class KubernetesRoute(Action[KubernetesTarget]):
    """Splits the requests of an HTTPRoute between two Services. Every rule that names both is set alike."""

    kind: ClassVar[str] = "kubernetes.route"
    title: ClassVar[str] = "Weights of an HTTPRoute"
    needs: ClassVar[type[KubernetesTarget]] = KubernetesTarget
    outputs: ClassVar[Mapping[str, Output]] = {
        "percent": Output(title="share of the canary", unit="%"),
        "percent_before": Output(title="share of the canary before", unit="%"),
    }
    risk: ClassVar[Risk] = Risk.HIGH
    safe_to_repeat: ClassVar[bool] = True
    reversible: ClassVar[bool] = True

    target: str
    route: ObjectName
    stable: ObjectName
    canary: ObjectName
    weight: float = Field(ge=0, le=100)

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.stable == self.canary:
            raise ValueError("`stable:` and `canary:` are two Services")
        return self

    def lines(self, target: KubernetesTarget) -> tuple[str, ...]:
        """How the requests are split."""
        new, old = f"{self.weight:g} % to {self.canary}", f"{100 - self.weight:g} % to {self.stable}"
        return (f"HTTPRoute {self.route} in {target.where()}: {new}, {old}",)

    async def record(self, target: KubernetesTarget, call: Call) -> Mapping[str, Any]:
        """The weights of every rule that names both."""
        namespace = await open_target(target, call.connections)
        route = await namespace.get("HTTPRoute", self.route)
        return {"rules": read_weights(route, self.stable, self.canary)}

    async def act(self, target: KubernetesTarget, call: Call) -> Done:
        """Sets the weights, and waits for the gateways."""
        now = (await self.record(target, call))["rules"]
        await self._put(split(now, self.stable, self.canary, self.weight), target, call)
        before = share_of(call.before.get("rules", now), self.canary)
        return Done(
            values={"percent": self.weight, "percent_before": round(before, 2)},
            summary=f"{self.weight:g} % to {self.canary}",
        )

    async def undo(self, target: KubernetesTarget, call: Call) -> Done:
        """The weights as they were."""
        await self._put(call.before["rules"], target, call)
        return Done(summary=f"{share_of(call.before['rules'], self.canary):g} % to {self.canary}, as before")

    async def _put(self, wanted: Sequence[Mapping[str, Any]], target: KubernetesTarget, call: Call) -> None:
        namespace = await open_target(target, call.connections)
        await put_weights(namespace, self.route, wanted, self.timeout.total_seconds() * 0.95)

    async def changed_since(
        self, target: KubernetesTarget, call: Call, after: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Whether somebody set other weights since."""
        if (await self.record(target, call))["rules"] == after["rules"]:
            return ()
        return (f"HTTPRoute {self.route} in {target.where()} has other weights now",)
