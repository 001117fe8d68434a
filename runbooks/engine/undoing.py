"""A finished run undone by a new one, if what it left is still as it left it: else that would undo more."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from runbooks.engine.acting import ACT, target_of
from runbooks.engine.hold import Database
from runbooks.engine.rollback import Back, leads_back, rows_back, way_back
from runbooks.engine.runners import CHANGED_SINCE
from runbooks.engine.walk import all_nodes
from runbooks.errors import Refused, StepError
from runbooks.ids import new_id
from runbooks.records import run_changes, runs
from runbooks.records.person import Person
from runbooks.records.runs import UNBEGUN, EffectRow, Phase, RunRow, RunState, RunView, StepRow
from runbooks.spec.runbook import Runbook
from runbooks.spec.values import bind
from runbooks.steps.action import Action, Call
from runbooks.steps.reach import Connections
from runbooks.targets import TargetBase

#: Seconds that looking at every target of a finished run may take; whoever asked waits for it.
LONGEST_LOOK = 60.0


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


def _lost_secrets(way: Sequence[Back]) -> str:
    """Which steps need which secrets on the way back, in words."""
    needed = [
        f"{node.step.id} needs {' and '.join(name.removeprefix('params.') for name in sorted(secrets))}"
        for node in all_nodes([back.node for back in way], lambda _: None)
        if (secrets := node.step.secrets)
    ]
    return ", ".join(needed)


class Undoing:
    """What undoes one finished run."""

    def __init__(
        self, database: Database, targets: Mapping[str, TargetBase], runbook: Runbook, view: RunView
    ) -> None:
        self.runbook = runbook
        self._database = database
        self._targets = targets
        self._view = view

    async def run(self, by: Person, reason: str, now: datetime) -> tuple[RunRow, list[StepRow]]:
        """The run that undoes it, with its steps. Raises Refused when there is nothing to undo, or when
        something else has changed since, and says what."""
        view, old = self._view, self._view.run
        if old.state == RunState.ROLLED_BACK or old.rollback_of:
            raise Refused(f"{old.id[-8:]} was rolled back already: there is nothing to undo.")
        journal = await self._database.read(partial(runs.effect_rows, run=old.id))
        way = way_back(self.runbook, {row.path: row for row in view.steps}, journal)
        if not leads_back(way, view.steps):
            raise Refused(f"{old.id[-8:]} did nothing that can be undone.")
        if lost := _lost_secrets(way):
            raise Refused(
                f"{old.id[-8:]} cannot be rolled back by itself: {lost}, and secrets are removed when a "
                "run is over. Put it right by hand, or with a runbook that asks for them."
            )
        later = await self._database.read(partial(run_changes.later_on_locks, run=old))
        changed = [f"{other.runbook} ({other.id[-8:]}) ran since" for other in later]
        try:
            async with asyncio.timeout(LONGEST_LOOK), Connections() as connections:
                changed += await changed_since(way, view, journal, old.params, self._targets, connections)
        except TimeoutError:
            changed.append(f"whether it did could not be seen within {LONGEST_LOOK:g} s")
        if changed:
            raise Refused(
                f"Not undone: {'; '.join(changed)}. Rolling {old.id[-8:]} back would undo that too: "
                "look at it, and put it right by hand or with a runbook of its own."
            )
        run = replace(
            old,
            id=new_id(),
            key=f"rollback:{old.id}",
            title=f"Rollback: {old.title}",
            **UNBEGUN,
            phase=Phase.ROLLBACK,
            requester_kind=by.kind,
            requester_id=by.id,
            requester_name=by.name,
            rollback_of=old.id,
            note=reason or f"rolled back by {by.name}",
            created_at=now,
        )
        before = [replace(row, run=run.id) for row in view.steps if row.phase == Phase.FORWARD]
        back = rows_back(run.id, way, before)
        return run, [*before, *back]
