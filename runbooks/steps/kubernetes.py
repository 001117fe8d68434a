"""`kubernetes.set_env`, `.rollout_status`, `.restart`, `.scale`, `.undo`: what is done to a Deployment."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from runbooks.steps.action import Action, Call, Done, Risk
from runbooks.steps.kubernetes_changes import (
    open_target,
    put_back_env,
    read_env,
    recorded,
    roll_back,
    set_env,
    wait_for_rollout,
)
from runbooks.steps.kubernetes_objects import Object, no_revision, revision_of
from runbooks.steps.step import Output, Value
from runbooks.targets import KubernetesTarget, ObjectName

#: Seconds of an action's timeout that are kept for saying what did not happen.
KEPT = 2.0
#: In a pod's template: which restart of ours was its last, so that a repeated one does not restart it again.
RESTART = "maintbot/restart"


def _text(value: Any) -> Any:
    # In YAML 10 is a number and `true` a switch, but a variable is always text.
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


EnvValue = Annotated[
    str, BeforeValidator(_text, json_schema_input_type=str | int | float | bool), Field(max_length=10_000)
]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_.-][A-Za-z0-9_.-]*$", max_length=253)]

_REVISIONS = {
    "revision": Output(title="revision"),
    "revision_before": Output(title="revision before"),
}


class DeploymentAction(Action[KubernetesTarget]):
    """What all steps on a Deployment have. With `wait` they end when every pod is as it should be."""

    needs: ClassVar[type[KubernetesTarget]] = KubernetesTarget
    outputs: ClassVar[Mapping[str, Output]] = _REVISIONS

    target: str
    deployment: ObjectName

    def spoken(self, target: KubernetesTarget) -> str:
        """The Deployment, for people."""
        return f"Deployment {self.deployment} in {target.where()}"

    def cause(self, call: Call) -> str:
        """What `kubectl rollout history` shows."""
        return f"{self.kind} by {call.requester} (maint {call.run})"

    @property
    def seconds(self) -> float:
        """What waiting gets of the timeout."""
        whole = self.timeout.total_seconds()
        return max(whole - KEPT, whole * 0.9)

    async def rolled_out(self, target: KubernetesTarget, call: Call) -> Object:
        """Waits, telling how far it is. Raises StepError when the rollout failed."""
        namespace = await open_target(target, call.connections)
        return await wait_for_rollout(namespace, self.deployment, self.seconds, call.tell)

    async def revisions(self, target: KubernetesTarget, call: Call, before: int) -> dict[str, Value]:
        """The outputs after a change. `before` is what was read right before it."""
        namespace = await open_target(target, call.connections)
        now = await recorded(namespace, self.deployment)
        # What was recorded before the first attempt counts, when this one is a repetition.
        return {"revision": now["revision"], "revision_before": call.before.get("revision", before)}


class KubernetesSetEnv(DeploymentAction):
    """Sets environment variables of a container, which restarts every pod of it. `undo` puts back these
    variables and no others."""

    kind: ClassVar[str] = "kubernetes.set_env"
    title: ClassVar[str] = "Set environment variables"
    risk: ClassVar[Risk] = Risk.HIGH
    safe_to_repeat: ClassVar[bool] = True
    reversible: ClassVar[bool] = True

    env: dict[EnvName, EnvValue] = Field(min_length=1)
    container: ObjectName | None = None
    wait: bool = True

    def lines(self, target: KubernetesTarget) -> tuple[str, ...]:
        """The variables, and what setting them means."""
        where = f" of container {self.container}" if self.container else ""
        return (
            f"{self.spoken(target)}: sets" + where,
            *(f"{name}={value}" for name, value in self.env.items()),
            "this restarts every pod; a variable is a value that the program reads, it moves no traffic",
        )

    async def record(self, target: KubernetesTarget, call: Call) -> Mapping[str, Any]:
        """The variables as they are, and the revision."""
        namespace = await open_target(target, call.connections)
        return {
            **await read_env(namespace, self.deployment, self.container, tuple(self.env)),
            **await recorded(namespace, self.deployment),
        }

    async def act(self, target: KubernetesTarget, call: Call) -> Done:
        """Sets them, and waits until pods with them serve."""
        namespace = await open_target(target, call.connections)
        before = revision_of(await namespace.get("Deployment", self.deployment))
        await set_env(namespace, self.deployment, self.container, self.env, self.cause(call))
        if self.wait:
            await self.rolled_out(target, call)
        values = await self.revisions(target, call, before)
        return Done(values=values, summary=f"revision {values['revision']}")

    async def undo(self, target: KubernetesTarget, call: Call) -> Done:
        """Puts these variables back, or takes them away again."""
        namespace = await open_target(target, call.connections)
        changed = await put_back_env(
            namespace, self.deployment, call.before["container"], call.before["env"], self.cause(call)
        )
        await self.rolled_out(target, call)
        return Done(summary="as before" if changed else "it was as before already")

    async def changed_since(
        self, target: KubernetesTarget, call: Call, after: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Which of these variables are others by now."""
        namespace = await open_target(target, call.connections)
        now = await read_env(namespace, self.deployment, after["container"], tuple(after["env"]))
        return tuple(
            f"{name} of {self.spoken(target)} was changed since"
            for name, value in after["env"].items()
            if now["env"][name] != value
        )


class KubernetesRolloutStatus(DeploymentAction):
    """Waits until a rollout is complete; fails, with the reason, when it cannot become so."""

    kind: ClassVar[str] = "kubernetes.rollout_status"
    title: ClassVar[str] = "Wait for a rollout"
    outputs: ClassVar[Mapping[str, Output]] = {
        "revision": Output(title="revision"),
        "replicas": Output(title="pods"),
        "available": Output(title="available pods"),
    }
    risk: ClassVar[Risk] = Risk.READ
    safe_to_repeat: ClassVar[bool] = True

    def lines(self, target: KubernetesTarget) -> tuple[str, ...]:
        """What is waited for."""
        return (f"waits until {self.spoken(target)} is rolled out",)

    async def act(self, target: KubernetesTarget, call: Call) -> Done:
        """Waits."""
        deployment = await self.rolled_out(target, call)
        status = deployment.get("status", {})
        values: dict[str, Value] = {
            "revision": revision_of(deployment),
            "replicas": status.get("replicas", 0),
            "available": status.get("availableReplicas", 0),
        }
        return Done(values=values, summary=f"revision {values['revision']}, {values['available']} pods")


class KubernetesRestart(DeploymentAction):
    """Replaces every pod by a new one of the same template, a few at a time as the Deployment says."""

    kind: ClassVar[str] = "kubernetes.restart"
    title: ClassVar[str] = "Restart every pod"
    risk: ClassVar[Risk] = Risk.HIGH
    safe_to_repeat: ClassVar[bool] = True

    wait: bool = True

    def lines(self, target: KubernetesTarget) -> tuple[str, ...]:
        """What is restarted."""
        return (f"restarts every pod of {self.spoken(target)}",)

    async def act(self, target: KubernetesTarget, call: Call) -> Done:
        """Marks the template, as `kubectl rollout restart` does, once for one key."""
        namespace = await open_target(target, call.connections)
        deployment = await namespace.get("Deployment", self.deployment)
        before = revision_of(deployment)
        marks = deployment["spec"]["template"].get("metadata", {}).get("annotations") or {}
        if marks.get(RESTART) != call.key:
            at = call.now().isoformat(timespec="seconds")
            marks = {"kubectl.kubernetes.io/restartedAt": at, RESTART: call.key}
            await namespace.merge(
                "Deployment",
                self.deployment,
                {
                    "metadata": {"annotations": {"kubernetes.io/change-cause": self.cause(call)}},
                    "spec": {"template": {"metadata": {"annotations": marks}}},
                },
            )
        if self.wait:
            await self.rolled_out(target, call)
        values = await self.revisions(target, call, before)
        return Done(values=values, summary="every pod is new" if self.wait else "the restart has begun")


class KubernetesScale(DeploymentAction):
    """Sets how many pods a Deployment has. A HorizontalPodAutoscaler on it would set it otherwise again."""

    kind: ClassVar[str] = "kubernetes.scale"
    title: ClassVar[str] = "Scale"
    outputs: ClassVar[Mapping[str, Output]] = {
        "replicas": Output(title="pods"),
        "replicas_before": Output(title="pods before"),
    }
    risk: ClassVar[Risk] = Risk.HIGH
    safe_to_repeat: ClassVar[bool] = True
    reversible: ClassVar[bool] = True

    replicas: int = Field(ge=0, le=5000)
    wait: bool = True

    def lines(self, target: KubernetesTarget) -> tuple[str, ...]:
        """How many."""
        none = "; nothing answers then" if self.replicas == 0 else ""
        return (f"scales {self.spoken(target)} to {self.replicas} pods{none}",)

    async def record(self, target: KubernetesTarget, call: Call) -> Mapping[str, Any]:
        """How many it has."""
        namespace = await open_target(target, call.connections)
        deployment = await namespace.get("Deployment", self.deployment)
        return {"replicas": deployment["spec"].get("replicas", 1)}

    async def act(self, target: KubernetesTarget, call: Call) -> Done:
        """Scales, and waits for the pods."""
        before = call.before or await self.record(target, call)
        await self._to(self.replicas, target, call, wait=self.wait)
        return Done(
            values={"replicas": self.replicas, "replicas_before": before["replicas"]},
            summary=f"from {before['replicas']} to {self.replicas} pods",
        )

    async def undo(self, target: KubernetesTarget, call: Call) -> Done:
        """As many as before."""
        await self._to(call.before["replicas"], target, call, wait=True)
        return Done(summary=f"{call.before['replicas']} pods, as before")

    async def _to(self, replicas: int, target: KubernetesTarget, call: Call, *, wait: bool) -> None:
        namespace = await open_target(target, call.connections)
        await namespace.scale(self.deployment, replicas)
        if wait:
            await self.rolled_out(target, call)

    async def changed_since(
        self, target: KubernetesTarget, call: Call, after: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Whether somebody (or an autoscaler) scaled it since."""
        now = await self.record(target, call)
        if now["replicas"] == after["replicas"]:
            return ()
        return (f"{self.spoken(target)} has {now['replicas']} pods now, not {after['replicas']}",)


class KubernetesUndo(DeploymentAction):
    """Goes back to one revision, which is named: never to "the previous one", which after several stages
    is only the stage before. `undo` returns to where it was."""

    kind: ClassVar[str] = "kubernetes.undo"
    title: ClassVar[str] = "Go back to a revision"
    risk: ClassVar[Risk] = Risk.HIGH
    safe_to_repeat: ClassVar[bool] = True
    reversible: ClassVar[bool] = True

    revision: int = Field(ge=1)
    wait: bool = True

    def lines(self, target: KubernetesTarget) -> tuple[str, ...]:
        """Where to."""
        return (f"{self.spoken(target)} goes back to revision {self.revision}; this restarts every pod",)

    async def record(self, target: KubernetesTarget, call: Call) -> Mapping[str, Any]:
        """The ReplicaSets of now and of the wanted revision."""
        namespace = await open_target(target, call.connections)
        owned = await namespace.owned(await namespace.get("Deployment", self.deployment))
        wanted = next((item for item in owned if revision_of(item) == self.revision), None)
        return {
            **await recorded(namespace, self.deployment),
            "wanted": wanted["metadata"]["name"] if wanted else None,
        }

    async def act(self, target: KubernetesTarget, call: Call) -> Done:
        """Goes there, and waits until its pods serve."""
        namespace = await open_target(target, call.connections)
        # A rollback renumbers: when this is repeated, the wanted revision may have another number.
        before = call.before or await self.record(target, call)
        wanted = before["wanted"]
        if wanted is None:
            owned = await namespace.owned(await namespace.get("Deployment", self.deployment))
            raise no_revision(owned, self.revision, f"Deployment {self.deployment}")
        changed = await roll_back(namespace, self.deployment, wanted, self.cause(call))
        if self.wait:
            await self.rolled_out(target, call)
        values = await self.revisions(target, call, before["revision"])
        words = f"revision {self.revision} is live again" if changed else f"revision {self.revision} was live"
        return Done(values=values, summary=f"{words}, as number {values['revision']}")

    async def undo(self, target: KubernetesTarget, call: Call) -> Done:
        """Back to what was live before."""
        namespace = await open_target(target, call.connections)
        changed = await roll_back(namespace, self.deployment, call.before["replica_set"], self.cause(call))
        await self.rolled_out(target, call)
        return Done(summary="as before" if changed else "it was as before already")

    async def changed_since(
        self, target: KubernetesTarget, call: Call, after: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Whether another template was rolled out since."""
        now = await recorded(await open_target(target, call.connections), self.deployment)
        if now["replica_set"] == after["replica_set"]:
            return ()
        return (f"{self.spoken(target)} is at revision {now['revision']} now, not {after['revision']}",)
