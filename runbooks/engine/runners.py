"""What carries out each kind of step. One line here registers a kind that leads a run."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from runbooks.engine.acting import run_action
from runbooks.engine.at import Runner
from runbooks.engine.checking import run_check
from runbooks.engine.gates import run_gate
from runbooks.engine.manuals import run_manual
from runbooks.engine.rollouts import run_rollout
from runbooks.engine.soaks import run_soak
from runbooks.engine.waits import run_wait
from runbooks.records.runs import EffectRow, StepRow
from runbooks.steps.action import Action, Call
from runbooks.steps.gate import Gate
from runbooks.steps.manual import Manual
from runbooks.steps.rollout import Rollout
from runbooks.steps.soak import Soak
from runbooks.steps.step import Check, Step
from runbooks.steps.wait import Wait

RUNNERS: dict[type[Step], Runner] = {
    Gate: run_gate,
    Manual: run_manual,
    Wait: run_wait,
    Soak: run_soak,
    Rollout: run_rollout,
}

#: What undoes a step that leads a run, from what the journal has of it: (at, model, journal=effects).
UNDOERS: dict[type[Step], Callable[..., Awaitable[Any]]] = {}

#: What is not any more as such a step left it, in words.
CHANGED_SINCE: dict[
    type[Step], Callable[[Any, StepRow, Sequence[EffectRow], Call], Awaitable[tuple[str, ...]]]
] = {}


def runner_of(model: Step) -> Callable[..., Awaitable[Any]]:
    """What carries out that step. Raises KeyError for a kind that nobody registered."""
    if isinstance(model, Check):
        return run_check
    if isinstance(model, Action):
        return run_action
    return RUNNERS[type(model)]
