"""Carries out `soak`: checks again and again until its time is over, with no process in between."""

from runbooks.engine.at import At, Finished, Outcome, Undo, Waiting
from runbooks.engine.soak_rounds import measure_round
from runbooks.engine.soak_state import Ending, Rules, SoakState
from runbooks.engine.times import show_time
from runbooks.errors import StepError
from runbooks.records.runs import WaitingOn
from runbooks.spec.model import show_duration
from runbooks.steps.soak import Soak
from runbooks.steps.step import Value

#: The keys in the step's data. The attempt tells a soak that people began anew from the one that failed.
_KEY, _ATTEMPT = "soak", "soak_attempt"


async def run_soak(at: At, model: Soak) -> Outcome:
    """One look at the soak: a round of checks if one is due, and when the next one is.

    Raises StepError when it failed, or measured nothing for too long, and people are to be asked.
    """
    state = _kept(at)
    if state is None:
        state = SoakState.begin(at.now(), model.for_, model.every)
        await _keep(at, state, priority=1)
    if not state.ending and at.now() >= state.next_tick:
        state = await _next_round(at, model, state)
    if not state.ending:
        return Waiting(on=WaitingOn.SOAK, until=state.next_tick, progress=soak_progress(state, at))
    return _end(model, state)


async def _next_round(at: At, model: Soak, state: SoakState) -> SoakState:
    rules = Rules(every=model.every, failures=model.failures, inconclusive=model.inconclusive)
    state = state.after(await measure_round(at, model.checks), at.now(), rules)
    await _keep(at, state, priority=3 if state.ending in (Ending.FAILED, Ending.STUCK) else 0)
    return state


def _end(model: Soak, state: SoakState) -> Outcome:
    reason = f"the soak {state.reason}" if state.ending is Ending.FAILED else state.reason
    if state.ending is Ending.FAILED and model.on_failure == "rollback":
        return Undo(reason=reason)
    if state.ending is Ending.STUCK or (state.ending is Ending.FAILED and model.on_failure == "ask"):
        raise StepError(reason)
    outputs: dict[str, Value] = {"rounds": state.rounds, "failed_rounds": state.failed_rounds}
    warnings = state.warnings if state.ending is Ending.PASSED else (reason, *state.warnings)
    return Finished(
        outputs=outputs,
        summary=f"{show_duration(model.for_)}, {count(state.rounds, 'round')} of checks"
        + (f", {state.failed_rounds} failed" if state.failed_rounds else ""),
        warnings=warnings,
    )


def soak_progress(state: SoakState, at: At) -> str:
    """Where a soak stands, in a line."""
    now = at.now()
    if not state.rounds:
        return f"first checks at {show_time(state.next_tick, now)}, until {show_time(state.ends_at, now)}"
    last = f"round {state.rounds} {state.status}"
    if state.ends_at > now:
        return f"{last}, until {show_time(state.ends_at, now)}"
    return f"{last}; its time is over, and it is held until its checks are well"


def count(number: int, word: str) -> str:
    """`1 round`, `3 rounds`."""
    return f"{number} {word}" + "s" * (number != 1)


def _kept(at: At) -> SoakState | None:
    data = at.row.data
    return SoakState.from_data(data[_KEY]) if data.get(_ATTEMPT) == at.row.attempt else None


async def _keep(at: At, state: SoakState, *, priority: int) -> None:
    data = {**at.row.data, _KEY: state.as_data(), _ATTEMPT: at.row.attempt}
    await at.save(data, progress=soak_progress(state, at), priority=priority)
