"""Carries out `manual`: shows what a person is to do, and waits until somebody says how it went."""

from datetime import datetime

from runbooks.engine.asking import Wanted, ask_of, next_reminder, open_new, reminder_due, until
from runbooks.engine.at import At, Finished, Outcome, Waiting
from runbooks.engine.decisions import ASSIGN
from runbooks.engine.times import show_about
from runbooks.errors import StepError
from runbooks.records.asks import OPEN
from runbooks.records.runs import AskKind, AskRow, WaitingOn
from runbooks.spec.model import show_duration
from runbooks.steps.manual import Manual

DONE, FAILED, CANNOT = "done", "failed", "cannot"
EXPIRED = "expired"


async def run_manual(at: At, model: Manual) -> Outcome:
    """Waits for Done. Raises StepError when a person says that it failed, or nobody says anything in time."""
    ask = ask_of(at, AskKind.MANUAL, AskKind.MANUAL)
    if ask is None:
        ask = await _open(at, model)
    if ask.state == OPEN:
        return await _wait(at, model, ask)
    if ask.answer == DONE:
        return _done(ask)
    raise _failure(ask)


async def _open(at: At, model: Manual) -> AskRow:
    spec = {
        "approvers": list(model.who),
        "instructions": model.instructions,
        "evidence": model.evidence,
        "assign": model.assign or "",
    }
    wanted = Wanted(
        kind=AskKind.MANUAL,
        name=AskKind.MANUAL,
        title=at.step.title,
        choices=(DONE, FAILED, CANNOT, ASSIGN),
        spec=spec,
        expires=model.expires,
        remind=model.remind,
        tell=bool(model.assign),
    )
    return await open_new(at, wanted)


async def _wait(at: At, model: Manual, ask: AskRow) -> Outcome:
    now = at.now()
    if ask.deadline is not None and now >= ask.deadline:
        length = show_duration(ask.deadline - ask.opened_at)
        reason = f"nobody said within {length} that it is done"
        if not await at.close(ask, EXPIRED, reason):
            # Somebody answered in this very moment: look again.
            return Waiting(on=WaitingOn.MANUAL, until=now)
        raise StepError(reason)
    remind_at = ask.remind_at
    if reminder_due(ask, now):
        remind_at = next_reminder(ask, model.remind, now)
        await at.remind(ask, _expected(ask), _reminder(ask, now), remind_at)
    assignee = ask.spec.get("assignee")
    return Waiting(
        on=WaitingOn.MANUAL,
        until=until((remind_at, ask.deadline)),
        progress=f"waits for {assignee['name']}" if assignee else "waits for a person",
    )


def _expected(ask: AskRow) -> str:
    """Who hears of it: whom it was handed over to, or whom the runbook names."""
    assignee = ask.spec.get("assignee")
    if assignee:
        return str(assignee["id"])
    return str(ask.spec["assign"]) or " ".join(ask.spec["approvers"])


def _reminder(ask: AskRow, now: datetime) -> str:
    assignee = ask.spec.get("assignee")
    handed = f" {assignee['by']} handed it over to {assignee['name']}." if assignee else ""
    return f"{ask.title}: is to be done by hand, for {show_about(now - ask.opened_at)} now.{handed}"


def _done(ask: AskRow) -> Finished:
    who = ask.answered_name or ask.answered_by
    took = show_about(ask.closed_at - ask.opened_at) if ask.closed_at else ""
    return Finished(
        outputs={"done_by": who, "evidence": ask.evidence},
        summary=f"done by {who} after {took}",
        output=ask.evidence,
    )


def _failure(ask: AskRow) -> StepError:
    who = ask.answered_name or ask.answered_by
    if ask.answer == FAILED:
        return StepError(f"{who} says that it failed: {ask.reason}")
    if ask.answer == CANNOT:
        return StepError(f"{who} cannot do it: {ask.reason}")
    return StepError(ask.reason)
