"""An action as a step of a run."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runbooks.engine.agreement import check_agreed
from runbooks.engine.at import Finished, Outcome
from runbooks.engine.noting import finished, post_done
from runbooks.engine.standing import Standing
from runbooks.errors import StepError
from runbooks.records.runs import StepState
from runbooks.steps.action import Action, Call, Done
from runbooks.targets import TargetBase

#: The name of an action's effect in the journal.
ACT = "act"


def target_of(action: Action[Any], targets: Mapping[str, TargetBase]) -> TargetBase | None:
    """The target that it acts on, None when it needs none. Raises StepError when it is not there any more."""
    if action.needs is None:
        return None
    name = getattr(action, "target", "")
    target = targets.get(name)
    if not isinstance(target, action.needs):
        raise StepError(f"there is no target {name} of the type that {action.kind} needs")
    return target


async def run_action(at: Standing, action: Action[Any]) -> Outcome:
    """Records the present state if the action can be undone, acts, and says what came of it."""
    target: Any = target_of(action, at.targets)
    check_agreed(at.view.asks, at.row.path, action)
    record: Callable[[Call], Awaitable[Mapping[str, Any]]] | None = None
    if action.reversible:

        async def record(call: Call) -> Mapping[str, Any]:
            return await action.record(target, call)

    async def act(call: Call) -> Done:
        result: Done = await action.act(target, call)
        return result

    done = await at.act(
        ACT,
        act,
        repeatable=action.repeatable,
        timeout=action.timeout,
        grace=action.grace,
        before=record,
        after=record,
        target=str(getattr(action, "target", "") or ""),
        begin={"state": StepState.RUNNING, "started_at": at.row.started_at or at.now()},
        finish=lambda done: finished(done, at.now(), at.scrub),
        also=lambda connection, done: post_done(connection, at=at, done=done),
    )
    return Finished(outputs=done.values, summary=done.summary, warnings=done.warnings, noted=True)
