"""What a run has that is not in its runbook's file: a window from maint.yaml, and the gate of a grant."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runbooks.spec.approval import with_approval
from runbooks.spec.runbook import Runbook
from runbooks.spec.window import Window


def with_window(runbook: Runbook, window: Mapping[str, Any] | None) -> Runbook:
    """The runbook with that window in place of its file's; without one, the runbook itself."""
    if not window:
        return runbook
    return replace(runbook, window=Window.model_validate(dict(window)), arranged=dict(window))


def as_planned(runbook: Runbook, plan: Mapping[str, Any]) -> Runbook:
    """The runbook in a file as a run has it whose plan that is: with all that the plan has from elsewhere."""
    return with_approval(with_window(runbook, plan.get("window")), plan.get("approval"))
