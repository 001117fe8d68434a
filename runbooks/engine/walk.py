"""The way through a runbook's steps: what is done stays done, what waits is asked, what is next begins."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from runbooks.engine.at import Undo, Waiting
from runbooks.engine.hold import Hold
from runbooks.records.runs import PASSED, Phase, StepRow, StepState, WaitingOn
from runbooks.spec.runbook import RunbookStep
from runbooks.spec.values import fill_known, holds, items
from runbooks.steps.action import Action

#: Which wait a card names first, when several steps wait at the same time.
_LOUDEST = (WaitingOn.QUESTION, WaitingOn.GATE, WaitingOn.MANUAL, WaitingOn.SOAK, WaitingOn.TIME)
#: Between the ordinals of two steps of a file: the items of a list, and the steps of each, have room there.
ROOM = 10_000
_INDEX = re.compile(r"\[(\d+)\]$")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A step at its place. `values` are what its references may name besides the run's own: the item."""

    step: RunbookStep
    path: str
    values: Mapping[str, Any] = field(default_factory=dict)


#: What the references of the step at that path may name, at this moment.
Values = Callable[[str], Mapping[str, Any]]
#: Carries one step on: None when it is done and the run goes on.
Leaf = Callable[[Node], Awaitable[Waiting | Undo | None]]


class Walk:
    """Goes through the steps of one phase of a run."""

    def __init__(self, hold: Hold, values: Values, leaf: Leaf) -> None:
        """`leaf` carries out a step that has none inside."""
        self._hold = hold
        self._values = values
        self._leaf = leaf

    async def go(self, nodes: Sequence[Node]) -> Waiting | Undo | None:
        """One after the other, as far as it goes."""
        for node in nodes:
            outcome = await self._node(node)
            if outcome is not None:
                return outcome
        return None

    async def all(self, nodes: Sequence[Node]) -> Waiting | Undo | None:
        """The steps of a whole phase, one after the other: nothing else of the run is under way then."""
        for number, node in enumerate(nodes):
            following = nodes[number + 1 : number + 2]
            self._hold.follows = _is_plain(node) and any(map(self._begins_at_once, following))
            outcome = await self._node(node)
            if outcome is not None:
                return outcome
        return None

    def _begins_at_once(self, node: Node) -> bool:
        """Whether the first thing that the step does is to note its beginning."""
        row = self._hold.row(node.path)
        fresh = row is not None and row.state == StepState.PENDING and row.started_at is None
        acts = issubclass(node.step.model, Action) and not node.step.model.reversible
        return fresh and acts and not node.step.when and _is_plain(node)

    async def _node(self, node: Node) -> Waiting | Undo | None:
        row = self._hold.row(node.path)
        assert row is not None
        if row.state in PASSED:
            return None
        if row.state == StepState.PENDING and node.step.when:
            fits, why = holds(node.step.when, {**self._values(node.path), **node.values})
            if not fits:
                for skipped in reversed(all_nodes([node], self._hold.row)):
                    await self._pass(skipped.path, StepState.SKIPPED, why)
                return None
        if node.step.for_each is not None:
            return await self._group(node, row, await self._items(node, row))
        if node.step.steps:
            return await self._group(node, row, inside(node))
        return await self._leaf(node)

    async def _items(self, node: Node, row: StepRow) -> list[Node]:
        found = row.data.get("items")
        if found is None:
            # Once and for all: an endpoint or a step that says something else later changes no run.
            found = items(node.step, {**self._values(node.path), **node.values})
            data = {**row.data, "items": list(found)}
            await self._hold.write(lambda _: None, step=(node.path, {"data": data}))
        children = each(node, found)
        await self._add_rows(node, row, children)
        return children

    async def _add_rows(self, node: Node, row: StepRow, children: Sequence[Node]) -> None:
        """The rows of a list's items, in their order, between the list's own and that of the next step."""
        everything = all_nodes(children, self._hold.row)
        missing = tuple(
            new_row(
                self._hold.run,
                child,
                ordinal=row.ordinal + number,
                phase=Phase(row.phase),
                values={**self._values(child.path), **node.values},
            )
            for number, child in enumerate(everything, 1)
            if self._hold.row(child.path) is None
        )
        if missing:
            await self._hold.add_steps(missing)

    async def _group(self, node: Node, row: StepRow, children: Sequence[Node]) -> Waiting | Undo | None:
        if row.state == StepState.PENDING:
            started = {"state": StepState.RUNNING, "started_at": self._hold.now()}
            await self._hold.write(lambda _: None, step=(node.path, started))
        at_once = len(children) if node.step.for_each is None else node.step.at_once
        if node.step.kind == "each" and node.step.for_each is None:
            at_once = 1
        outcome = await self._several(children, max(1, at_once))
        if outcome is None:
            await self._pass(
                node.path, StepState.OK, f"{len(children)} done" if children else "nothing to do"
            )
        return outcome

    async def _several(self, children: Sequence[Node], at_once: int) -> Waiting | Undo | None:
        if at_once == 1:
            return await self.go(children)
        free = asyncio.Semaphore(at_once)

        async def one(child: Node) -> Waiting | Undo | None:
            async with free:
                return await self._node(child)

        tasks = [asyncio.create_task(one(child)) for child in children]
        try:
            # All of them come to rest, also when one cannot go on: what is under way is not cut off by that.
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return together([outcome for outcome in outcomes if not isinstance(outcome, BaseException)])

    async def _pass(self, path: str, state: StepState, summary: str) -> None:
        now = self._hold.now()
        ended = {"state": state, "summary": summary, "ended_at": now, "progress": ""}
        action = "step.skipped" if state is StepState.SKIPPED else "step.finished"
        event = self._hold.event(action, path, "ok", summary=summary)
        await self._hold.write(lambda _: None, step=(path, ended), events=[event])


def _is_plain(node: Node) -> bool:
    return node.step.for_each is None and not node.step.steps


def together(outcomes: Sequence[Waiting | Undo | None]) -> Waiting | Undo | None:
    """What several steps at the same time come to: an undoing first, else they wait until the first of them
    is due, and all are done when each is."""
    for outcome in outcomes:
        if isinstance(outcome, Undo):
            return outcome
    waits = [outcome for outcome in outcomes if isinstance(outcome, Waiting)]
    if not waits:
        return None
    loudest = min(waits, key=lambda wait: _LOUDEST.index(wait.on) if wait.on in _LOUDEST else len(_LOUDEST))
    return Waiting(on=loudest.on, until=soonest(wait.until for wait in waits), progress=loudest.progress)


def soonest(times: Any) -> datetime | None:
    """The first of the times that there are."""
    return min((time for time in times if time is not None), default=None)


def inside(node: Node) -> list[Node]:
    """The steps of a group."""
    return [Node(step=step, path=f"{node.path}.{step.id}", values=node.values) for step in node.step.steps]


def each(node: Node, found: Sequence[Any]) -> list[Node]:
    """The same step once for every item of its list: `nodes[2]`."""
    single = replace(node.step, for_each=None, when={})
    return [
        Node(step=single, path=f"{node.path}[{index}]", values={**node.values, "item": item})
        for index, item in enumerate(found)
    ]


def nodes_of(steps: Sequence[RunbookStep]) -> list[Node]:
    """The steps of a runbook at their places."""
    return [Node(step=step, path=step.id) for step in steps]


def all_nodes(nodes: Sequence[Node], row: Callable[[str], StepRow | None]) -> list[Node]:
    """Those nodes and everything inside them, as far as it is known what that is, in order."""
    found: list[Node] = []
    for node in nodes:
        found.append(node)
        if node.step.for_each is not None:
            known = row(node.path)
            children = each(node, known.data.get("items", ())) if known else []
        else:
            children = inside(node)
        found += all_nodes(children, row)
    return found


def new_row(
    run: str,
    node: Node,
    *,
    ordinal: int,
    phase: Phase = Phase.FORWARD,
    values: Mapping[str, Any] | None = None,
) -> StepRow:
    """A step that has not begun. `values`: what its title may name."""
    title = fill_known(node.step.title, {**(values or {}), **node.values})
    if _INDEX.search(node.path) and title == node.step.title:
        title = f"{title} · {node.values.get('item')}"
    return StepRow(
        run=run,
        path=node.path,
        ordinal=ordinal,
        phase=phase,
        kind=node.step.kind,
        title=title,
        state=StepState.PENDING,
        attempt=1,
        outputs={},
        summary="",
        progress="",
        error="",
        data={},
        started_at=None,
        ended_at=None,
    )
