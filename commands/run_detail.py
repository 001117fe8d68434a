"""One run in full: steps, times, outputs, people, and everything that was done outside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from commands.reply import Element, Listing, Note, Paragraph, Reply
from commands.rights import short
from commands.run import waits
from commands.run_card import run_card
from commands.times import ago, clock, span
from runbooks.engine.decisions import permitted
from runbooks.records.runs import EffectRow, RunRow, RunView, StepRow, StepState, VoteRow, WaitingOn


def shown(view: RunView, now: datetime) -> str:
    """What a run that is not over does or waits for, in one line."""
    run = view.run
    if view.open_asks:
        asks = (f"{ask.title}{_whom(permitted(ask))}" for ask in view.open_asks)
        return "asks: " + "; ".join(asks)
    if view.in_the_way:
        behind = ", ".join(f"{lock.target} (run {short(lock.run)})" for lock in view.in_the_way)
        return f"waits for its turn: {behind}"
    if view.paused:
        return "waits: everything is stopped"
    if run.waiting_on in (WaitingOn.TIME, WaitingOn.SOAK, WaitingOn.WINDOW) and run.wake_at:
        return f"waits, and goes on {ago(run.wake_at, now)}"
    step = next((each for each in view.steps if each.state == StepState.RUNNING), None)
    if step is not None:
        return f"{step.title}{f': {step.progress}' if step.progress else ''}"
    return run.note or run.waiting_on or run.state


def _whom(names: tuple[str, ...]) -> str:
    return f" ({', '.join(names)})" if names else ""


def in_full(program: str, view: RunView, journal: Sequence[EffectRow], now: datetime) -> Reply:
    """Everything about one run: its card, then who said what, and in the details what was done."""
    card = run_card(view)
    elements: list[Element] = [*card.elements, Note(_times(view.run, now))]
    if view.in_the_way:
        elements += [Paragraph(text) for text in waits(program, view, now)]
    elements += [Paragraph(_vote(vote, view, now)) for vote in view.votes]
    return replace(
        card,
        elements=tuple(elements),
        details=tuple(_details(view, journal)),
        private=True,
        done=True,
        data=in_data(view, journal),
    )


def _times(run: RunRow, now: datetime) -> str:
    said = [f"asked by {run.requester_name} {ago(run.created_at, now)}"]
    if run.started_at:
        said.append(f"begun {clock(run.started_at, now)}")
    if run.ended_at:
        took = f" after {span(run.ended_at - run.started_at)}" if run.started_at else ""
        said.append(f"ended {clock(run.ended_at, now)}{took}")
    return ", ".join(said)


def _vote(vote: VoteRow, view: RunView, now: datetime) -> str:
    ask = next((each for each in view.asks if each.id == vote.ask), None)
    at = f" at {ask.path}" if ask else ""
    glass = ", alone, with the glass broken" if vote.break_glass else ""
    why = f": {vote.reason}" if vote.reason else ""
    return f"{vote.name} said {vote.choice}{at} {ago(vote.at, now)}{glass}{why}"


def _details(view: RunView, journal: Sequence[EffectRow]) -> list[Listing]:
    found = [Listing("steps.txt", "\n\n".join(_step(step) for step in view.steps))] if view.steps else []
    if planned := [*_planned(view.run.plan, "steps"), *_planned(view.run.plan, "rollback")]:
        found.insert(0, Listing("plan.txt", "\n\n".join([*planned, f"digest {view.run.plan_digest}"])))
    closed = [
        f"{ask.path} {ask.kind}: {ask.answer or ask.state} by {ask.answered_name or 'nobody'}"
        + (f", because: {ask.reason}" if ask.reason else "")
        + (f", evidence: {ask.evidence}" if ask.evidence else "")
        for ask in view.asks
        if ask.state != "open"
    ]
    if closed:
        found.append(Listing("decisions.txt", "\n".join(closed)))
    if journal:
        found.append(Listing("journal.txt", "\n".join(_effect(effect) for effect in journal)))
    return found


def _planned(plan: Mapping[str, Any], part: str) -> Iterator[str]:
    """What each step was to do, as it was shown: it is what a gate is about, also for who may not run it."""
    for step in plan.get(part) or ():
        lines = [f"{step.get('path')}  {step.get('title')}  [{step.get('kind')}]", *(step.get("lines") or ())]
        if later := step.get("unresolved"):
            lines.append(f"known only later: {', '.join(later)}")
        yield "\n  ".join(lines)


def _step(step: StepRow) -> str:
    lines = [f"{step.path}  {step.title}  [{step.kind}]  {step.state}, attempt {step.attempt}"]
    for word, at in (("began", step.started_at), ("ended", step.ended_at)):
        if at:
            lines.append(f"  {word} {at.isoformat(timespec='seconds')}")
    lines += [f"  ! {step.error}"] if step.error else []
    lines += [f"  {step.summary}"] if step.summary else []
    lines += [f"  {name}: {value}" for name, value in step.outputs.items()]
    return "\n".join(lines)


def _effect(effect: EffectRow) -> str:
    end = effect.ended_at.isoformat(timespec="seconds") if effect.ended_at else "no end"
    repeat = "repeatable" if effect.repeatable else "not repeatable"
    return (
        f"{effect.started_at.isoformat(timespec='seconds')} to {end}  {effect.path} {effect.name}, "
        f"attempt {effect.attempt}: {effect.state}  ({repeat}, on {effect.executor[-8:]})"
    )


def as_data(run: RunRow) -> dict[str, object]:
    """A run for machines, without its steps."""
    return {
        "run": run.id,
        "runbook": run.runbook,
        "title": run.title,
        "state": run.state,
        "waiting_on": run.waiting_on,
        "requester": {"id": run.requester_id, "name": run.requester_name, "kind": run.requester_kind},
        "params": dict(run.params),
        "plan_digest": run.plan_digest,
        "rollback_of": run.rollback_of,
        "created_at": run.created_at.isoformat(),
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
    }


def in_data(view: RunView, journal: Sequence[EffectRow] = ()) -> dict[str, object]:
    """A run for machines, with everything."""
    return {
        **as_data(view.run),
        "paused": view.paused,
        "steps": [asdict(step) for step in view.steps],
        "asks": [asdict(ask) for ask in view.asks],
        "votes": [asdict(vote) for vote in view.votes],
        "locks": [asdict(lock) for lock in view.held],
        "in_the_way": [asdict(lock) for lock in view.in_the_way],
        "journal": [asdict(effect) for effect in journal],
    }
