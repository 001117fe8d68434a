"""What people said yes to at a gate, of a step that takes exactly what was shown: it is held to that."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from runbooks.errors import StepError
from runbooks.records.asks import APPROVE
from runbooks.records.runs import AskKind, AskRow
from runbooks.steps.action import Action
from runbooks.steps.step import Step

#: Where a gate's question keeps it, by path.
KEY = "agreed"


def agreed_by(models: Mapping[str, Step]) -> dict[str, str]:
    """A digest of what was shown, for each of the steps that takes what was shown."""
    return {
        path: _digest(model.agreed)
        for path, model in models.items()
        if isinstance(model, Action) and model.agreed
    }


def check_agreed(asks: Sequence[AskRow], path: str, action: Action[Any]) -> None:
    """Raises StepError when people have said yes to something else than the step at that path would take."""
    said = [
        ask
        for ask in asks
        if ask.kind == AskKind.GATE and ask.answer == APPROVE and path in (ask.spec.get(KEY) or {})
    ]
    if said and said[-1].spec[KEY][path] != _digest(action.agreed):
        raise StepError(
            f"what it would take is not what was shown when {said[-1].title!r} was approved: nothing was "
            "done. Begin anew, so that people see what goes"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
