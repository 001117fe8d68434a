"""One decision of one person: whether it counts, what it changes, and its audit event, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runbooks.engine.decided import Decided, Verdict
from runbooks.engine.events import nameless, targets_of
from runbooks.engine.times import show_time
from runbooks.records import asks, audit
from runbooks.records.asks import APPROVE, CLOSED, VOID, Question, Transaction
from runbooks.records.audit import Event, Outcome, done_by
from runbooks.records.person import Person, is_login
from runbooks.records.runs import AskKind, AskRow, RunRow, VoteRow
from runbooks.steps.holders import listed
from runbooks.visible import one_line

REJECT, ASSIGN, REVIEWED = "reject", "assign", "reviewed"

#: Answers that say nothing without a reason.
_NEED_REASON = frozenset(
    {
        (AskKind.GATE, REJECT),
        (AskKind.FAILED, "skip"),
        (AskKind.IN_DOUBT, "done"),
        (AskKind.MANUAL, "failed"),
        (AskKind.MANUAL, "cannot"),
        (AskKind.REVIEW, REVIEWED),
    }
)
_OUTCOMES = {
    Verdict.COUNTED: Outcome.OK,
    Verdict.CLOSED: Outcome.OK,
    Verdict.LATE: Outcome.LATE,
    Verdict.DUPLICATE: Outcome.DUPLICATE,
    Verdict.DENIED: Outcome.DENIED,
    Verdict.REASON_NEEDED: Outcome.INVALID,
    Verdict.UNKNOWN: Outcome.INVALID,
}


@dataclass(frozen=True, kw_only=True)
class _Click:
    """What somebody wants to decide, and what about: run and ask are held until the transaction ends."""

    connection: Transaction
    run: RunRow
    ask: AskRow
    choice: str
    by: Person
    holds: frozenset[str]
    reason: str
    evidence: str
    break_glass: bool
    to: Person | None
    now: datetime
    wake: Callable[[Transaction, str], None]

    def answer(self, outcome: Verdict, text: str) -> Decided:
        return Decided(outcome=outcome, text=text, run=self.run.id)


def permitted(ask: AskRow) -> tuple[str, ...]:
    """Of whom a person must be one to answer, at this moment: roles, user ids, usergroups, e-mail addresses.

    Empty: nobody in particular is named, and whoever may run the runbook may answer.
    """
    # Those whom an escalation has called since it was opened may answer as well.
    named = (*ask.spec.get("approvers", ()), *ask.spec.get("also", ()))
    then = ask.spec.get("then")
    last_reminder_is_out = ask.reminded > 0 and ask.remind_at is None
    return (*named, then) if then and last_reminder_is_out else named


def decide(
    connection: Transaction,
    *,
    ask_id: str,
    choice: str,
    by: Person,
    holds: frozenset[str],
    now: datetime,
    wake: Callable[[Transaction, str], None],
    reason: str = "",
    evidence: str = "",
    break_glass: bool = False,
    to: Person | None = None,
) -> Decided:
    """Counts what a person decided, or says why not; either way it stands in the audit log.

    `holds`: those of `permitted(ask)` that the person is one of. `break_glass` only for whom that was
    granted. `to` is whom `assign` hands a step over to. `wake(connection, run)` is called when the run has
    something to do now. When the outcome is COUNTED or CLOSED, the run's cards are out of date: raising its
    version, in the same transaction, is the caller's.
    """
    taken = asks.take(connection, ask_id)
    if taken is None:
        decided = Decided(outcome=Verdict.UNKNOWN, text="There is no such question: see what is open now.")
        audit.append(connection, _event(by, "ask.unknown", decided, now, {"ask": ask_id, "choice": choice}))
        return decided
    run, ask = taken
    click = _Click(
        connection=connection,
        run=run,
        ask=ask,
        choice=choice,
        by=by,
        holds=holds,
        reason=reason.strip(),
        evidence=evidence.strip(),
        break_glass=break_glass,
        to=to,
        now=now,
        wake=wake,
    )
    decided = _refusal(click) or _carry_out(click)
    _record(click, decided)
    return decided


def _refusal(click: _Click) -> Decided | None:
    for look in (_unfit, _late, _denied, _incomplete):
        if refused := look(click):
            return refused
    return None


def _unfit(click: _Click) -> Decided | None:
    choices = click.ask.choices
    if click.choice not in choices:
        typed = one_line(click.choice, 40)
        return click.answer(Verdict.UNKNOWN, f"{typed!r} is no answer to this: {listed(choices)} is.")
    if click.break_glass and (click.ask.kind, click.choice) != (AskKind.GATE, APPROVE):
        return click.answer(Verdict.UNKNOWN, "Only a gate can be passed by breaking the glass.")
    return None


def _late(click: _Click) -> Decided | None:
    ask, now = click.ask, click.now
    if ask.state == VOID:
        why = f" ({one_line(ask.reason)})" if ask.reason else ""
        return click.answer(Verdict.LATE, f"Too late: this question is void{why}. See what is asked now.")
    if ask.state == CLOSED:
        said = {vote.person: vote.choice for vote in asks.votes_of(click.connection, ask.id)}
        if said.get(click.by.id) == click.choice:
            return click.answer(
                Verdict.DUPLICATE, f"You said that already; it was decided: {_ending(click)}."
            )
        return click.answer(Verdict.LATE, f"Too late: {_ending(click)}.")
    if click.run.over and ask.kind != AskKind.REVIEW:
        return click.answer(Verdict.LATE, f"Too late: the run is over ({click.run.state}).")
    # The clock may not have been here yet; to approve is too late all the same.
    if ask.deadline is not None and now >= ask.deadline:
        return click.answer(Verdict.LATE, f"Too late: this expired at {show_time(ask.deadline, now)}.")
    return None


def _ending(click: _Click) -> str:
    ask = click.ask
    when = show_time(ask.closed_at, click.now) if ask.closed_at else "some time"
    who = ask.answered_name or ask.answered_by
    said = f"{who} answered {ask.answer} at {when}" if who else f"{ask.answer} by itself at {when}"
    return f"{said} ({one_line(ask.reason)})" if ask.reason else said


def _denied(click: _Click) -> Decided | None:
    ask, by = click.ask, click.by
    if ask.kind == AskKind.REVIEW and by.id == ask.spec["not"]:
        return click.answer(
            Verdict.DENIED, "You broke the glass: a second person has to look at why, and say so."
        )
    if click.break_glass:
        return None
    named = permitted(ask)
    asks_somebody = named or ask.kind == AskKind.GATE
    if asks_somebody and not click.holds.intersection(named):
        return click.answer(Verdict.DENIED, f"Only {listed(named) if named else 'nobody'} may answer this.")
    approves = ask.kind == AskKind.GATE and click.choice == APPROVE
    if approves and ask.spec.get("requester_may_approve") is not True:
        return _one_person(click)
    return None


def _one_person(click: _Click) -> Decided | None:
    run = click.run
    if click.by.id == run.requester_id:
        return click.answer(Verdict.DENIED, "You asked for this run: somebody else has to approve it.")
    if is_login(run.requester_kind, run.requester_id):
        return click.answer(
            Verdict.DENIED,
            f"Nobody knows who {run.requester_id} is, who asked for this run at the terminal: it may be you. "
            "Cancel it, and ask for it in Slack.",
        )
    return None


def _incomplete(click: _Click) -> Decided | None:
    ask = click.ask
    if not click.reason and (click.break_glass or (ask.kind, click.choice) in _NEED_REASON):
        what = "break the glass" if click.break_glass else click.choice
        return click.answer(Verdict.REASON_NEEDED, f"Say why: {what} needs a reason.")
    proof = ask.kind == AskKind.MANUAL and click.choice == "done" and ask.spec.get("evidence") == "required"
    if proof and not click.evidence:
        return click.answer(Verdict.REASON_NEEDED, "Say what shows that it is done: evidence is required.")
    if click.choice == ASSIGN and click.to is None:
        return click.answer(Verdict.REASON_NEEDED, "Say who is to do it.")
    return None


def _carry_out(click: _Click) -> Decided:
    if click.ask.kind == AskKind.GATE and click.choice == APPROVE:
        return _break_glass(click) if click.break_glass else _approve(click)
    if click.choice == ASSIGN and click.to is not None:
        return _assign(click, click.to)
    # In place of an approval of the same person, if there is one: who rejects has changed their mind.
    asks.put_vote(click.connection, _vote(click))
    return _close(click, f"Done: you answered {click.choice}.")


def _approve(click: _Click) -> Decided:
    added = asks.add_vote(click.connection, _vote(click))
    count, quorum = _approvals(click), int(click.ask.spec["quorum"])
    if not added:
        return click.answer(Verdict.DUPLICATE, f"You approved it already: {count} of {quorum} so far.")
    if count < quorum:
        # The run counts as well, on its card, and sees whether the plan is still what was approved.
        click.wake(click.connection, click.run.id)
        return click.answer(Verdict.COUNTED, f"Your approval counts: {count} of {quorum} so far.")
    return _close(click, f"Approved: {count} of {quorum}.")


def _break_glass(click: _Click) -> Decided:
    ask = click.ask
    asks.put_vote(click.connection, _vote(click))
    review = Question(
        run=ask.run,
        path=ask.path,
        kind=AskKind.REVIEW,
        title=f"Why {click.by.name} passed {ask.title!r} alone",
        choices=(REVIEWED,),
        spec={"not": click.by.id, "name": click.by.name, "reason": click.reason, "ask": ask.id},
        digest=ask.digest,
        channel=ask.channel,
        round=ask.round,
    )
    opened, _ = asks.open_ask(click.connection, review, click.now)
    decided = _close(click, "Approved by breaking the glass. A second person has to review it.")
    details = {"ask": opened.id, "of": ask.id}
    event = _event(click.by, "review.opened", decided, click.now, details, click.run, ask)
    audit.append(click.connection, event)
    return decided


def _assign(click: _Click, to: Person) -> Decided:
    assignee = {"id": to.id, "name": to.name, "by": click.by.name}
    spec = {**click.ask.spec, "assignee": assignee}
    asks.hand_over(click.connection, click.ask.id, spec, click.now)
    click.wake(click.connection, click.run.id)
    return click.answer(Verdict.COUNTED, f"Handed over to {to.name}.")


def _close(click: _Click, text: str) -> Decided:
    closed = asks.close_ask(
        click.connection,
        click.ask.id,
        answer=click.choice,
        at=click.now,
        by=click.by,
        reason=click.reason,
        evidence=click.evidence,
    )
    if closed is None:
        raise RuntimeError(f"{click.ask.id} was closed by somebody while it was held")
    if click.ask.kind != AskKind.REVIEW:  # the run does not wait for that one, and may be over
        click.wake(click.connection, click.run.id)
    return click.answer(Verdict.CLOSED, text)


def _vote(click: _Click) -> VoteRow:
    return VoteRow(
        ask=click.ask.id,
        person=click.by.id,
        name=click.by.name,
        kind=click.by.kind,
        choice=click.choice,
        reason=click.reason,
        break_glass=click.break_glass,
        at=click.now,
    )


def _approvals(click: _Click) -> int:
    return sum(vote.choice == APPROVE for vote in asks.votes_of(click.connection, click.ask.id))


def _record(click: _Click, decided: Decided) -> None:
    ask = click.ask
    details: dict[str, Any] = {
        "ask": ask.id,
        "round": ask.round,
        "choice": click.choice,
        "via": click.by.kind,
        "said": decided.text,
    }
    if ask.digest:
        details["digest"] = ask.digest
    if ask.kind == AskKind.GATE:
        details["approvals"] = f"{_approvals(click)} of {ask.spec['quorum']}"
        details["holds"] = sorted(click.holds)
    for name in ("reason", "evidence"):
        if said := getattr(click, name):
            details[name] = said
    if click.to is not None:
        details["to"] = {"id": click.to.id, "name": click.to.name}
    known = click.choice if click.choice in ask.choices else "unknown"
    action = f"{ask.kind}.{'break-glass' if click.break_glass else known}"
    audit.append(click.connection, _event(click.by, action, decided, click.now, details, click.run, ask))


def _event(
    by: Person,
    action: str,
    decided: Decided,
    now: datetime,
    details: dict[str, Any],
    run: RunRow | None = None,
    ask: AskRow | None = None,
) -> Event:
    subject = f"{run.runbook} {ask.path}" if run and ask else ""
    if ask is not None:
        details = nameless(details, {ask.answered_name: ask.answered_by, by.name: by.id})
    about = {"runbook": run.runbook, "targets": targets_of(run.plan)} if run else {}
    return done_by(
        by,
        action,
        _OUTCOMES[decided.outcome],
        object=subject,
        correlation=decided.run,
        details=details,
        at=now,
        **about,
    )
