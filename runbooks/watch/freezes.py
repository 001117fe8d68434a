"""What a freeze keeps from beginning: new changes on what it is about. Checks and the way back go on."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from runbooks.records.freezes import EVERYTHING, Freeze
from runbooks.records.runs import Phase
from runbooks.spec.planned import environment_of
from runbooks.steps.action import Risk
from runbooks.steps.step import EVERY

_RISKS = tuple(Risk)
#: Who asks for what is on a schedule.
CLOCK = "clock"


def is_frozen_risk(risk: str, requester_kind: str) -> bool:
    """Whether a freeze is about a step of that risk: from medium on, and on a schedule every change."""
    try:
        known = Risk(risk)
    except ValueError:
        return True  # of a plan of another version: what is not known may be the worst
    least = Risk.LOW if requester_kind == CLOCK else Risk.MEDIUM
    return _RISKS.index(known) >= _RISKS.index(least)


def touches(freeze: Freeze, target: str, environments: Mapping[str, str]) -> bool:
    """Whether it is on that target. One that nobody knows may be any; `*` and nothing are none."""
    if EVERYTHING in freeze.targets:
        return True
    if target in ("", EVERY):
        return False
    if target not in environments:
        return True
    return target in freeze.targets or environments[target] in freeze.environments


def in_the_way(plan: Mapping[str, Any], requester_kind: str, freezes: Iterable[Freeze]) -> tuple[Freeze, ...]:
    """The freezes that keep such a run from beginning. A target that is known only later counts when its step
    comes."""
    if plan.get("phase") == Phase.ROLLBACK:
        return ()
    environments = {name: environment_of(where) for name, where in plan.get("targets", {}).items()}
    risky = {
        str(step.get("target") or "")
        for step in plan.get("steps", ())
        if not step.get("skipped") and is_frozen_risk(str(step.get("risk", "read")), requester_kind)
    }
    known = [target for target in risky if "{" not in target]
    return tuple(each for each in freezes if any(touches(each, target, environments) for target in known))


def reason(freeze: Freeze) -> str:
    """What somebody reads whose run does not begin."""
    return (
        f"{freeze.where} is frozen until {freeze.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC, said "
        f"{freeze.by_name}: {freeze.reason}"
    )


def lasting(freezes: Iterable[Freeze]) -> Freeze | None:
    """Of several the one that ends last."""
    return max(freezes, key=lambda each: each.until, default=None)


def shown(
    plan: Mapping[str, Any], requester_kind: str, freezes: Iterable[Freeze]
) -> Iterator[tuple[str, datetime]]:
    """What stands on the card of a run that they touch: in words, and until when."""
    for each in in_the_way(plan, requester_kind, freezes):
        yield f"{each.where} is frozen, said {each.by_name}: {each.reason}", each.until
