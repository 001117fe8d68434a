"""Targets that nobody has to name: where only one fits a parameter, it is that one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from commands.command import Request, Services
from commands.given import is_needed
from runbooks.access.touch import touch_of
from runbooks.spec.params import Param
from runbooks.spec.runbook import Runbook
from runbooks.steps.action import Risk
from runbooks.targets import TARGET_TYPES, TargetBase


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What was given, and the targets that were filled in."""

    given: dict[str, str]
    filled: Mapping[str, str]

    @property
    def words(self) -> str:
        """`target=db store=backups`."""
        return " ".join(f"{name}={value}" for name, value in self.filled.items())


def with_sole_targets(
    request: Request, services: Services, runbook: Runbook, given: Mapping[str, str]
) -> Completed:
    """What was given, and for each target that is missing the only one that fits and that the person may run
    this runbook on, if there is only one."""
    filled = {}
    for name, param in runbook.params.items():
        if param.type == "target" and is_needed(param) and not given.get(name):
            usable = [
                each
                for each in fitting_targets(param, services.targets)
                if _may(request, services, runbook, each)
            ]
            if len(usable) == 1:
                filled[name] = usable[0]
    return Completed(given={**given, **filled}, filled=filled)


def fitting_targets(param: Param, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
    """The names of the targets that such a parameter takes."""
    wanted = TARGET_TYPES[param.of] if param.of else TargetBase
    return tuple(
        name
        for name, target in sorted(targets.items())
        if isinstance(target, wanted) and (not param.environment or target.environment in param.environment)
    )


def is_felt(plan: Mapping[str, Any]) -> bool:
    """Whether a run of that plan does something that can be felt: nobody begins that without its target's
    name before their eyes."""
    steps = plan.get("steps") or ()
    return any(step["risk"] not in (Risk.READ, Risk.LOW) for step in steps if not step["skipped"])


def _may(request: Request, services: Services, runbook: Runbook, target: str) -> bool:
    touch = touch_of(target, Risk.READ, services.targets)
    return request.access.may_run(runbook.name, frozenset({touch})).allowed
