"""The way back: what undoes what was done, in reverse, from the states that were recorded before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from runbooks.engine.acting import ACT, target_of
from runbooks.engine.at import Finished, Outcome
from runbooks.engine.leaf import Runner
from runbooks.engine.runners import UNDOERS
from runbooks.engine.standing import Standing
from runbooks.engine.walk import ROOM, Node, all_nodes, new_row, nodes_of
from runbooks.errors import StepError
from runbooks.records.runs import EffectRow, Phase, StepRow, StepState
from runbooks.spec.runbook import Runbook
from runbooks.steps.action import Action, Call, Done
from runbooks.steps.step import Step

PREFIX = "rollback:"

#: Steps that were at least begun: what is not known to have happened is undone too.
_TOUCHED = frozenset(
    {StepState.OK, StepState.WARNING, StepState.FAILED, StepState.IN_DOUBT, StepState.CANCELLED,
     StepState.RUNNING, StepState.WAITING}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Back:
    """A step of the way back. `undoes`: the path of the step that it undoes, if it undoes one; `by_kind`: as
    that step's kind does, and not as the file says."""

    node: Node
    undoes: str = ""
    by_kind: bool = False


def way_back(runbook: Runbook, rows: Mapping[str, StepRow], journal: Sequence[EffectRow]) -> tuple[Back, ...]:
    """The steps of a rollback in their order; the same whenever it is asked for, once the way back began.

    Gates at the beginning of the runbook's `rollback:` come first; then what was done is undone, the last
    first; then comes the rest of that list.
    """
    own = [Back(node=replace(node, path=PREFIX + node.path)) for node in nodes_of(runbook.rollback)]
    gates = 0
    while gates < len(own) and own[gates].node.step.kind == "gate":
        gates += 1
    begun = {effect.path for effect in journal}
    there = all_nodes(nodes_of(runbook.steps), rows.get)
    inverses = [
        back
        for node in reversed(there)
        if (row := rows.get(node.path)) is not None and row.state in _TOUCHED and row.started_at is not None
        for back in _inverse(node, begun)
    ]
    return (*own[:gates], *inverses, *own[gates:])


def leads_back(way: Sequence[Back], rows: Iterable[StepRow]) -> bool:
    """Whether there is something to undo: a step that was begun, or what the runbook's own list does then."""
    return any(back.undoes for back in way) or (bool(way) and any(row.started_at for row in rows))


def _inverse(node: Node, begun: set[str]) -> list[Back]:
    path = PREFIX + node.path
    if node.step.rollback is not None:
        declared = Node(step=node.step.rollback, path=path, values=node.values)
        return [Back(node=declared, undoes=node.path)]
    reversible = issubclass(node.step.model, Action) and node.step.model.reversible
    if (reversible and node.path in begun) or node.step.model in UNDOERS:
        # Nothing of how the step itself is carried out: an undoing has no condition and no list.
        plain = replace(
            node.step,
            title=f"Undo: {node.step.title}",
            when={},
            for_each=None,
            retry=None,
            on_failure="ask",
            skippable=True,
        )
        return [Back(node=Node(step=plain, path=path, values=node.values), undoes=node.path, by_kind=True)]
    return []


def rows_back(run: str, way: Sequence[Back], after: Iterable[StepRow]) -> tuple[StepRow, ...]:
    """Rows for them, numbered after those that there are."""
    first = max((row.ordinal for row in after), default=0) + ROOM
    nodes = all_nodes([back.node for back in way], lambda _: None)
    return tuple(
        new_row(run, node, ordinal=first + number * ROOM, phase=Phase.ROLLBACK)
        for number, node in enumerate(nodes)
    )


def undoers_of(
    way: Sequence[Back], rows: Mapping[str, StepRow], journal: Sequence[EffectRow]
) -> dict[str, Runner]:
    """What carries out those of the steps that are no steps of the file."""
    return {back.node.path: _undoer(back, rows[back.undoes], journal) for back in way if back.by_kind}


def _undoer(back: Back, row: StepRow, journal: Sequence[EffectRow]) -> Runner:
    undo = UNDOERS.get(back.node.step.model)
    if undo is not None:
        return lambda at, model: undo(at, model, row.data)
    return partial(_undo_action, journal=tuple(effect for effect in journal if effect.path == row.path))


async def _undo_action(at: Standing, model: Step, *, journal: Sequence[EffectRow]) -> Outcome:
    assert isinstance(model, Action)
    first = next((effect for effect in journal if effect.name == ACT), None)
    if first is None:
        return Finished(summary="it was never begun")
    target: Any = target_of(model, at.targets)
    if not first.before:
        raise StepError("the state before this step was not recorded, so it cannot be put back by itself")

    async def undo(call: Call) -> Done:
        result: Done = await model.undo(target, replace(call, before=first.before))
        return result

    done = await at.effect("undo", undo, repeatable=True, timeout=model.timeout, grace=model.grace)
    return Finished(outputs=done.values, summary=done.summary, output=done.output, warnings=done.warnings)
