"""`traffic: {env: ...}`: an environment variable holds the weight, and the program makes something of it."""

from typing import ClassVar

from runbooks.errors import StepError
from runbooks.steps.action import Call
from runbooks.steps.kubernetes import EnvName
from runbooks.steps.kubernetes_changes import put_back_env, read_env, set_env, wait_for_rollout
from runbooks.steps.traffic.driver import Traffic
from runbooks.steps.traffic.kubernetes_driver import KubernetesDriver
from runbooks.targets import ObjectName, TargetBase


class KubernetesEnvTraffic(KubernetesDriver):
    """What `kubectl set env deployment/app NEW_TRAFFIC=10` does, with its way back."""

    kind: ClassVar[str] = "env"
    title: ClassVar[str] = "an environment variable with the percentage"
    restarts_pods: ClassVar[bool] = True
    is_flag: ClassVar[bool] = True

    deployment: ObjectName
    variable: EnvName
    container: ObjectName | None = None

    def lines(self, target: TargetBase, version: str, weight: float) -> tuple[str, ...]:
        """The value."""
        where = self.target or target.name
        value = f"{self.variable}={weight:g}"
        return (f"{where}: {value} in Deployment {self.deployment} (for {version}); every pod restarts",)

    def warnings(self) -> tuple[str, ...]:
        """That it is a flag, and what it costs."""
        return (
            f"{self.variable} is a value that the program reads; nothing here moves traffic by itself",
            f"every stage restarts every pod of Deployment {self.deployment}",
        )

    async def read(
        self,
        target: TargetBase,
        version: str,  # noqa: ARG002 - the variable holds a percentage and nothing else
        call: Call,
    ) -> Traffic:
        """What the variable says; 0 when there is none."""
        namespace = await self.namespace(target, call)
        detail = await read_env(namespace, self.deployment, self.container, (self.variable,))
        item = detail["env"][self.variable]
        if item is None:
            return Traffic(version=None, weight=0.0, detail=detail)
        try:
            weight = float(item["value"])
        except (KeyError, ValueError) as error:
            raise StepError(
                f"{self.variable} of Deployment {self.deployment} in {namespace.where} is no percentage"
            ) from error
        return Traffic(version=None, weight=weight, detail=detail)

    async def set(
        self,
        target: TargetBase,
        version: str,  # noqa: ARG002 - as above
        weight: float,
        call: Call,
    ) -> None:
        """Sets the variable, and waits until every pod has it."""
        namespace = await self.namespace(target, call)
        values = {self.variable: f"{weight:g}"}
        await set_env(namespace, self.deployment, self.container, values, self.cause(call))
        await wait_for_rollout(namespace, self.deployment, self.seconds, call.tell)

    async def restore(self, target: TargetBase, recorded: Traffic, call: Call) -> None:
        """The variable as it was, or none."""
        namespace = await self.namespace(target, call)
        container, env = recorded.detail["container"], recorded.detail["env"]
        await put_back_env(namespace, self.deployment, container, env, f"{self.cause(call)}: undone")
        await wait_for_rollout(namespace, self.deployment, self.seconds, call.tell)
