"""Carries a run on, from where it stands to where it waits or ends.

It keeps nothing in memory from one call to the next: called again at any moment, after any crash, on any
replica, it goes on from what the database says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from runbooks.backups.backup import Catalogue
from runbooks.engine.at import Fenced, Stopped, Undo, Waiting
from runbooks.engine.authority import Authority
from runbooks.engine.brakes import Brakes
from runbooks.engine.checks import CheckRunner
from runbooks.engine.effects import Effects, Paused
from runbooks.engine.hold import Database, Hold, patiently
from runbooks.engine.leaf import Leaves
from runbooks.engine.rollback import leads_back, rows_back, undoers_of, way_back
from runbooks.engine.sealing import Sealer
from runbooks.engine.standing import Surroundings, open_with_card
from runbooks.engine.walk import Node, Values, Walk, all_nodes, nodes_of
from runbooks.errors import MaintError
from runbooks.ids import new_id
from runbooks.records import journal, run_changes, runs
from runbooks.records.asks import Question, void_open
from runbooks.records.audit import Event, append_once
from runbooks.records.runs import AskKind, EffectRow, Phase, RunState, StepState, WaitingOn
from runbooks.scrub import Scrubber
from runbooks.spec.arranged import as_planned
from runbooks.spec.plan import Plan, make_plan
from runbooks.spec.runbook import Runbook
from runbooks.spec.values import bind
from runbooks.steps.action import Call
from runbooks.steps.memory import Memory
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Step
from runbooks.targets import TargetBase

log = structlog.get_logger()

#: Seconds between two looks at whether people stopped the run, or another replica took it.
WATCH_INTERVAL = 1.0
#: Seconds that a run pauses which is due again at once.
SHORTEST_REST = 0.05


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What every run needs."""

    database: Database
    checks: CheckRunner
    targets: Mapping[str, TargetBase]
    channels: Mapping[str, str]
    scrub: Scrubber
    sealer: Sealer
    runbook_of: Callable[[str, str], Awaitable[Runbook]]  # from a snapshot's path and text
    enqueue: run_changes.Enqueue
    executor: str
    proven: Callable[[], Awaitable[None]]
    authority: Authority
    now: Callable[[], datetime]
    changed: Callable[[], None]
    memory: Memory
    backups: Catalogue


class _Over(Exception):
    """The run ended on the way."""


class Advance:
    """One segment of one run."""

    def __init__(self, shop: Workshop, run: str, segment: int) -> None:
        self._shop = shop
        self._run = run
        self._segment = segment
        self._stop = asyncio.Event()
        self._fenced = False
        self._hold: Hold

    def stop(self) -> None:
        """People asked the run to stop: what is under way is asked to end."""
        self._stop.set()

    async def __call__(self) -> None:
        """Returns when the run waits, is over, or is somebody else's."""
        shop = self._shop
        await shop.proven()
        claimed = await patiently(
            self._run,
            lambda: shop.database.write(
                lambda connection: run_changes.claim(
                    connection, self._run, self._segment, shop.executor, shop.now()
                )
            ),
        )
        shop.changed()
        if claimed.view is None:
            return
        self._hold = Hold(shop.database, claimed.view, claimed.fence, shop.executor, shop.now, shop.changed)
        watching = asyncio.create_task(self._watch(asyncio.current_task()))
        try:
            async with Connections() as connections:
                await self._carry(connections)
        except Fenced:
            log.info("run.fenced", run=self._run)
        except _Over:
            pass
        except asyncio.CancelledError:
            carrying = asyncio.current_task()
            if not self._fenced or carrying is None:
                raise
            carrying.uncancel()
            log.info("run.fenced", run=self._run)
        except Exception as error:  # noqa: BLE001 - a person decides
            await self._crashed(error)
        finally:
            watching.cancel()

    async def _crashed(self, error: Exception) -> None:
        """A fault outside every step: a person decides whether to try again."""
        reason = str(error)
        if not isinstance(error, MaintError):
            reference = new_id()[-8:]
            log.exception("run.crashed", run=self._run, reference=reference)
            reason = f"a fault in Maint itself: look for {reference} in its log"
        event = self._hold.event("run.stuck", "", "failed", reason=reason)
        await self._ask(
            AskKind.FAILED, f"The run cannot go on: {reason}", ("retry", "abandon"), reason, event
        )
        await self._rest(Waiting(on=WaitingOn.QUESTION))

    async def _watch(self, carrying: "asyncio.Task[Any] | None") -> None:
        """Sees within a second what others asked of the run."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            try:
                how, fence = await self._shop.database.read(partial(run_changes.stopping, run=self._run))
            except MaintError:
                continue
            if how:
                self._stop.set()
            if fence != self._hold.fence and carrying is not None:
                # What is under way here is not ours any more; whoever has it now knows of it.
                self._fenced = True
                carrying.cancel()
                return

    async def _carry(self, connections: Connections) -> None:
        hold, shop = self._hold, self._shop
        path, source = await hold.read(partial(runs.source_of, digest=hold.view.run.snapshot))
        runbook = as_planned(await shop.runbook_of(path, source), hold.view.run.plan)
        secrets = shop.sealer.open_all(hold.view.run.secrets)
        shop.scrub.learn(self._run, *secrets.values())
        params = {**hold.view.run.params, **secrets}
        around = self._surroundings(runbook, params, connections)
        values = partial(self._values, params=params)
        while True:
            if hold.view.run.stopping:
                self._stop.set()
            outcome: Waiting | Undo | None
            try:
                if hold.view.run.phase == Phase.ROLLBACK:
                    outcome = await self._back(runbook, around, values)
                else:
                    outcome = await self._forward(runbook, around, values)
            except Paused:
                outcome = Waiting(on=WaitingOn.PAUSE)
            except Stopped:
                outcome = await self._stopped(runbook)
            if isinstance(outcome, Undo):
                await self._turn_back(runbook, outcome.reason)
            elif outcome is None:
                if await self._over():
                    return
            elif await self._rest(outcome):
                return
            await hold.refresh()

    async def _forward(self, runbook: Runbook, around: Surroundings, values: Values) -> Waiting | Undo | None:
        if self._stop.is_set():
            raise Stopped("people stopped the run")
        abandoned = next((ask for ask in self._hold.view.asks if ask.answer == "abandon"), None)
        if abandoned is not None:
            await self._end(RunState.ABANDONED, f"{abandoned.answered_name} abandoned it: {abandoned.title}")
            raise _Over
        leaves = Leaves(around, values, self._shop.scrub, {})
        return await Walk(self._hold, values, leaves).all(nodes_of(runbook.steps))

    async def _back(self, runbook: Runbook, around: Surroundings, values: Values) -> Waiting | Undo | None:
        hold = self._hold
        asked = [ask for ask in hold.view.asks if ask.path.startswith("rollback:") or not ask.path]
        abandoned = next((ask for ask in asked if ask.answer == "abandon"), None)
        if abandoned is not None:
            await self._end(RunState.ABANDONED, f"{abandoned.answered_name} abandoned its rollback")
            raise _Over
        self._stop.clear()  # what people stopped is what is undone now
        done = await self._journal()
        rows = {row.path: row for row in hold.rows()}
        way = way_back(runbook, rows, done)
        leaves = Leaves(around, values, self._shop.scrub, undoers_of(way, rows, done))
        return await Walk(hold, values, leaves).all([back.node for back in way])

    async def _journal(self) -> tuple[EffectRow, ...]:
        """The journal of what is to be undone: of this run, or of the finished one that it undoes."""
        of = self._hold.view.run.rollback_of or self._run
        return await self._hold.read(partial(runs.effect_rows, run=of))

    def _surroundings(
        self, runbook: Runbook, params: Mapping[str, Any], connections: Connections
    ) -> Surroundings:
        hold, shop = self._hold, self._shop

        def make_call(key: str) -> Call:
            return Call(
                targets=shop.targets,
                connections=connections,
                key=key,
                run=self._run,
                requester=hold.view.run.requester_name,
                now=shop.now,
                memory=shop.memory,
                backups=shop.backups,
            )

        def plan_now() -> Plan:
            return make_plan(runbook, params, shop.targets)

        def models_now() -> Mapping[str, Step]:
            models: dict[str, Step] = {}
            outputs = {row.path.rpartition(".")[2]: row.outputs for row in hold.rows() if row.ended_at}
            make_plan(runbook, params, shop.targets, outputs=outputs, models=models)
            return models

        def model_of(path: str) -> Step:
            known = {node.path: node for node in all_nodes(nodes_of(runbook.steps), hold.row)}
            node: Node = known[path]
            return bind(node.step, {**self._values(path, params=params), **node.values})

        brakes = Brakes(hold=hold, window=runbook.window, targets=shop.targets)
        return Surroundings(
            hold=hold,
            effects=Effects(hold, make_call, shop.scrub, self._stop, shop.proven, shop.authority, brakes),
            brakes=brakes,
            checks=shop.checks,
            targets=shop.targets,
            channels=shop.channels,
            scrub=shop.scrub,
            plan_now=plan_now,
            model_of=model_of,
            models_now=models_now,
            reach=Reach(
                targets=shop.targets,
                connections=connections,
                now=shop.now,
                memory=shop.memory,
                backups=shop.backups,
            ),
        )

    def _values(self, path: str, *, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the references of the step at that path may name: of a list, only what its own item did."""
        run = self._hold.view.run
        mine = path.removeprefix("rollback:").rpartition(".")[0]
        rows = [
            row
            for row in self._hold.rows()
            if row.phase == Phase.FORWARD
            and row.ended_at is not None
            and ("[" not in row.path or row.path.rpartition(".")[0] == mine)
        ]
        return {
            "params": params,
            "steps": {row.path.rpartition(".")[2]: row.outputs for row in rows},
            "run": {"id": run.id, "requester": run.requester_name},
        }

    async def _stopped(self, runbook: Runbook) -> Waiting | Undo:
        """What people wanted when they stopped it: the rollback, or to be asked about one."""
        hold = self._hold
        run = (await hold.refresh()).run
        ask = hold.view.ask("", AskKind.CANCELLED)
        if run.stopping == "rollback" or (ask is not None and ask.answer == "rollback"):
            return Undo(reason=run.stop_reason)
        if ask is not None and ask.answer == "abandon":
            await self._end(RunState.CANCELLED, run.stop_reason)
            raise _Over
        if ask is not None:
            return Waiting(on=WaitingOn.QUESTION)
        await self._cancel_steps()
        rows = {row.path: row for row in hold.rows()}
        if not leads_back(way_back(runbook, rows, await self._journal()), rows.values()):
            await self._end(RunState.CANCELLED, run.stop_reason)
            raise _Over
        event = hold.event("ask.opened", "", "accepted", kind="cancelled")
        choices = ("rollback", "abandon")
        await self._ask(AskKind.CANCELLED, f"Cancelled: {run.stop_reason}", choices, run.stop_reason, event)
        return Waiting(on=WaitingOn.QUESTION)

    async def _ask(
        self, kind: AskKind, title: str, choices: tuple[str, ...], reason: str, event: Event
    ) -> None:
        """Asks about the run as a whole, not about a step of it."""
        newest = self._hold.view.ask("", kind)
        question = Question(
            run=self._run,
            path="",
            kind=kind,
            title=title,
            choices=choices,
            spec={"reason": reason},
            round=newest.round + 1 if newest else 1,
        )
        opening = partial(open_with_card, question=question, at=self._hold.now())
        await self._hold.write(opening, events=[event], priority=3)

    async def _cancel_steps(self) -> None:
        """Nobody is asked any more about what was stopped, and what was under way says that it was."""
        hold, now = self._hold, self._hold.now()
        await hold.write(
            lambda connection: void_open(connection, self._run, "the run was stopped", now), priority=3
        )
        for row in hold.rows():
            if row.phase == Phase.FORWARD and row.state in (StepState.RUNNING, StepState.WAITING):
                values = {"state": StepState.CANCELLED, "ended_at": now, "progress": ""}
                await hold.write(lambda _: None, step=(row.path, values))

    async def _turn_back(self, runbook: Runbook, reason: str) -> None:
        """From here on the run undoes what it did."""
        hold = self._hold
        await self._cancel_steps()
        rows = {row.path: row for row in hold.rows()}
        way = way_back(runbook, rows, await self._journal())
        back = rows_back(self._run, way, hold.rows())
        await hold.write(
            lambda connection: run_changes.add_steps(connection, back),
            events=[hold.event("run.rollback", "", "accepted", reason=reason)],
            priority=3,
            phase=Phase.ROLLBACK,
            stopping="",
            note=reason,
        )

    async def _rest(self, waiting: Waiting) -> bool:
        """False when something happened in the meantime, and the run goes on at once."""
        hold = self._hold
        if waiting.until is not None and waiting.until <= hold.now():
            await asyncio.sleep(SHORTEST_REST)
            return False
        state = RunState.ASKING if waiting.on == WaitingOn.QUESTION else RunState.WAITING
        rested = await hold.write_once(
            lambda connection: run_changes.rest(
                connection, self._run, hold.fence, state, waiting.on, waiting.until, 1
            )
        )
        self._shop.changed()
        if rested is None:
            raise Fenced("the run was taken over")
        if not rested:
            # By itself, before the run is read anew: done twice with the rest, the wake would be lost.
            await hold.write_once(lambda connection: run_changes.heed(connection, self._run, hold.fence))
        return rested

    async def _over(self) -> bool:
        """The last step is done."""
        hold = self._hold
        if hold.view.run.phase == Phase.ROLLBACK:
            await self._end(RunState.ROLLED_BACK, hold.view.run.note)
        else:
            worth_a_look = [row for row in hold.rows() if row.state == StepState.WARNING]
            steps = "1 step" if len(worth_a_look) == 1 else f"{len(worth_a_look)} steps"
            note = f"{steps} with warnings" if worth_a_look else ""
            await self._end(RunState.SUCCEEDED, note)
        return True

    async def _end(self, state: RunState, note: str) -> None:
        hold, shop = self._hold, self._shop
        outcome = "ok" if state in (RunState.SUCCEEDED, RunState.ROLLED_BACK) else "failed"
        event, now = hold.event(f"run.{state}", "", outcome, note=note), hold.now()

        def work(connection: Any) -> None:
            if run_changes.end(connection, self._run, hold.fence, state, note, now):
                void_open(connection, self._run, "the run is over", now)
                journal.doubt_open(connection, self._run, now)
                append_once(connection, event)
                run_changes.wake_held_up(connection, WaitingOn.LOCK, now, shop.enqueue)

        await hold.write_once(work)
        shop.changed()
