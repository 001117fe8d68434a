"""What people may say while a rollout is under way: promote, hold, resume, roll back.

Each stage has an ask of its own, so that nobody promotes a stage that they have not seen.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from runbooks.engine.at import At
from runbooks.engine.rollout_state import RolloutEnding, RolloutPhase, RolloutState
from runbooks.records.runs import AskKind, AskRow
from runbooks.steps.rollout import show_weight

PROMOTE, HOLD, RESUME, ROLLBACK = "promote", "hold", "resume", "rollback"
#: What an ask is answered with when nobody is asked any more.
OVER = "over"
_OPEN, _CLOSED = "open", "closed"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What somebody's word makes of a rollout. `promoted`: its soak is over."""

    state: RolloutState
    promoted: bool = False


def newest(at: At) -> AskRow | None:
    """The newest ask of this rollout, answered or not."""
    return at.view.ask(at.row.path, AskKind.ROLLOUT)


def heed(state: RolloutState, ask: AskRow, now: datetime) -> Change | None:
    """What the answer to the ask leads to; None when there is none, or it was heeded before."""
    if not _unheeded(state, ask):
        return None
    who = ask.answered_name or ask.answered_by
    state = replace(state, answered=ask.round)
    of_this_stage = ask.spec.get("stage") == state.stage and ask.spec.get("attempt") == state.attempt
    match ask.answer:
        case "rollback" if ask.spec.get("attempt") == state.attempt:
            reason = f"{who} rolled it back" + (f": {ask.reason}" if ask.reason else "")
            return Change(state=replace(state, ending=RolloutEnding.UNDO, reason=reason))
        case "promote" if of_this_stage and state.phase is RolloutPhase.SOAK and not state.ending:
            return Change(state=replace(state, promoted=True, held=False, held_by=""), promoted=True)
        case "hold" if of_this_stage:
            return Change(state=replace(state, held=True, held_by=who))
        case "resume" if of_this_stage:
            return Change(state=_resumed(replace(state, held=False, held_by=""), now))
        case _:
            return Change(state=state)


def _unheeded(state: RolloutState, ask: AskRow) -> bool:
    return ask.state == _CLOSED and ask.answer != OVER and ask.round > state.answered


def _resumed(state: RolloutState, now: datetime) -> RolloutState:
    # What held longer than the soak is measured once more and goes on, without another interval's wait.
    if state.soak is None or now < state.soak.ends_at:
        return state
    return replace(state, soak=replace(state.soak, next_tick=now))


async def offer(at: At, state: RolloutState, target: str) -> bool:
    """Sees to it that an ask is open whose choices fit the moment. False when somebody has just answered."""
    choices = _choices(state)
    spec = {"stage": state.stage, "attempt": state.attempt, "weight": state.weight}
    ask = newest(at)
    if ask is not None and ask.state == _OPEN:
        if ask.choices == choices and all(ask.spec.get(name) == value for name, value in spec.items()):
            return True
        if not await at.close(ask, OVER, "the rollout has gone on"):
            return False
    elif ask is not None and _unheeded(state, ask):
        return False
    title = f"{show_weight(state.weight)} of {target}: {state.to}"
    opened = await at.ask(AskKind.ROLLOUT, title=title, choices=choices, spec=spec, again=True)
    return opened.state == _OPEN


def _choices(state: RolloutState) -> tuple[str, ...]:
    pause = RESUME if state.held else HOLD
    return (PROMOTE, pause, ROLLBACK) if state.phase is RolloutPhase.SOAK else (pause, ROLLBACK)


async def dismiss(at: At, reason: str) -> bool:
    """Takes the buttons away. False when somebody has just pressed one."""
    ask = newest(at)
    return ask is None or ask.state != _OPEN or await at.close(ask, OVER, reason)


async def close_gate(at: At, reason: str) -> None:
    """Nobody decides any more about a stage that is not to come."""
    ask = at.view.ask(at.row.path, AskKind.GATE)
    if ask is not None and ask.state == _OPEN:
        await at.close(ask, "", reason, void=True)
