"""Runs, as commands and buttons see them: started, decided, cancelled, undone; looked at from anywhere."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from runbooks.engine import emergency, freezing
from runbooks.engine.advance import Advance, Workshop
from runbooks.engine.authority import Authority
from runbooks.engine.brakes import refuse_frozen
from runbooks.engine.catalogue import KeptCatalogue
from runbooks.engine.checks import CheckRunner
from runbooks.engine.decided import Decided, Verdict
from runbooks.engine.decisions import decide
from runbooks.engine.events import of_run
from runbooks.engine.gates import check_requester
from runbooks.engine.hold import Database
from runbooks.engine.looks import Looks
from runbooks.engine.previews import preview_now
from runbooks.engine.queue import Queue
from runbooks.engine.remembering import KeptMemory
from runbooks.engine.sealing import Sealer
from runbooks.engine.snapshots import Snapshots
from runbooks.engine.undoing import Undoing
from runbooks.engine.walk import ROOM, all_nodes, new_row, nodes_of
from runbooks.errors import Refused, UsageError
from runbooks.ids import new_id
from runbooks.nearest import nearest
from runbooks.records import audit, cards, freezes, run_changes
from runbooks.records import runs as run_records
from runbooks.records.audit import Outcome
from runbooks.records.freezes import Freeze
from runbooks.records.person import Person
from runbooks.records.runs import UNBEGUN, Phase, RunRow, StepRow
from runbooks.records.switches import paused_reason
from runbooks.scrub import Scrubber
from runbooks.spec.approval import with_approval
from runbooks.spec.params import parse_params
from runbooks.spec.plan import Plan, make_plan
from runbooks.spec.runbook import Kinds, Runbook
from runbooks.steps import KINDS
from runbooks.steps.action import Preview
from runbooks.steps.reach import utc_now
from runbooks.steps.step import Step
from runbooks.targets import TargetBase

log = structlog.get_logger()


class Engine(Looks):
    """Every method is one transaction that changes the run, writes the audit event and queues what follows:
    all of it stands, or nothing. Doing it twice changes nothing. All raise RecordsError."""

    def __init__(
        self,
        *,
        database: Database,
        runbooks: Mapping[str, Runbook],
        targets: Mapping[str, TargetBase],
        channels: Mapping[str, str],
        checks: CheckRunner,
        scrub: Scrubber,
        sealer: Sealer,
        authority: Authority,
        now: Callable[[], datetime] = utc_now,
        kinds: Kinds = KINDS,
    ) -> None:
        """`channels`: the ids of the channels by their names in maint.yaml. `authority`: who is asked before
        each effect whether the run still may."""
        self._authority = authority
        self._database = database
        self._runbooks = runbooks
        self._targets = targets
        self._channels = channels
        self._checks = checks
        self._scrub = scrub
        self._sealer = sealer
        self._now = now
        self._queue: Queue
        self._listeners: list[Callable[[], None]] = []
        self._under_way: dict[tuple[str, int], Advance] = {}
        self._snapshots = Snapshots(kinds)
        self._memory = KeptMemory(database, now)
        self._backups = KeptCatalogue(database, now)

    def connect(self, queue: Queue) -> None:
        """Where runs are queued: a carrier, or one that only sends."""
        self._queue = queue

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls back, in the event loop, whenever a card may be out of date."""
        self._listeners.append(callback)

    def under_way(self) -> tuple[str, ...]:
        """The runs that this process carries at this moment."""
        return tuple(run for run, _ in self._under_way)

    async def advance(self, run: str, segment: int, executor: str, proven: Callable[[], Any]) -> None:
        """Carries a run on until it waits or ends."""
        shop = Workshop(
            database=self._database,
            checks=self._checks,
            targets=self._targets,
            channels=self._channels,
            scrub=self._scrub,
            sealer=self._sealer,
            runbook_of=self._snapshots.runbook,
            enqueue=self._queue.enqueue,
            executor=executor,
            proven=proven,
            authority=self._authority,
            now=self._now,
            changed=self._changed,
            memory=self._memory,
            backups=self._backups,
        )
        advance = Advance(shop, run, segment)
        # By segment too: an old one that is delivered once more must not hide the one that is at work.
        self._under_way[run, segment] = advance
        try:
            await advance()
        finally:
            self._under_way.pop((run, segment), None)
            self._queue.nudge()

    async def forget_secrets(self) -> int:
        """What runs knew that are over, here or on another replica, is known no longer; of how many."""
        owners = self._scrub.owners
        if not owners:
            return 0
        still_open = await self._database.read(partial(run_records.still_open, ids=owners))
        over = [run for run in owners if run not in still_open and run not in self.under_way()]
        for run in over:
            self._scrub.forget(run)
        return len(over)

    def runbook(self, name: str) -> Runbook:
        """The runbook of that name. Raises UsageError that names the nearest one."""
        found = self._runbooks.get(name)
        if found is None:
            meant = nearest(name, self._runbooks)
            hint = f"Did you mean {meant}?" if meant else "`runbooks` lists them."
            raise UsageError(f"There is no runbook {name[:60]!r}. {hint}")
        return found

    async def plan(
        self, runbook: str, params: Mapping[str, Any], approval: Mapping[str, Any] | None = None
    ) -> Plan:
        """What a run would do. Raises UsageError (ParamFaults) when the parameters do not fit."""
        return (await asyncio.to_thread(self._planned, runbook, params, approval))[2]

    async def previews(
        self, runbook: str, params: Mapping[str, Any], approval: Mapping[str, Any] | None = None
    ) -> Mapping[str, Preview]:
        """What its risky steps would reach at this moment, by path. Raises as `plan` does."""
        models: dict[str, Step] = {}
        await asyncio.to_thread(self._planned, runbook, params, approval, models)
        return await preview_now(models, self._targets, self._memory, self._backups, self._scrub, self._now)

    def _planned(
        self,
        runbook: str,
        params: Mapping[str, Any],
        approval: Mapping[str, Any] | None,
        models: dict[str, Step] | None = None,
    ) -> tuple[Runbook, Mapping[str, Any], Plan]:
        # For a thread: a list of two hundred items takes longer than the event loop may be held.
        found = with_approval(self.runbook(runbook), approval)
        given = parse_params(found.params, params, self._targets)
        return found, given, make_plan(found, given, self._targets, models=models)

    async def start(
        self,
        runbook: str,
        params: Mapping[str, Any],
        by: Person,
        *,
        channel: str = "",
        channel_name: str = "",
        key: str | None = None,
        approval: Mapping[str, Any] | None = None,
        posted_in: str = "",
    ) -> RunRow:
        """A run, or the one with that key; `approval`: see `with_approval`. `posted_in`: the name of its
        card's channel in maint.yaml, which counts more than the runbook's. Raises UsageError, Refused."""
        found, given, plan = await asyncio.to_thread(self._planned, runbook, params, approval)
        secrets = {name: given[name] for name in given if found.params[name].secret}
        now, named = self._now(), posted_in or found.channel
        run = RunRow(
            id=new_id(),
            key=key,
            runbook=found.name,
            title=plan.title,
            snapshot=found.digest,
            params={name: value for name, value in given.items() if name not in secrets},
            secrets=self._sealer.seal_all(secrets),
            plan=plan.as_json(),
            plan_digest=plan.digest,
            **UNBEGUN,
            phase=Phase.FORWARD,
            requester_kind=by.kind,
            requester_id=by.id,
            requester_name=by.name,
            team=by.team,
            channel=self._channels.get(named, named) or channel,
            channel_name=named or channel_name,
            rollback_of=None,
            locks=tuple(plan.locks),
            note="",
            created_at=now,
        )
        self._scrub.learn(run.id, *map(str, secrets.values()))
        shown = {"params": plan.params}
        rows = [
            new_row(run.id, node, ordinal=number * ROOM, values=shown)
            for number, node in enumerate(all_nodes(nodes_of(found.steps), lambda _: None))
        ]
        return await self._begin(run, rows, found, by, {"params": plan.params, "plan": plan.digest})

    async def _begin(
        self, run: RunRow, rows: list[StepRow], runbook: Runbook, by: Person, details: Mapping[str, Any]
    ) -> RunRow:
        # Of a way back only its own gates matter: what was gated on the way there was passed.
        forward = () if run.phase == Phase.ROLLBACK else runbook.steps
        check_requester((*forward, *runbook.rollback), by)
        event = of_run(by, "run.started", run, Outcome.ACCEPTED, self._now(), details)

        def work(connection: Any) -> RunRow:
            if reason := paused_reason(connection):
                raise Refused(
                    f"Everything is stopped ({reason}). Nothing was started; `resume everything` ends it."
                )
            refuse_frozen(connection, run, self._now())
            began = run_changes.begin(
                connection, run, rows, (runbook.path, runbook.source), self._queue.enqueue
            )
            if began.id == run.id:
                if run.channel:
                    card = cards.Card(kind="run", correlation=run.id, channel=run.channel)
                    cards.add(connection, card)
                    cards.want(connection, run.id, 1, 3)
                audit.append(connection, event)
            return began

        began = await self._database.write(work)
        self._changed()
        self._queue.nudge()
        return began

    async def decide(
        self,
        ask: str,
        choice: str,
        by: Person,
        *,
        holds: frozenset[str],
        reason: str = "",
        evidence: str = "",
        break_glass: bool = False,
        to: Person | None = None,
    ) -> Decided:
        """Counts what a person decided, or says why not. `holds`: see `decisions.decide`."""
        now = self._now()

        def work(connection: Any) -> Decided:
            decided = decide(
                connection,
                ask_id=ask,
                choice=choice,
                by=by,
                holds=holds,
                now=now,
                wake=self._wake,
                reason=self._scrub(reason),
                evidence=self._scrub(evidence),
                break_glass=break_glass,
                to=to,
            )
            if decided.run and decided.outcome in (Verdict.COUNTED, Verdict.CLOSED):
                run_changes.redraw(connection, decided.run, 3)
            return decided

        decided = await self._database.write(work)
        self._changed()
        self._queue.nudge()
        return decided

    async def cancel(self, run: str, by: Person, reason: str) -> Decided:
        """Asks a run to stop: what is under way is asked to end, and its rollback is offered."""
        return await self._stop(run, "cancel", by, reason)

    async def _stop(self, run: str, how: str, by: Person, reason: str) -> Decided:
        if not reason.strip():
            return Decided(outcome=Verdict.REASON_NEEDED, text="Say why.", run=run)
        reason = self._scrub(reason.strip())

        def work(connection: Any) -> Decided:
            row = run_records.run_row(connection, run)
            if row is None:
                return Decided(outcome=Verdict.UNKNOWN, text="There is no such run: `runs` lists the newest.")
            stopped = run_changes.stop(connection, run, how, f"{by.name}: {reason}")
            outcome = Outcome.ACCEPTED if stopped else Outcome.LATE
            audit.append(connection, of_run(by, f"run.{how}", row, outcome, self._now(), {"reason": reason}))
            if not stopped:
                why = (
                    "It goes back already" if row.phase == Phase.ROLLBACK else "It was asked to stop already"
                )
                if row.over:
                    why = f"It is {row.state} already"
                return Decided(outcome=Verdict.LATE, text=f"{why}: nothing was changed.", run=run)
            if not run_changes.end_unstarted(connection, run, f"{by.name}: {reason}", self._now()):
                self._wake(connection, run)
            run_changes.redraw(connection, run, 3)
            return Decided(outcome=Verdict.CLOSED, text="It was asked to stop.", run=run)

        decided = await self._database.write(work)
        if decided.outcome is Verdict.CLOSED:
            for (other, _), advance in self._under_way.items():
                if other == run:
                    advance.stop()
        self._changed()
        self._queue.nudge()
        return decided

    async def rollback(self, run: str, by: Person, reason: str) -> RunRow:
        """Undoes a run: one under way is stopped and goes back; of a finished one it is a new run.

        Raises Refused when something else has changed since, and says what.
        """
        view = await self.view(run)
        if view is None:
            raise UsageError("There is no such run: `runs` lists the newest.")
        if not view.run.over:
            decided = await self._stop(run, "rollback", by, reason)
            if decided.outcome is not Verdict.CLOSED:
                raise Refused(decided.text)
            return view.run
        path, source = await self._database.read(partial(run_records.source_of, digest=view.run.snapshot))
        undoing = Undoing(self._database, self._targets, await self._snapshots.runbook(path, source), view)
        undo, rows = await undoing.run(by, self._scrub(reason), self._now())
        return await self._begin(
            undo, rows, undoing.runbook, by, {"rollback_of": view.run.id, "reason": reason}
        )

    async def unlock(self, target: str, by: Person, reason: str) -> Decided:
        """Frees a target whoever holds it."""
        return await self._switch(emergency.unlock, by, reason, target=target)

    async def stop_everything(self, by: Person, reason: str) -> Decided:
        """From now on nothing new starts: steps under way finish, gates and soaks hold."""
        return await self._switch(emergency.stop_everything, by, reason)

    async def resume_everything(self, by: Person, reason: str = "") -> Decided:
        """Runs go on where they stood."""
        return await self._switch(emergency.resume_everything, by, reason)

    async def freeze(self, what: Freeze, by: Person, reason: str) -> Decided:
        """From now on nothing risky begins there."""
        return await self._switch(freezing.freeze, by, reason, what=what)

    async def unfreeze(self, id_: str, by: Person, reason: str = "") -> Decided:
        """Ends a freeze before its time."""
        return await self._switch(freezing.unfreeze, by, reason, id_=id_)

    async def end_freezes(self, by: Person) -> bool:
        """Ends those whose time is over; whether there was one."""
        if not await self._database.read(partial(freezes.over, now=self._now())):
            return False
        decided = await self._switch(freezing.expire, by, "its time is over")
        return decided.outcome is Verdict.CLOSED

    async def _switch(self, work: Callable[..., Decided], by: Person, reason: str, **what: Any) -> Decided:
        decided = await self._database.write(
            partial(
                work,
                by=by,
                reason=self._scrub(reason.strip()),
                now=self._now(),
                enqueue=self._queue.enqueue,
                **what,
            )
        )
        self._changed()
        self._queue.nudge()
        return decided

    def _wake(self, connection: Any, run: str) -> None:
        run_changes.wake(connection, run, self._now(), self._queue.enqueue, priority=3)

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()
