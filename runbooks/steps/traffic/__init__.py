"""What moves the traffic of a rollout. One file per driver; one line here registers it."""

from typing import Any

from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.nearest import did_you_mean
from runbooks.steps.traffic.command import CommandTraffic
from runbooks.steps.traffic.driver import Traffic, TrafficDriver
from runbooks.steps.traffic.http import HttpTraffic
from runbooks.steps.traffic.kubernetes_canary import KubernetesCanaryTraffic
from runbooks.steps.traffic.kubernetes_env import KubernetesEnvTraffic
from runbooks.steps.traffic.kubernetes_route import KubernetesRouteTraffic
from runbooks.targets import TargetBase

_DRIVERS: tuple[type[TrafficDriver], ...] = (
    HttpTraffic,
    CommandTraffic,
    KubernetesCanaryTraffic,
    KubernetesRouteTraffic,
    KubernetesEnvTraffic,
)

#: The key under `traffic:` -> the model.
DRIVERS: dict[str, type[TrafficDriver]] = {driver.kind: driver for driver in _DRIVERS}


def read_driver(value: Any) -> Any:
    """The driver that `traffic: {name: {...}}` means. Raises ValueError saying what does not fit."""
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"traffic: has one key, which says what moves it: {', '.join(DRIVERS)}")
    ((name, fields),) = value.items()
    if name not in DRIVERS:
        hint = did_you_mean(str(name), DRIVERS) or f"there are {', '.join(DRIVERS)}"
        raise ValueError(f"there is no traffic driver {str(name)[:40]!r} ({hint})")
    try:
        return DRIVERS[name].model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in (name, *fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise ValueError(faults) from None


def driver_of(target: TargetBase) -> TrafficDriver:
    """What moves that target's traffic. Raises StepError when nothing is said about it."""
    driver = getattr(target, "traffic", None)
    if not isinstance(driver, TrafficDriver):
        raise StepError(
            f"the target {target.name} has no `traffic:`, which says how its traffic is moved:"
            f" {', '.join(DRIVERS)}"
        )
    return driver


__all__ = ["DRIVERS", "Traffic", "TrafficDriver", "driver_of", "read_driver"]
