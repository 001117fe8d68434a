"""An effect on the outside: noted before it happens, watched while it does, noted again when it ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from runbooks.engine.at import InDoubt, Stopped
from runbooks.engine.authority import Authority, demand
from runbooks.engine.brakes import Brakes
from runbooks.engine.events import output_digest
from runbooks.engine.hold import Hold
from runbooks.errors import StepError
from runbooks.ids import new_id
from runbooks.records import journal
from runbooks.records.runs import EffectRow
from runbooks.records.switches import paused_reason
from runbooks.scrub import Scrubber, scrubbed
from runbooks.spec.model import show_duration
from runbooks.steps.action import LAST_LOOK, Call, Done, Doubtful, Failed
from runbooks.visible import shorten

log = structlog.get_logger()

#: Seconds between two lines of progress on a card.
PROGRESS_INTERVAL = 1.0
#: Characters of output that the journal keeps; all of it goes into the thread.
KEPT_OUTPUT = 4_000
#: What the journal says of an effect that people stopped.
STOPPED = "stopped"


class Paused(Exception):
    """Everything was stopped before this step began."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What is to be done. `begin` and `finish` change the step's row in the transactions that note it."""

    path: str
    name: str
    act: Callable[[Call], Awaitable[Done]]
    repeatable: bool
    timeout: timedelta
    grace: timedelta
    before: Callable[[Call], Awaitable[Mapping[str, Any]]] | None = None
    after: Callable[[Call], Awaitable[Mapping[str, Any]]] | None = None
    begin: Mapping[str, Any] | None = None
    finish: Callable[[Done], Mapping[str, Any]] | None = None
    target: str = ""  # what it acts on, when that is known only now
    also: Callable[[Any, Done], None] = lambda _connection, _done: None  # in the transaction that finishes it


class Effects:
    """Carries out the effects of one run."""

    def __init__(
        self,
        hold: Hold,
        make_call: Callable[[str], Call],
        scrub: Scrubber,
        stop: asyncio.Event,
        proven: Callable[[], Awaitable[None]],
        authority: Authority,
        brakes: Brakes,
    ) -> None:
        """`proven` returns when this replica has proved that it lives; `stop` is set when people say so."""
        self._brakes = brakes
        self._hold = hold
        self._authority = authority
        self._make_call = make_call
        self._scrub = scrub
        self._stop = stop
        self._proven = proven

    def check_stop(self) -> None:
        """Raises Stopped when people stopped the run: no further step begins."""
        if self._stop.is_set():
            raise Stopped("people stopped the run")

    async def carry_out(self, effect: Effect) -> Done:
        """Does it, unless it was done. Raises NotAllowed, Unsure and Held before it was begun; InDoubt,
        StepError, Stopped, Paused, Fenced."""
        last = None if self._is_new(effect) else await self._last(effect)
        if last is not None:
            await self._look_back(effect, last)
            if last.state == journal.FINISHED and not self._wanted_again(effect, last):
                return _done(last.result)
        await demand(self._authority, self._hold, effect.path, self._stop)
        call = self._make_call(f"{self._hold.run}/{effect.path}/{effect.name}")
        before = await self._before(effect, call, last)
        await self._proven()
        attempt = await self._start(effect, last, before)
        return await self._finish(effect, attempt, _with(call, before=before))

    def _wanted_again(self, effect: Effect, last: EffectRow) -> bool:
        """Whether the step was begun anew since, on the word of people or `retry:`, and that does no harm."""
        return effect.repeatable and last.step_attempt != self._step_attempt(effect)

    def _step_attempt(self, effect: Effect) -> int:
        row = self._hold.row(effect.path)
        assert row is not None
        return row.attempt

    async def _look_back(self, effect: Effect, last: EffectRow) -> None:
        """Raises what the last attempt came to, if nobody has said since that there is to be another one.

        A process may die between noting how an effect ended and noting what that means for its step.
        """
        if last.state == journal.STARTED and not effect.repeatable:
            reason = (
                "Maint was interrupted while this was under way, and it is not known how it ended. "
                f"The process that began it ({last.executor[-8:]}) may even still be at work."
            )
            await self._note(
                effect, last.attempt, journal.DOUBTED, {"why": reason}, "effect.in_doubt", "failed"
            )
            raise InDoubt(reason)
        why = str(last.result.get("why", ""))
        if last.state not in (journal.FAILED, journal.DOUBTED) or (effect.repeatable and why == STOPPED):
            return
        if last.step_attempt == self._step_attempt(effect):
            if last.state == journal.DOUBTED and not effect.repeatable:
                raise InDoubt("It was stopped, and may have half happened." if why == STOPPED else why)
            raise Failed(why)

    def _is_new(self, effect: Effect) -> bool:
        """Whether the journal can know nothing of it: the row of its step, which is changed in the
        transaction that notes its beginning, says that it never began."""
        row = self._hold.row(effect.path)
        return bool(effect.begin) and row is not None and row.started_at is None

    async def _last(self, effect: Effect) -> EffectRow | None:
        return await self._hold.read(
            partial(journal.last, run=self._hold.run, path=effect.path, name=effect.name)
        )

    async def _before(self, effect: Effect, call: Call, last: EffectRow | None) -> Mapping[str, Any]:
        # Of a repetition it is the first one's: what was begun may have changed the state already.
        if last is not None and (last.before or effect.before is None):
            return last.before
        if effect.before is None:
            return {}
        before: Mapping[str, Any] = await self._watched(
            effect.before(call), effect, "record the present state"
        )
        if scrubbed(before, self._scrub) != before:
            raise StepError(
                "the present state holds a secret, which must not be kept: this step cannot be undone by "
                "itself, and is not begun"
            )
        return before

    async def _start(self, effect: Effect, last: EffectRow | None, before: Mapping[str, Any]) -> int:
        hold = self._hold
        attempt = last.attempt + 1 if last else 1
        repeated = last is not None and last.state == journal.STARTED

        def work(connection: Any) -> None:
            if reason := paused_reason(connection):
                raise Paused(reason)
            if effect.begin and not repeated:  # a step of many effects was asked about when it began
                self._brakes.check(connection, effect.path, effect.target)
            if repeated:
                journal.complete(
                    connection,
                    hold.run,
                    effect.path,
                    effect.name,
                    attempt - 1,
                    journal.DOUBTED,
                    {},
                    hold.now(),
                )
            journal.start(
                connection,
                run=hold.run,
                path=effect.path,
                name=effect.name,
                attempt=attempt,
                step_attempt=self._step_attempt(effect),
                repeatable=effect.repeatable,
                executor=hold.executor,
                fence=hold.fence,
                before=before,
                now=hold.now(),
            )

        action = "effect.repeated" if repeated else "effect.started"
        event = hold.event(action, effect.path, "accepted", effect=effect.name, attempt=attempt)
        step = (effect.path, dict(effect.begin)) if effect.begin else None
        await hold.write(work, step=step, events=[event])
        return attempt

    async def _finish(self, effect: Effect, attempt: int, call: Call) -> Done:
        try:
            async with _Progress(self._hold, effect.path, self._scrub) as tell:
                done = await self._watched(effect.act(_with(call, tell=tell)), effect, "finish")
            after = await self._watched(effect.after(call), effect, "look") if effect.after else {}
        except Stopped as stopped:
            state = journal.FAILED if effect.repeatable else journal.DOUBTED
            left = self._clean(stopped.left)
            told = {"why": STOPPED, **({"left": left} if left else {})}
            # Always: there may be one of an earlier try.
            error = {"error": left}
            await self._note(effect, attempt, state, told, "effect.stopped", "failed", error)
            raise
        except Doubtful as error:
            reason, printed = self._clean(str(error)), self._scrub(_printed(error))
            await self._note(
                effect,
                attempt,
                journal.DOUBTED,
                {"why": reason},
                "effect.in_doubt",
                "failed",
                printed=printed,
            )
            if effect.repeatable:
                raise Failed(reason, printed) from error
            raise InDoubt(reason, printed) from error
        except StepError as error:
            reason, printed = self._clean(str(error)), self._scrub(_printed(error))
            await self._note(
                effect, attempt, journal.FAILED, {"why": reason}, "effect.failed", "failed", printed=printed
            )
            raise Failed(reason, printed) from error
        except asyncio.CancelledError:
            raise  # the process ends: the journal says that this was begun, and nothing else is known
        except Exception as error:
            reference = new_id()[-8:]
            log.exception("effect.crashed", run=self._hold.run, step=effect.path, reference=reference)
            reason = f"a fault in Maint itself: look for {reference} in its log"
            await self._note(effect, attempt, journal.DOUBTED, {"why": reason}, "effect.in_doubt", "failed")
            raise (StepError(reason) if effect.repeatable else InDoubt(reason)) from error
        # A long output takes longer than the event loop may be held.
        done = (
            await asyncio.to_thread(self._scrubbed, done)
            if len(done.output) > 4_000
            else self._scrubbed(done)
        )
        result = {
            "values": dict(done.values),
            "summary": done.summary,
            "output": shorten(done.output, KEPT_OUTPUT),
            "warnings": list(done.warnings),
            "after": scrubbed(after, self._scrub),
        }
        values = effect.finish(done) if effect.finish else None
        await self._note(effect, attempt, journal.FINISHED, result, "effect.finished", "ok", values, done)
        return done

    async def _watched(self, work: Awaitable[Any], effect: Effect, what: str) -> Any:
        """The result of the work, which ends at its timeout, or when people stop the run."""
        if self._stop.is_set():
            if asyncio.iscoroutine(work):
                work.close()
            raise Stopped("people stopped the run")
        task = asyncio.ensure_future(work)
        told = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait(
                {task, told}, timeout=effect.timeout.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
            if task.done():
                return task.result()
            stopped = told.done()
            await _end(task, effect.grace + LAST_LOOK)
            if stopped:
                raise Stopped("people stopped the run", _left(task))
            if task.done() and not task.cancelled() and task.exception() is None:
                return task.result()
            raise Doubtful(f"it did not {what} within {show_duration(effect.timeout)}, and was stopped")
        finally:
            told.cancel()
            if not task.done():
                task.cancel()

    async def _note(
        self,
        effect: Effect,
        attempt: int,
        state: str,
        result: Mapping[str, Any],
        action: str,
        outcome: str,
        values: Mapping[str, Any] | None = None,
        done: Done | None = None,
        printed: str = "",
    ) -> None:
        hold = self._hold

        def work(connection: Any) -> None:
            now = hold.now()
            journal.complete(connection, hold.run, effect.path, effect.name, attempt, state, result, now)
            if done is not None:
                effect.also(connection, done)

        details = {key: value for key, value in result.items() if key in ("why", "left", "summary", "values")}
        details["output_sha256"] = output_digest(done.output if done else printed)
        event = hold.event(action, effect.path, outcome, effect=effect.name, attempt=attempt, **details)
        step = (effect.path, dict(values)) if values else None
        if done is not None and values:  # the step is done with it
            await hold.write_with_next(work, step=step, events=[event])
        else:
            await hold.write(work, step=step, events=[event])

    def _clean(self, text: str) -> str:
        return shorten(self._scrub(text), 3000)

    def _scrubbed(self, done: Done) -> Done:
        scrub = self._scrub
        return replace(
            done,
            values=scrubbed(done.values, scrub),
            summary=self._clean(done.summary),
            output=scrub(done.output),
            warnings=tuple(self._clean(warning) for warning in done.warnings),
        )


def _printed(error: StepError) -> str:
    return error.output if isinstance(error, Failed) else ""


def _with(call: Call, **changes: Any) -> Call:
    return replace(call, **changes)


def _done(result: Mapping[str, Any]) -> Done:
    return Done(
        values=result.get("values", {}),
        summary=result.get("summary", ""),
        output=result.get("output", ""),
        warnings=tuple(result.get("warnings", ())),
    )


async def _end(task: "asyncio.Future[Any]", grace: timedelta) -> None:
    task.cancel()
    task.add_done_callback(lambda late: late.cancelled() or late.exception())
    # One that does not let go is left behind, not waited for.
    await asyncio.wait({task}, timeout=grace.total_seconds())


def _left(task: "asyncio.Future[Any]") -> str:
    """What an effect that was asked to end says that it could not."""
    error = task.exception() if task.done() and not task.cancelled() else None
    return str(error) if isinstance(error, Doubtful) else ""


class _Progress:
    """Shows the last line that an effect tells, not more often than a card is worth redrawing for."""

    def __init__(self, hold: Hold, path: str, scrub: Scrubber) -> None:
        self._hold = hold
        self._path = path
        self._scrub = scrub
        self._latest: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Callable[[str], None]:
        self._task = asyncio.create_task(self._show())
        return self._tell

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _tell(self, line: str) -> None:
        self._latest = shorten(self._scrub(line), 300)

    async def _show(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL)
            line, self._latest = self._latest, None
            if line is None:
                continue
            try:
                await self._hold.write(lambda _: None, step=(self._path, {"progress": line}), priority=0)
            except Exception:  # noqa: BLE001 - whoever carries out the effect learns of it by itself
                return
