"""What the kinds of steps say that Maint's login lacks on a target, each by itself."""

from typing import Any

# The table of kinds is whole only when it is looked into.
from runbooks import steps as kinds
from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.examined import Examined
from runbooks.steps.reach import Reach
from runbooks.targets import TargetBase


async def examine_kinds(target: TargetBase, reach: Reach) -> tuple[Examined, ...]:
    """Each kind that acts on targets of that type, and needs a right of its own there."""
    found: list[Examined] = []
    every: dict[str, Any] = {**kinds.CHECKS, **kinds.ACTIONS}
    for name, kind in sorted(every.items()):
        if kind.needs is not None and isinstance(target, kind.needs):
            found += await _of_kind(name, kind, target, reach)
    return tuple(found)


async def _of_kind(name: str, kind: Any, target: TargetBase, reach: Reach) -> list[Examined]:
    try:
        lacking = await kind.lacks(target, reach)
    except StepError as error:
        do = f"`maint health {target.name}` says how the target is."
        return [Examined(what=name, status=Status.UNKNOWN, found=str(error), do=do)]
    if lacking is None:
        return []
    if not lacking:
        return [Examined(what=name, status=Status.OK, found="the login may do it")]
    do = "Grant that; until then runs with such a step stop there, and say the same."
    return [Examined(what=name, status=Status.WARNING, found=each, do=do) for each in lacking]
