"""Traffic in memory that rollouts move: it notes every weight that was set, and can be made to misbehave."""

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import InstanceOf

from runbooks.errors import StepError
from runbooks.steps.action import Call
from runbooks.steps.traffic import Traffic, TrafficDriver
from runbooks.targets import TargetBase


@dataclass
class System:
    """What has traffic: 1.9.0 has all of it at first. `secret` is what only the recorded detail knows."""

    version: str = "1.9.0"
    weight: float = 100
    secret: str = "as it was"
    told: list[tuple[str, float]] = field(default_factory=list)
    #: How many reads still see the weight before, after one was set; the reason why reading fails.
    lag: int = 0
    unreadable: str = ""
    deaf_at: float | None = None
    refuses_at: float | None = None
    _stale: tuple[int, Traffic] | None = None

    def live(self) -> Traffic:
        return Traffic(version=self.version, weight=self.weight, detail={"secret": self.secret})

    def give(self, version: str, weight: float, secret: str) -> None:
        self.told.append((version, weight))
        if weight == self.refuses_at:
            raise StepError("the load balancer says no")
        if weight == self.deaf_at:
            return
        self._stale = (self.lag, self.live())
        self.version, self.weight, self.secret = version, weight, secret

    def seen(self) -> Traffic:
        if self.unreadable:
            raise StepError(self.unreadable)
        if self._stale and self._stale[0]:
            left, before = self._stale
            self._stale = (left - 1, before)
            return before
        return self.live()


class MemoryTraffic(TrafficDriver):
    """Moves the traffic of a System."""

    kind: ClassVar[str] = "memory"
    title: ClassVar[str] = "memory"

    system: InstanceOf[System]
    impossible: tuple[float, ...] = ()

    def lines(self, target: TargetBase, version: str, weight: float) -> tuple[str, ...]:
        return (f"gives {version} {weight:g} %",)

    def faults(self, stages: tuple[float, ...]) -> tuple[str, ...]:
        return tuple(f"{stage:g} % is impossible" for stage in stages if stage in self.impossible)

    async def read(self, target: TargetBase, version: str, call: Call) -> Traffic:
        return self.system.seen()

    async def set(self, target: TargetBase, version: str, weight: float, call: Call) -> None:
        self.system.give(version, weight, "moved")

    async def restore(self, target: TargetBase, recorded: Traffic, call: Call) -> None:
        assert recorded.version is not None
        self.system.give(recorded.version, recorded.weight, recorded.detail["secret"])
