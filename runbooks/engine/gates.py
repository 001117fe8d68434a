"""Carries out `gate`: asks, reminds, and lets the run pass when enough people approved what they saw."""

from collections.abc import Iterable
from typing import Any

from runbooks.engine.agreement import KEY
from runbooks.engine.asking import Wanted, ask_of, next_reminder, open_new, reminder_due, until
from runbooks.engine.at import At, Finished, NotApproved, Outcome, Waiting
from runbooks.engine.decisions import REJECT
from runbooks.engine.previews import spoken
from runbooks.engine.times import show_time
from runbooks.errors import Refused
from runbooks.records.asks import APPROVE, OPEN, VOID
from runbooks.records.person import Person
from runbooks.records.runs import AskKind, AskRow, VoteRow, WaitingOn
from runbooks.spec.model import show_duration
from runbooks.spec.runbook_step import RunbookStep
from runbooks.steps.gate import Gate
from runbooks.steps.holders import listed
from runbooks.steps.rollout import Rollout

#: How a gate's time can be over; neither is an approval.
_EXPIRED = {"hold": "expired", "deny": "denied"}


def check_requester(steps: Iterable[RunbookStep], by: Person) -> None:
    """Raises Refused when other people must approve one of the steps, and nobody knows whom they are other
    than."""
    if by.is_unknown and any(_needs_others(step) for step in steps):
        raise Refused(
            f"Somebody else than who asks has to approve this, and Maint does not know who {by.id} is in "
            f"Slack. Who looks after maint.yaml can say so there: `logins: {{{by.id}: U0123ABCD}}`; or ask "
            "for it in Slack."
        )


def _needs_others(step: RunbookStep) -> bool:
    gate: Any = step.fields if step.model is Gate else None
    if step.model is Rollout and (between := step.fields.get("between")):
        gate = between["gate"]
    # A reference counts as well: what it will be is not known yet.
    if gate is not None and gate.get("requester_may_approve") is not True:
        return True
    return any(_needs_others(inner) for inner in (*step.steps, step.rollback) if inner is not None)


async def run_gate(at: At, model: Gate, *, name: str = "gate", title: str = "") -> Outcome:
    """Waits until the gate `name` of this step is decided. Raises NotApproved when it is not passed."""
    ask = ask_of(at, AskKind.GATE, name)
    if ask is not None and _may_pass(ask) and ask.digest != at.plan_digest:
        if not await at.close(ask, "", "the plan has changed", void=True):
            # Somebody rejected it in this very moment: look again.
            return Waiting(on=WaitingOn.GATE, until=at.now())
        ask = None
    if ask is None:
        ask = await _open(at, model, name, title)
    if ask.state == OPEN:
        return await _wait(at, model, ask)
    if ask.answer == APPROVE:
        return _passed(at, ask)
    raise _not_approved(ask)


def _may_pass(ask: AskRow) -> bool:
    return ask.state == OPEN or ask.answer == APPROVE


async def _open(at: At, model: Gate, name: str, title: str) -> AskRow:
    last = at.view.ask(at.row.path, AskKind.GATE)
    changes = at.plan_change() if last is not None and last.state == VOID else ()
    previews = await at.previews()
    spec = {
        "radius": spoken(previews),
        KEY: dict(await at.agreed()),
        "approvers": list(model.approvers),
        "quorum": model.quorum,
        "requester_may_approve": model.requester_may_approve,
        "then": model.then or "",
        "policy": model.policy or "",
        "on_expiry": model.on_expiry,
        "message": model.message,
        "changes": list(changes),
        "stuck": model.stuck_for(at.view.run.requester_id),
    }
    wanted = Wanted(
        kind=AskKind.GATE,
        name=name,
        title=title or at.step.title,
        choices=(APPROVE, REJECT),
        spec=spec,
        expires=model.expires,
        remind=model.remind,
        tell=True,
        channel=model.channel or "",
        digest=at.plan_digest,
    )
    return await open_new(at, wanted)


async def _wait(at: At, model: Gate, ask: AskRow) -> Outcome:
    now = at.now()
    count = f"{len(_approvals(at, ask))} of {model.quorum} approved"
    if ask.deadline is not None and now >= ask.deadline:
        return await _expire(at, model, ask, count)
    remind_at = ask.remind_at
    if reminder_due(ask, now):
        remind_at = next_reminder(ask, model.remind, now)
        last = remind_at is None and model.then is not None
        mention = " ".join([*model.approvers, *([model.then] if model.then and last else [])])
        await at.remind(ask, mention, _reminder(ask, model, count, now_then=last), remind_at)
    ends = f", until {show_time(ask.deadline, now)}" if ask.deadline else ""
    return Waiting(on=WaitingOn.GATE, until=until((remind_at, ask.deadline)), progress=count + ends)


def _reminder(ask: AskRow, model: Gate, count: str, *, now_then: bool) -> str:
    text = f"{ask.title}: {'still waits' if ask.reminded else 'waits'} for approval, {count}."
    if not ask.reminded and (changes := ask.spec["changes"]):
        text = f"The plan has changed, and what was approved of it is void: {'; '.join(changes)}. {text}"
    if stuck := ask.spec["stuck"]:
        text = f"{text} {stuck}."
    return f"{text} {model.then} may approve from now on as well." if now_then else text


async def _expire(at: At, model: Gate, ask: AskRow, count: str) -> Outcome:
    reason = f"{count} within {show_duration(model.expires)}"
    answer = _EXPIRED[model.on_expiry]
    if not await at.close(ask, answer, reason):
        # Somebody decided in this very moment: look again.
        return Waiting(on=WaitingOn.GATE, until=at.now())
    raise _expired(answer, reason)


def _passed(at: At, ask: AskRow) -> Finished:
    approvals = _approvals(at, ask)
    names = [vote.name or vote.person for vote in approvals]
    alone = [vote for vote in approvals if vote.break_glass]
    return Finished(
        outputs={"approved_by": ", ".join(names)},
        summary=f"approved by {listed(names, 'and')}",
        warnings=tuple(f"{vote.name} broke the glass: {vote.reason}" for vote in alone),
    )


def _not_approved(ask: AskRow) -> NotApproved:
    if ask.answer == REJECT:
        who = ask.answered_name or ask.answered_by
        return NotApproved(f"{who} rejected it: {ask.reason}", again=True)
    return _expired(ask.answer, ask.reason)


def _expired(answer: str, reason: str) -> NotApproved:
    if answer == _EXPIRED["hold"]:
        return NotApproved(f"held: {reason}. Retry asks again.", again=True)
    return NotApproved(f"denied: {reason}", again=False)


def _approvals(at: At, ask: AskRow) -> list[VoteRow]:
    return [vote for vote in at.view.votes if vote.ask == ask.id and vote.choice == APPROVE]
