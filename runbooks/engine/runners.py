"""What carries out each kind of step. One line here registers a kind that leads a run."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runbooks.engine.acting import run_action
from runbooks.engine.at import At, Outcome, Runner
from runbooks.engine.checking import run_check
from runbooks.engine.gates import run_gate
from runbooks.engine.manuals import run_manual
from runbooks.engine.messages import say
from runbooks.engine.rollout_state import recorded_of
from runbooks.engine.rollout_undo import changed_since, undo_rollout
from runbooks.engine.rollouts import run_rollout
from runbooks.engine.soaks import run_soak
from runbooks.engine.waits import run_wait
from runbooks.steps.action import Action
from runbooks.steps.gate import Gate
from runbooks.steps.manual import Manual
from runbooks.steps.rollout import Rollout
from runbooks.steps.slack_message import SlackMessage
from runbooks.steps.soak import Soak
from runbooks.steps.step import Check, Step
from runbooks.steps.wait import Wait

RUNNERS: dict[type[Step], Runner] = {
    Gate: run_gate,
    Manual: run_manual,
    Wait: run_wait,
    Soak: run_soak,
    Rollout: run_rollout,
    SlackMessage: say,
}


async def _undo_rollout(at: At, model: Rollout, data: Mapping[str, Any]) -> Outcome:
    return await undo_rollout(at, model, recorded_of(data))


#: What undoes a step that leads a run, from what it kept: (at, model, data).
UNDOERS: dict[type[Step], Callable[[Any, Any, Mapping[str, Any]], Awaitable[Outcome]]] = {
    Rollout: _undo_rollout,
}

#: What is not any more as such a step left it, in words: (at, model, data).
CHANGED_SINCE: dict[type[Step], Callable[[Any, Any, Mapping[str, Any]], Awaitable[tuple[str, ...]]]] = {
    Rollout: changed_since,
}


def runner_of(model: Step) -> Callable[..., Awaitable[Any]]:
    """What carries out that step. Raises KeyError for a kind that nobody registered."""
    if isinstance(model, Check):
        return run_check
    if isinstance(model, Action):
        return run_action
    return RUNNERS[type(model)]
