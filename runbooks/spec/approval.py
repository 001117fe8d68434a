"""A runbook that begins with somebody's yes: what a grant with `approval` makes of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.steps.gate import Gate

#: The step's name; one that the runbook has already gets a number.
STEP = "approval"
#: How many steps of a runbook may be called so.
_MOST = 1000


def with_approval(runbook: Runbook, approval: Mapping[str, Any] | None) -> Runbook:
    """The runbook with a gate as its first step: `by`, `people`, `expires`, and the `grant` that asks for it.

    The same for the same runbook and approval, whenever it is made. Without an approval, the runbook itself.
    """
    if not approval:
        return runbook
    fields = {
        "approvers": list(approval["by"]),
        "quorum": approval["people"],
        "expires": approval["expires"],
        "message": f"Asked for under {approval['grant']}, which lets nobody start this alone.",
    }
    gate = RunbookStep(
        id=_free(runbook),
        title="Approval of the run",
        kind=Gate.kind,
        line=0,
        fields=fields,
        model=Gate,
        sample=Gate.model_validate(fields),
    )
    return replace(runbook, steps=(gate, *runbook.steps), approval=dict(approval))


def _free(runbook: Runbook) -> str:
    taken = {step.id for step in runbook.steps}
    return next(name for name in (STEP, *(f"{STEP}-{n}" for n in range(2, _MOST))) if name not in taken)
