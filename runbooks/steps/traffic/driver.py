"""What moves the traffic of a rollout: reads how much the new version gets, sets it, and puts it back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from runbooks.spec.model import Spec

if TYPE_CHECKING:  # the models of targets have drivers, and steps act on targets
    from runbooks.steps.action import Call
    from runbooks.targets import TargetBase


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What is live now. `weight` is the percentage (0 to 100) that the new version gets, and `version` the
    new version, None when that cannot be known. `detail` is JSON: everything that `restore` needs."""

    version: str | None
    weight: float
    detail: Mapping[str, Any] = field(default_factory=dict)


class TrafficDriver(Spec):
    """What stands in a target's `traffic:` under the driver's name: `traffic: {canary: {...}}`.

    `target` is the target that has this `traffic:`; `call.targets` has the others. Each method raises
    StepError when it could not do its work, and is cancelled at the timeout of the rollout step.
    """

    kind: ClassVar[str]  # "canary": the key under `traffic:`
    title: ClassVar[str]  # "two Deployments behind one Service", for people
    #: Whether every change of the weight restarts the program everywhere.
    restarts_pods: ClassVar[bool] = False
    #: Whether the weight is a value that the program itself must make something of.
    is_flag: ClassVar[bool] = False

    def lines(self, target: "TargetBase", version: str, weight: float) -> tuple[str, ...]:
        """What `set` would do there, for a plan: touches nothing, and shows no secret."""
        raise NotImplementedError

    def warnings(self) -> tuple[str, ...]:
        """What people should know before they approve such a rollout."""
        return ()

    def faults(self, stages: tuple[float, ...]) -> tuple[str, ...]:  # noqa: ARG002 - a hook
        """Why these weights cannot be set, in words; empty when they can."""
        return ()

    def reached(self, weight: float) -> float:
        """The weight that `read` tells once `set` is through with that one: pods are whole."""
        return weight

    async def read(self, target: "TargetBase", version: str, call: "Call") -> Traffic:
        """What is live now, with everything that `restore` needs."""
        raise NotImplementedError

    async def set(self, target: "TargetBase", version: str, weight: float, call: "Call") -> None:
        """Gives the new version that much, and returns when it is so. Doing it twice is doing it once."""
        raise NotImplementedError

    async def restore(self, target: "TargetBase", recorded: Traffic, call: "Call") -> None:
        """Back to what `read` told before. Doing it twice is doing it once."""
        raise NotImplementedError
