"""What a plan touches, and how risky that is: what a grant is held against."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbooks.steps.action import Risk
from runbooks.steps.step import EVERY
from runbooks.targets import TargetBase

#: Of a target that maint.yaml does not name any more: only a grant for every environment holds for it.
NOWHERE = ""


@dataclass(frozen=True, kw_only=True)
class Touch:
    """One target in its environment, and at what risk it is touched.

    `somewhere` is false for a step that has no target; a target that is not known has no name, and one that
    maint.yaml does not know no environment.
    """

    target: str = ""
    environment: str = NOWHERE
    risk: Risk = Risk.READ
    somewhere: bool = True


def touched(plan: Mapping[str, Any], targets: Mapping[str, TargetBase]) -> frozenset[Touch]:
    """Everything that a plan touches, its rollback included."""
    risks = list(_steps([plan.get("steps"), plan.get("rollback")]))
    # `targets` has every one that is named anywhere; a step's own may be known only when it comes.
    named = set(plan.get("targets", ())) - {EVERY}
    # To lock a target keeps everybody else from it. A lock may also be a name that is no target.
    named |= targets.keys() & set(plan.get("locks", ()))
    return frozenset(
        touch_of(name, risk, targets) for name, risk in [*risks, *((name, Risk.READ) for name in named)]
    )


def touch_of(target: str, risk: Risk, targets: Mapping[str, TargetBase]) -> Touch:
    """Touching the target of that name, `*` and nothing being none in particular."""
    if target in ("", EVERY):
        return Touch(risk=risk, somewhere=False)
    known = targets.get(target)
    # The name of one that is gone may be anything: it is held against no pattern but `*`.
    return Touch(
        target=target if known else "", environment=known.environment if known else NOWHERE, risk=risk
    )


def _steps(part: object) -> Iterable[tuple[str, Risk]]:
    """The target and the risk of every step in a plan's JSON, however deep its groups are."""
    if isinstance(part, Mapping):
        if "target" in part or "risk" in part:
            yield str(part.get("target") or ""), _risk(part.get("risk"))
        yield from _steps(part.get("steps"))
    elif isinstance(part, (list, tuple)):
        for item in part:
            yield from _steps(item)


def _risk(written: object) -> Risk:
    try:
        return Risk(str(written))
    except ValueError:
        return Risk.HIGH  # of a plan of another version: what is not known may be the worst
