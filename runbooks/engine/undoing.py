"""Whether what a finished run left is still as it left it: only then does undoing it undo nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runbooks.engine.acting import ACT, target_of
from runbooks.engine.rollback import Back
from runbooks.engine.runners import CHANGED_SINCE
from runbooks.errors import StepError
from runbooks.records.runs import EffectRow, RunView, StepRow
from runbooks.spec.values import bind
from runbooks.steps.action import Action, Call
from runbooks.steps.reach import Connections
from runbooks.targets import TargetBase


@dataclass(frozen=True, kw_only=True)
class _Looking:
    """As much of At as is needed to look, after the run is over."""

    targets: Mapping[str, TargetBase]
    view: RunView
    row: StepRow
    now: Callable[[], datetime]


async def changed_since(
    way: Sequence[Back],
    view: RunView,
    journal: Sequence[EffectRow],
    params: Mapping[str, Any],
    targets: Mapping[str, TargetBase],
    connections: Connections,
) -> list[str]:
    """What is not any more as the run left it, in words; also what cannot be looked at now."""
    changed: list[str] = []
    outputs = {row.path.rpartition(".")[2]: row.outputs for row in view.steps}
    values = {
        "params": params,
        "steps": outputs,
        "run": {"id": view.run.id, "requester": view.run.requester_name},
    }
    for back in way:
        if not back.by_kind:
            continue
        mine = [effect for effect in journal if effect.path == back.undoes]
        call = Call(
            targets=targets,
            connections=connections,
            key="",
            run=view.run.id,
            requester=view.run.requester_name,
        )
        try:
            model = bind(back.node.step, {**values, **back.node.values})
            row = view.step(back.undoes)
            assert row is not None
            if type(model) in CHANGED_SINCE:
                looking = _Looking(targets=targets, view=view, row=row, now=call.now)
                changed += await CHANGED_SINCE[type(model)](looking, model, row.data)
            elif isinstance(model, Action):
                changed += await _of_action(model, mine, call)
        except StepError as error:
            changed.append(f"{back.node.step.id}: {error}")
    return changed


async def _of_action(model: Action[Any], journal: Sequence[EffectRow], call: Call) -> tuple[str, ...]:
    last = next((effect for effect in reversed(journal) if effect.name == ACT), None)
    if last is None:
        return ()
    target: Any = target_of(model, call.targets)
    return await model.changed_since(target, call, last.result.get("after", {}))
