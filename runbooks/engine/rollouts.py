"""Carries out `rollout`: stage after stage, each set, seen to have taken, soaked, and gated or not.

It is called again at every wake, on any replica, and goes on from what the step's data says. Every change of
that data is one save; every weight that is set has its entry in the journal.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from runbooks.engine.at import At, Finished, NotApproved, Outcome, Undo, Waiting
from runbooks.engine.authority import NotAllowed
from runbooks.engine.gates import run_gate
from runbooks.engine.rollout_people import close_gate, dismiss, heed, newest, offer
from runbooks.engine.rollout_state import KEY, RolloutEnding, RolloutPhase, RolloutState, traffic_data
from runbooks.engine.soak_rounds import measure_round
from runbooks.engine.soak_state import Ending, Rules, SoakState
from runbooks.engine.soaks import soak_progress
from runbooks.engine.traffic import TrafficAt, differs
from runbooks.errors import StepError
from runbooks.records.runs import WaitingOn
from runbooks.steps.rollout import Rollout, driver_warnings, show_weight
from runbooks.steps.traffic import Traffic
from runbooks.steps.traffic.placeholders import plain_weight

#: How long is waited before it is looked again whether a weight took.
SETTLE_EVERY = timedelta(seconds=5)


async def run_rollout(at: At, model: Rollout) -> Outcome:
    """As far as the rollout gets now. Raises StepError when it failed and people are to be asked."""
    return await _RolloutAt(at, model).run()


class _RolloutAt:
    def __init__(self, at: At, model: Rollout) -> None:
        self._at = at
        self._model = model
        self._traffic = TrafficAt(at, model)
        kept = at.row.data.get(KEY)
        self._state = (
            RolloutState.from_data(kept)
            if kept
            else RolloutState(attempt=at.row.attempt, to=model.to, stages=model.stages)
        )
        self._phases: Mapping[RolloutPhase, Callable[[], Awaitable[Outcome | None]]] = {
            RolloutPhase.RECORD: self._record,
            RolloutPhase.SET: self._set,
            RolloutPhase.SETTLE: self._settle,
            RolloutPhase.SOAK: self._soak,
            RolloutPhase.GATE: self._gate,
            RolloutPhase.DONE: self._finish,
        }

    async def run(self) -> Outcome:
        if self._state.attempt != self._at.row.attempt:
            self._state = self._state.again(self._at.row.attempt)
        while True:
            if await self._heeded():
                continue
            if self._state.ending:
                return await self._end()
            outcome = await self._phases[self._state.phase]()
            if outcome is not None:
                return outcome

    async def _record(self) -> None:
        self._model.demand_stages(self._traffic.driver)
        recorded = await self._traffic.record()
        warnings = driver_warnings(self._traffic.driver)
        state = replace(self._state, recorded=recorded, phase=RolloutPhase.SET, warnings=warnings)
        await self._keep(state, audit="rollout.recorded", details={"recorded": recorded})

    async def _set(self) -> None:
        state = self._state
        try:
            await self._demand_untouched()
            await self._traffic.set(_stage_name(state.weight), state.weight)
        except _Touched as error:
            await self._fail(RolloutEnding.ASK, str(error))
            return
        except NotAllowed as error:
            await dismiss(self._at, str(error))
            raise
        except StepError as error:
            await self._failed(f"{show_weight(state.weight)} could not be set: {error}")
            return
        settle_by = self._at.now() + self._model.settle
        state = replace(state, phase=RolloutPhase.SETTLE, settle_by=settle_by, set_anyway=False)
        await self._keep(state, audit="rollout.stage_set", details={"weight": state.weight})

    async def _demand_untouched(self) -> None:
        """Raises _Touched unless the traffic is as this rollout left it, or as it is about to be."""
        left = self._state.left or self._state.recorded
        assert left is not None  # recorded before the first stage
        if self._state.set_anyway:
            return
        try:
            live = await self._traffic.live()
        except StepError as error:
            raise _Touched(f"it is not known what {self._model.target} has now: {error}") from error
        before = differs(live, None, left["weight"])
        if before and differs(live, self._state.to, self._reached):
            raise _Touched(f"somebody has changed the traffic of {self._model.target} meanwhile: {before}")

    async def _settle(self) -> Outcome | None:
        state, now = self._state, self._at.now()
        live: Traffic | None = None
        try:
            live = await self._traffic.live()
            trouble = differs(live, state.to, self._reached)
        except StepError as error:
            trouble = f"it could not be read: {error}"
        if live is not None and not trouble:
            soak = self._model.soak or timedelta(0)
            begun = SoakState.begin(self._at.now(), soak, self._model.every)
            left = traffic_data(live)
            await self._keep(replace(state, phase=RolloutPhase.SOAK, soak=begun, settle_by=None, left=left))
            return None
        assert state.settle_by is not None  # it was set
        if now >= state.settle_by:
            await self._failed(f"{show_weight(state.weight)} did not take on {self._model.target}: {trouble}")
            return None
        return await self._wait(min(now + SETTLE_EVERY, state.settle_by))

    async def _soak(self) -> Outcome | None:
        await self._round()
        soak = self._soaking
        match soak.ending:
            case Ending.FAILED:
                await self._failed(f"at {show_weight(self._state.weight)} it {soak.reason}")
            case Ending.STUCK:
                await self._fail(RolloutEnding.ASK, f"at {show_weight(self._state.weight)} {soak.reason}")
            case Ending.PASSED:
                await self._keep(self._after_soak(self._state))
            case _:
                return await self._wait(soak.next_tick)
        return None

    def _after_soak(self, state: RolloutState) -> RolloutState:
        if state.last:
            return replace(state, phase=RolloutPhase.DONE)
        if self._model.between is None:
            return state.next_stage()
        assert state.soak is not None  # it has just ended
        # The checks go on while people think it over.
        return replace(state, phase=RolloutPhase.GATE, soak=replace(state.soak, ending=Ending.NOT_YET))

    async def _round(self) -> None:
        """A round of checks, if one is due."""
        state, soak = self._state, self._soaking
        if soak.ending or self._at.now() < soak.next_tick:
            return
        model = self._model
        at_gate = state.phase is RolloutPhase.GATE
        rules = Rules(
            every=model.every,
            failures=model.failures,
            # Whoever decides at the gate is asked already, and sees that nothing is measured.
            inconclusive=timedelta.max if at_gate and not state.passed_gate else model.inconclusive,
            held=state.held or at_gate,
        )
        round_ = await measure_round(self._at, model.verify, model.compare)
        soak = soak.after(round_, self._at.now(), rules)
        bad = soak.ending in (Ending.FAILED, Ending.STUCK)
        await self._keep(replace(self._state, soak=soak), priority=3 if bad else 0)

    async def _gate(self) -> Outcome | None:
        assert self._model.between is not None  # or the phase would not be
        await self._round()
        state, soak = self._state, self._soaking
        if soak.ending is Ending.FAILED:
            await self._failed(f"at {show_weight(state.weight)} it {soak.reason}")
            return None
        if not state.passed_gate:
            return await self._ask_gate(soak)
        if soak.ending is Ending.STUCK:
            await self._fail(RolloutEnding.ASK, f"at {show_weight(state.weight)} {soak.reason}")
            return None
        if state.held or not (soak.well or state.promoted):
            return await self._wait(soak.next_tick)
        await self._keep(state.next_stage())
        return None

    async def _ask_gate(self, soak: SoakState) -> Outcome | None:
        assert self._model.between is not None
        after = self._state.weight
        coming = self._state.stages[self._state.stage + 1]
        title = f"{self._at.step.title}: from {show_weight(after)} to {show_weight(coming)}"
        try:
            asked = await run_gate(self._at, self._model.between.gate, name=_stage_name(after), title=title)
        except NotApproved as error:
            if self._model.on_failure == "rollback":
                await self._fail(RolloutEnding.UNDO, str(error))
                return None
            await dismiss(self._at, "not approved")
            raise
        match asked:
            case Finished():
                warnings = (*self._state.warnings, *asked.warnings)
                await self._keep(replace(self._state, passed_gate=True, warnings=warnings), priority=3)
                return None
            case Waiting():
                until = min(soak.next_tick, asked.until or soak.next_tick)
                return await self._wait(until, on=WaitingOn.GATE, progress=asked.progress)
            case _:
                return asked

    async def _finish(self) -> Outcome:
        if not await dismiss(self._at, "the rollout is over"):
            return self._look_again()
        state = self._state
        whole = show_weight(state.weight)
        return Finished(
            outputs={"weight": state.weight, "version": state.to},
            summary=f"{state.to} has {whole}, after {len(state.stages)} stages",
            warnings=state.all_warnings(),
        )

    async def _failed(self, reason: str) -> None:
        ending = RolloutEnding.UNDO if self._model.on_failure == "rollback" else RolloutEnding.ASK
        await self._fail(ending, reason)

    async def _fail(self, ending: RolloutEnding, reason: str) -> None:
        state = replace(self._state, ending=ending, reason=reason)
        await self._keep(state, priority=3, audit="rollout.failed", details={"reason": reason})

    async def _end(self) -> Outcome:
        await dismiss(self._at, self._state.reason)
        await close_gate(self._at, self._state.reason)
        if self._state.ending is RolloutEnding.UNDO:
            return Undo(reason=self._state.reason)
        raise StepError(self._state.reason)

    async def _heeded(self) -> bool:
        """Whether people had said something, and it was done."""
        ask = newest(self._at)
        if ask is None or (change := heed(self._state, ask, self._at.now())) is None:
            return False
        state = change.state if not change.promoted else self._after_soak(change.state)
        details = {"choice": ask.answer, "by": ask.answered_name or ask.answered_by, "weight": state.weight}
        await self._keep(state, priority=2, audit="rollout.told", details=details)
        return True

    async def _wait(self, until: datetime, *, on: WaitingOn = WaitingOn.SOAK, progress: str = "") -> Outcome:
        if not await offer(self._at, self._state, self._model.target):
            return self._look_again()
        return Waiting(on=on, until=until, progress=progress or self._progress())

    def _look_again(self) -> Outcome:
        """Somebody has answered in this very moment: that is heeded first, with the run read anew."""
        return Waiting(on=WaitingOn.SOAK, until=self._at.now(), progress=self._progress())

    @property
    def _reached(self) -> float:
        """What is live when the present stage's weight took."""
        return self._traffic.driver.reached(self._state.weight)

    @property
    def _soaking(self) -> SoakState:
        assert self._state.soak is not None  # it began when the weight took
        return self._state.soak

    def _progress(self) -> str:
        state = self._state
        held = f"held by {state.held_by}, " if state.held else ""
        if state.phase is RolloutPhase.DONE:
            return f"{show_weight(state.weight)} of {state.to}"
        if state.soak is not None:
            return f"{show_weight(state.weight)}: {held}{soak_progress(state.soak, self._at)}"
        what = "waits for it to take" if state.phase is RolloutPhase.SETTLE else "about to be set"
        return f"{show_weight(state.weight)}: {held}{what}"

    async def _keep(
        self,
        state: RolloutState,
        *,
        priority: int = 1,
        audit: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self._state = state
        data = {**self._at.row.data, KEY: state.as_data()}
        await self._at.save(data, progress=self._progress(), audit=audit, details=details, priority=priority)


class _Touched(StepError):
    """Somebody else moves the same traffic, or nobody knows whether."""


def _stage_name(weight: float) -> str:
    return f"stage-{plain_weight(weight)}"
