"""What people are asked, and what they said: opened once, closed once, whoever comes at the same moment.

Everything here is part of the caller's transaction. Who writes an ask or a vote holds the run's row first
(`take`, or the fence of the run): two transactions that took them in different orders would wait for each
other for ever.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, and_, func, or_, select, update

from runbooks.ids import new_id
from runbooks.records import ladders
from runbooks.records.database import scrubber_of
from runbooks.records.insert import insert_into
from runbooks.records.person import Person
from runbooks.records.run_tables import asks, runs, votes
from runbooks.records.runs import AskRow, RunRow, VoteRow, as_row
from runbooks.scrub import scrubbed

#: A transaction, for those who only hand it on: what it can do is the records' business.
Transaction: TypeAlias = Connection

OPEN, CLOSED, VOID = "open", "closed", "void"
#: The answer that lets a gate pass.
APPROVE = "approve"


@dataclass(frozen=True, kw_only=True)
class Question:
    """An ask to be. `round` None: the next one of that kind at that step."""

    run: str
    path: str
    kind: str
    title: str
    choices: tuple[str, ...]
    spec: Mapping[str, Any]
    digest: str = ""
    channel: str = ""
    deadline: datetime | None = None
    remind_at: datetime | None = None
    round: int | None = None


def newest_ask(connection: Connection, run: str, path: str, kind: str) -> AskRow | None:
    """The newest ask of that kind at that step, open or not."""
    query = (
        select(asks)
        .where(asks.c.run == run, asks.c.path == path, asks.c.kind == kind)
        .order_by(asks.c.round.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return as_row(AskRow, row) if row else None


def open_ask(
    connection: Connection, question: Question, at: datetime, *, again: bool = False
) -> tuple[AskRow, bool]:
    """The ask of that run, path, kind and round, and whether it was opened now; there is never a second one.

    Without a `round`: the newest ask; a new one when there is none, or with `again` when it is not open.
    """
    wanted = question.round
    if wanted is None:
        newest = newest_ask(connection, question.run, question.path, question.kind)
        if newest is not None and (newest.state == OPEN or not again):
            return newest, False
        wanted = newest.round + 1 if newest else 1
    scrub = scrubber_of(connection)
    values = {
        "id": new_id(),
        "run": question.run,
        "path": question.path,
        "kind": question.kind,
        "round": wanted,
        "state": OPEN,
        "title": scrub(question.title),
        "choices": list(question.choices),
        "spec": scrubbed(question.spec, scrub),
        "digest": question.digest,
        "channel": question.channel,
        "opened_at": at,
        "deadline": question.deadline,
        "remind_at": question.remind_at,
        "reminded": 0,
        "answer": "",
        "answered_by": "",
        "answered_name": "",
        "reason": "",
        "evidence": "",
        "closed_at": None,
    }
    statement = insert_into(connection, asks).values(values).on_conflict_do_nothing()
    row = connection.execute(statement.returning(*asks.c)).first()
    if row is not None:
        if policy := str(question.spec.get("policy") or ""):
            ladders.begin(connection, ladders.ASK, row.id, at, policy=policy)
        return as_row(AskRow, row), True
    there = select(asks).where(
        asks.c.run == question.run,
        asks.c.path == question.path,
        asks.c.kind == question.kind,
        asks.c.round == wanted,
    )
    return as_row(AskRow, connection.execute(there).one()), False


def take(connection: Connection, ask: str) -> tuple[RunRow, AskRow] | None:
    """The run and the ask, both held until the transaction ends: nobody else decides meanwhile."""
    run = select(runs).join(asks, asks.c.run == runs.c.id).where(asks.c.id == ask)
    # Not FOR UPDATE: that would hold up whoever adds a row which only refers to the run.
    found = connection.execute(run.with_for_update(key_share=True, of=runs)).first()
    if found is None:
        return None
    row = connection.execute(select(asks).where(asks.c.id == ask).with_for_update(key_share=True)).one()
    return as_row(RunRow, found), as_row(AskRow, row)


def close_ask(
    connection: Connection,
    ask: str,
    *,
    answer: str,
    at: datetime,
    by: Person | None = None,
    reason: str = "",
    evidence: str = "",
) -> AskRow | None:
    """Closes an open ask; None when it is not open: somebody else was first. `by` None: by itself."""
    scrub = scrubber_of(connection)
    statement = (
        update(asks)
        .where(asks.c.id == ask, asks.c.state == OPEN)
        .values(
            state=CLOSED,
            answer=answer,
            answered_by=by.id if by else "",
            answered_name=scrub(by.name) if by else "",
            reason=scrub(reason),
            evidence=scrub(evidence),
            closed_at=at,
            remind_at=None,
        )
    )
    row = connection.execute(statement.returning(*asks.c)).first()
    if row is not None:
        ladders.wake(connection, ladders.ASK, ask, at)
    return as_row(AskRow, row) if row else None


def void(connection: Connection, ask: str, reason: str, at: datetime) -> AskRow | None:
    """Voids an ask with every vote of it, when it is open, or was approved; None when it is neither.

    What was answered otherwise stands: no change of a plan undoes a rejection.
    """
    approved = and_(asks.c.state == CLOSED, asks.c.answer == APPROVE)
    statement = (
        update(asks)
        .where(asks.c.id == ask, or_(asks.c.state == OPEN, approved))
        .values(
            state=VOID,
            reason=scrubber_of(connection)(reason),
            closed_at=func.coalesce(asks.c.closed_at, at),
            remind_at=None,
        )
    )
    row = connection.execute(statement.returning(*asks.c)).first()
    if row is not None:
        ladders.wake(connection, ladders.ASK, ask, at)
    return as_row(AskRow, row) if row else None


def void_open(connection: Connection, run: str, reason: str, at: datetime) -> None:
    """Nobody is asked any more what was open in that run; a review of a broken glass stays."""
    connection.execute(
        update(asks)
        .where(asks.c.run == run, asks.c.state == OPEN, asks.c.kind != "review")
        .values(state=VOID, reason=scrubber_of(connection)(reason), closed_at=at, remind_at=None)
    )
    ladders.wake_of_run(connection, run, at)


def add_vote(connection: Connection, vote: VoteRow) -> bool:
    """Notes what a person said. False when that person said something to this ask before: that stands."""
    statement = insert_into(connection, votes).values(_vote(connection, vote)).on_conflict_do_nothing()
    return connection.execute(statement.returning(votes.c.ask)).first() is not None


def put_vote(connection: Connection, vote: VoteRow) -> None:
    """Notes what a person said, in place of what the same person said before."""
    values = _vote(connection, vote)
    statement = insert_into(connection, votes).values(values)
    keys = [votes.c.ask, votes.c.person]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def votes_of(connection: Connection, ask: str) -> tuple[VoteRow, ...]:
    """What people said to an ask, in order."""
    query = select(votes).where(votes.c.ask == ask).order_by(votes.c.at, votes.c.person)
    return tuple(as_row(VoteRow, row) for row in connection.execute(query))


def hand_over(connection: Connection, ask: str, spec: Mapping[str, Any], at: datetime) -> AskRow | None:
    """Changes who is expected to answer, and makes a reminder due; None when the ask is not open."""
    statement = (
        update(asks)
        .where(asks.c.id == ask, asks.c.state == OPEN)
        .values(spec=scrubbed(spec, scrubber_of(connection)), remind_at=at)
    )
    row = connection.execute(statement.returning(*asks.c)).first()
    return as_row(AskRow, row) if row else None


def admit(connection: Connection, ask: AskRow, holders: Iterable[str]) -> None:
    """Those may answer as well from now on, for as long as it is open. Who writes this holds the ask."""
    also = dict.fromkeys([*ask.spec.get("also", ()), *holders])
    statement = update(asks).where(asks.c.id == ask.id, asks.c.state == OPEN)
    connection.execute(statement.values(spec={**ask.spec, "also": list(also)}))


def reminded(connection: Connection, ask: AskRow, next_at: datetime | None) -> bool:
    """Counts a reminder, and notes when the next is due. False when it was sent already, or is not open:
    only who gets True posts it."""
    statement = (
        update(asks)
        .where(asks.c.id == ask.id, asks.c.state == OPEN, asks.c.reminded == ask.reminded)
        .values(reminded=ask.reminded + 1, remind_at=next_at)
    )
    return connection.execute(statement.returning(asks.c.id)).first() is not None


def due_reminders(connection: Connection, now: datetime, limit: int = 100) -> tuple[AskRow, ...]:
    """The open asks whose reminder is due, those that wait longest first."""
    query = (
        select(asks)
        .where(asks.c.state == OPEN, asks.c.remind_at <= now)
        .order_by(asks.c.remind_at, asks.c.id)
        .limit(limit)
    )
    return tuple(as_row(AskRow, row) for row in connection.execute(query))


def open_asks(connection: Connection, kinds: Iterable[str] = (), limit: int = 100) -> tuple[AskRow, ...]:
    """What people are asked at this moment, of those kinds if any are given, oldest first."""
    wanted = tuple(kinds)
    query = select(asks).where(asks.c.state == OPEN).order_by(asks.c.opened_at, asks.c.id).limit(limit)
    found = connection.execute(query.where(asks.c.kind.in_(wanted)) if wanted else query)
    return tuple(as_row(AskRow, row) for row in found)


def _vote(connection: Connection, vote: VoteRow) -> dict[str, Any]:
    scrub = scrubber_of(connection)
    return {
        "ask": vote.ask,
        "person": vote.person,
        "name": scrub(vote.name),
        "kind": vote.kind,
        "choice": vote.choice,
        "reason": scrub(vote.reason),
        "break_glass": vote.break_glass,
        "at": vote.at,
    }
