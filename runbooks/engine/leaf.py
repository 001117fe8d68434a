"""One step, from its beginning to its end, its failure, or the question that it becomes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from runbooks.engine.at import Finished, InDoubt, NotApproved, Outcome, Stopped, Undo, Waiting
from runbooks.engine.authority import KEY, Doubt, NotAllowed
from runbooks.engine.brakes import Held, cancel
from runbooks.engine.effects import Paused
from runbooks.engine.events import output_digest
from runbooks.engine.noting import finished, post_done, post_output
from runbooks.engine.runners import runner_of
from runbooks.engine.standing import Standing, Surroundings, open_with_card
from runbooks.engine.walk import Node, Values
from runbooks.errors import MaintError, StepError, Unsure
from runbooks.ids import new_id
from runbooks.records.asks import CLOSED, Question
from runbooks.records.runs import AskKind, AskRow, Phase, StepRow, StepState, WaitingOn
from runbooks.records.switches import paused_reason
from runbooks.scrub import Scrubber, scrubbed
from runbooks.spec.values import bind
from runbooks.steps.action import Action, Failed
from runbooks.steps.gate import Gate
from runbooks.steps.step import Step
from runbooks.visible import shorten

log = structlog.get_logger()

#: Carries out a step in place of its kind's runner: what undoes another step has one of its own.
Runner = Callable[[Standing, Step], Any]
_NO_OUTPUT = output_digest("")


class Leaves:
    """Carries out the steps of one run that have none inside."""

    def __init__(
        self,
        around: Surroundings,
        values: Values,
        scrub: Scrubber,
        undoers: Mapping[str, Runner],
    ) -> None:
        """`undoers`: by path, what carries out a step of the rollback that is no step of the file."""
        self._around = around
        self._hold = around.hold
        self._values = values
        self._scrub = scrub
        self._undoers = undoers

    async def __call__(self, node: Node) -> Waiting | Undo | None:
        """None when the step is done and the run goes on."""
        self._around.effects.check_stop()
        row = self._row(node)
        if row.state in (StepState.FAILED, StepState.IN_DOUBT, StepState.CANCELLED):
            answered = await self._answered(node, row)
            if answered is not None:
                return answered if not isinstance(answered, StepRow) else None
            row = self._row(node)
        at = Standing(self._around, node.step, node.path)
        try:
            model = bind(node.step, {**self._values(node.path), **node.values})
            if row.state != StepState.RUNNING and not _begins_itself(model, node, self._undoers):
                await self._begin(node)
            outcome: Outcome = await self._run(at, node, model)
        except (Paused, Stopped):
            raise
        except NotApproved as error:
            # Nothing leads past people who said no: neither `continue`, nor another try, nor Skip.
            await self._note_failure(node, StepState.FAILED, str(error), refused=error)
            return Waiting(on=WaitingOn.QUESTION)
        except NotAllowed as error:
            # Neither `continue` nor another try by itself: somebody who may says how to go on.
            await self._note_failure(node, StepState.FAILED, str(error), denied=True)
            return Waiting(on=WaitingOn.QUESTION)
        except Unsure as error:
            return await self._hold_back(node, error)
        except Held as error:
            return await self._brake(node, error)
        except InDoubt as error:
            await self._show_output(at, error.output)
            return await self._fail(node, StepState.IN_DOUBT, str(error), error.output)
        except StepError as error:
            printed = error.output if isinstance(error, Failed) else ""
            await self._show_output(at, printed)
            return await self._fail(node, StepState.FAILED, str(error), printed)
        except MaintError:
            raise
        except Exception:
            reference = new_id()[-8:]
            log.exception("step.crashed", run=self._hold.run, step=node.path, reference=reference)
            return await self._fail(
                node, StepState.FAILED, f"a fault in Maint itself: look for {reference} in its log"
            )
        if isinstance(outcome, Finished):
            await self._finish(node, outcome)
            return None
        if isinstance(outcome, Undo):
            if self._row(node).phase == Phase.ROLLBACK:  # there is no way back from the way back
                return await self._fail(node, StepState.FAILED, outcome.reason)
            await self._note_failure(node, StepState.FAILED, outcome.reason, asks=False)
            return outcome
        await self._wait(node, outcome)
        return outcome

    async def _run(self, at: Standing, node: Node, model: Step) -> Outcome:
        undoer = self._undoers.get(node.path)
        if undoer is not None:
            undone: Outcome = await undoer(at, model)
            return undone
        outcome: Outcome = await runner_of(model)(at, model)
        return outcome

    async def _begin(self, node: Node) -> None:
        def work(connection: Any) -> None:
            if reason := paused_reason(connection):
                raise Paused(reason)
            if row.started_at is None:
                self._around.brakes.check(connection, node.path)

        row = self._row(node)
        started = {"state": StepState.RUNNING, "started_at": row.started_at or self._hold.now()}
        events = [self._hold.event("step.started", node.path, "accepted")] if row.started_at is None else []
        await self._hold.write(work, step=(node.path, started), events=events)

    async def _finish(self, node: Node, done: Finished) -> None:
        if done.noted:
            return
        values = finished(done, self._hold.now(), self._scrub)
        work = partial(post_done, at=Standing(self._around, node.step, node.path), done=done)
        event = self._hold.event(
            "step.finished",
            node.path,
            "ok",
            summary=values["summary"],
            values=scrubbed(values["outputs"], self._scrub),
            output_sha256=output_digest(self._scrub(done.output)),
        )
        await self._hold.write(work, step=(node.path, values), events=[event])

    async def _show_output(self, at: Standing, output: str) -> None:
        if output.strip():
            await self._hold.write(partial(post_output, at=at, output=output))

    async def _wait(self, node: Node, waiting: Waiting) -> None:
        row = self._row(node)
        if row.state == StepState.WAITING and row.progress == waiting.progress:
            return
        values = {"state": StepState.WAITING, "progress": waiting.progress or row.progress}
        await self._hold.write(lambda _: None, step=(node.path, values))

    async def _fail(
        self, node: Node, state: StepState, reason: str, printed: str = ""
    ) -> Waiting | Undo | None:
        digest = output_digest(self._scrub(printed))
        reason = shorten(self._scrub(reason), 2000)
        step, row = node.step, self._row(node)
        tries = int(row.data.get("tries", 1))
        if step.retry and state is StepState.FAILED and tries < step.retry.attempts:
            return await self._again(node, reason, digest, tries + 1, step.retry.wait)
        goes_on = step.on_failure == "continue" and step.model is not Gate
        if row.phase == Phase.FORWARD and goes_on and state is StepState.FAILED:
            values = {
                "state": StepState.WARNING,
                "error": reason,
                "progress": "",
                "ended_at": self._hold.now(),
            }
            event = self._hold.event(
                "step.failed", node.path, "failed", reason=reason, goes_on=True, output_sha256=digest
            )
            await self._hold.write(lambda _: None, step=(node.path, values), events=[event], priority=3)
            return None
        goes_back = row.phase == Phase.FORWARD and step.on_failure == "rollback" and state is StepState.FAILED
        await self._note_failure(node, state, reason, digest, asks=not goes_back)
        if goes_back:
            return Undo(reason=f"{row.title}: {reason}")
        return Waiting(on=WaitingOn.QUESTION)

    async def _again(self, node: Node, reason: str, digest: str, tries: int, wait: timedelta) -> Waiting:
        row = self._row(node)
        until = self._hold.now() + wait
        progress = f"failed: {shorten(reason, 200)}; try {tries} follows"
        values = {
            "state": StepState.WAITING,
            "data": {**row.data, "tries": tries},
            "progress": progress,
            "attempt": row.attempt + 1,
        }
        event = self._hold.event(
            "step.failed", node.path, "failed", reason=reason, tries=tries - 1, output_sha256=digest
        )
        await self._hold.write(lambda _: None, step=(node.path, values), events=[event])
        return Waiting(on=WaitingOn.TIME, until=until, progress=progress)

    async def _hold_back(self, node: Node, error: Unsure) -> Waiting:
        """Nobody knows now whether the step may change anything: it tries again, then people are asked."""
        row, now = self._row(node), self._hold.now()
        doubt = Doubt.after(row.data, now)
        if doubt.is_long and not error.patient:
            await self._note_failure(node, StepState.FAILED, str(error), denied=True)
            return Waiting(on=WaitingOn.QUESTION)
        progress = shorten(self._scrub(f"held back: {error}"), 300)
        values = {
            "state": StepState.WAITING,
            "progress": progress,
            "data": {**row.data, KEY: doubt.as_data()},
        }
        first = doubt.tries == 1
        event = self._hold.event("step.held_back", node.path, "denied", reason=str(error))
        await self._hold.write(lambda _: None, step=(node.path, values), events=[event] if first else [])
        return Waiting(on=WaitingOn.TIME, until=doubt.again_at, progress=progress)

    async def _brake(self, node: Node, held: Held) -> Waiting:
        """The step waits for the end of a freeze, or for its window; or the run stops. Raises Stopped."""
        if held.cancels:
            event = self._hold.event("step.held_back", node.path, "denied", reason=str(held), cancels=True)
            await self._hold.write(
                partial(cancel, run=self._hold.run, why=str(held)), events=[event], priority=3
            )
            raise Stopped(str(held))
        progress = shorten(f"held: {held}", 300)
        row = self._row(node)
        if row.progress != progress or row.state != StepState.WAITING:
            event = self._hold.event("step.held_back", node.path, "denied", reason=str(held))
            values = {"state": StepState.WAITING, "progress": progress}
            await self._hold.write(lambda _: None, step=(node.path, values), events=[event])
        return Waiting(on=WaitingOn.WINDOW, until=held.until, progress=progress)

    async def _note_failure(
        self,
        node: Node,
        state: StepState,
        reason: str,
        digest: str = _NO_OUTPUT,
        *,
        refused: NotApproved | None = None,
        denied: bool = False,
        asks: bool = True,
    ) -> None:
        """Writes down that the step failed, and asks, in one transaction; who does not ask goes back.
        `denied`: nothing was tried, for want of a right."""
        row = self._row(node)
        in_doubt = state is StepState.IN_DOUBT
        kind = AskKind.IN_DOUBT if in_doubt else AskKind.FAILED
        choices = self._choices(node, row, in_doubt)
        if refused is not None:
            left = {"rollback", "abandon", *(("retry",) if refused.again else ())}
            choices = tuple(choice for choice in choices if choice in left)
        newest = self._hold.view.ask(node.path, kind)
        question = Question(
            run=self._hold.run,
            path=node.path,
            kind=kind,
            title=f"{row.title}: {reason}",
            choices=choices,
            spec={"reason": reason, "attempt": row.attempt},
            round=newest.round + 1 if newest else 1,
        )
        values = {"state": state, "error": reason, "progress": "", "ended_at": self._hold.now()}
        action = "step.in_doubt" if in_doubt else "step.failed"
        outcome, attempt = "denied" if denied else "failed", row.attempt
        event = self._hold.event(
            action, node.path, outcome, reason=reason, attempt=attempt, output_sha256=digest
        )
        opened = await self._hold.write(
            partial(open_with_card, question=question, at=self._hold.now()) if asks else lambda _: None,
            step=(node.path, values),
            events=[event],
            priority=3,
        )
        if isinstance(opened, AskRow):
            self._hold.view = replace(self._hold.view, asks=(*self._hold.view.asks, opened))

    def _choices(self, node: Node, row: StepRow, in_doubt: bool) -> tuple[str, ...]:
        back = row.phase == Phase.ROLLBACK
        if node.step.model is Gate:  # not even a fault of ours leads past people
            return ("retry", *(() if back else ("rollback",)), "abandon")
        skip = ("done",) if in_doubt else ("skip",) if node.step.skippable or back else ()
        return ("retry", *skip, *(() if back else ("rollback",)), "abandon")

    async def _answered(self, node: Node, row: StepRow) -> "Waiting | Undo | StepRow | None":
        """What people said to a failure: None to try it again, the row when it counts as done."""
        kind = AskKind.IN_DOUBT if row.state == StepState.IN_DOUBT else AskKind.FAILED
        ask = self._hold.view.ask(node.path, kind)
        if row.phase == Phase.FORWARD and (ask is None or ask.spec.get("attempt") != row.attempt):
            # Nobody was asked: a process died when it had noted the failure, and was about to go back.
            return Undo(reason=f"{row.title}: {row.error}")
        if ask is None or ask.state != CLOSED:
            return Waiting(on=WaitingOn.QUESTION)
        said = f"{ask.answered_name}: {ask.reason}" if ask.reason else ask.answered_name
        if ask.answer == "rollback":
            return Undo(reason=f"{row.title} failed, and {ask.answered_name} chose to roll back")
        if ask.answer in ("skip", "done"):
            state = StepState.SKIPPED if ask.answer == "skip" else StepState.OK
            words = "skipped by" if ask.answer == "skip" else "marked done by"
            values = {"state": state, "summary": f"{words} {said}", "ended_at": self._hold.now()}
            await self._hold.write(lambda _: None, step=(node.path, values))
            return self._row(node)
        values = {
            "state": StepState.PENDING,
            "attempt": row.attempt + 1,
            "ended_at": None,
            "data": {**{name: value for name, value in row.data.items() if name != KEY}, "tries": 1},
        }
        await self._hold.write(lambda _: None, step=(node.path, values))
        return None

    def _row(self, node: Node) -> StepRow:
        row = self._hold.row(node.path)
        assert row is not None
        return row


def _begins_itself(model: Step, node: Node, undoers: Mapping[str, Runner]) -> bool:
    """Whether the step's beginning is written together with its effect: one wait for the disk less."""
    return isinstance(model, Action) and node.path not in undoers
