"""What the drivers of traffic in Kubernetes share: which cluster, and that the new version is there."""

from typing import TYPE_CHECKING

from runbooks.errors import StepError
from runbooks.spec.model import Name, parse_duration
from runbooks.steps.action import ActionTimeout, Call
from runbooks.steps.kubernetes_changes import open_target, set_image, wait_for_rollout
from runbooks.steps.kubernetes_objects import container_of, has_version
from runbooks.steps.traffic.driver import TrafficDriver
from runbooks.targets import KubernetesTarget, TargetBase

if TYPE_CHECKING:  # an extra
    from runbooks.steps.kubernetes_client import Namespace

#: What stands for the version in `image:`.
VERSION = "{version}"


class KubernetesDriver(TrafficDriver):
    """`target` names the kubernetes target; a kubernetes target that has the `traffic:` means itself."""

    target: Name | None = None
    timeout: ActionTimeout = parse_duration("10m")

    @property
    def seconds(self) -> float:
        """What one change may take."""
        return self.timeout.total_seconds()

    async def namespace(self, target: TargetBase, call: Call) -> "Namespace":
        """The cluster's namespace. Raises StepError when no kubernetes target is named."""
        found = call.targets.get(self.target) if self.target else target
        if not isinstance(found, KubernetesTarget):
            raise StepError(
                f"the `traffic:` of {target.name} needs `target:`, the name of a kubernetes target"
                + (f"; {self.target} is none" if self.target else "")
            )
        return await open_target(found, call.connections)

    def cause(self, call: Call) -> str:
        """What `kubectl rollout history` shows."""
        return f"rollout by {call.requester} (maint {call.run})"

    async def bring(
        self,
        namespace: "Namespace",
        deployment: str,
        container: str | None,
        image: str | None,
        version: str,
        call: Call,
    ) -> None:
        """Sees to it that the Deployment runs that version: gives it the image, or without one only looks.

        Raises StepError when it runs another one, or its rollout fails.
        """
        if image is not None:
            wanted = image.replace(VERSION, version)
            await set_image(namespace, deployment, container, wanted, self.cause(call))
            await wait_for_rollout(namespace, deployment, self.seconds, call.tell)
            return
        _, found = container_of(await namespace.get("Deployment", deployment), container)
        if not has_version(found.get("image", ""), version):
            raise StepError(
                f"Deployment {deployment} in {namespace.where} runs {found.get('image')}, not version"
                f" {version}: deploy it there first, or give the driver an `image:`"
            )
