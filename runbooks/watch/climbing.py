"""Climbs the ladders that are due: each move is one transaction, and what it tells is in the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog

from runbooks.engine.events import of_run
from runbooks.engine.hold import Database
from runbooks.records import asks, audit, ladders, overrides, subjects
from runbooks.records.asks import Transaction
from runbooks.records.audit import Event, Outcome, done_by
from runbooks.records.ladders import ALERT, LadderRow
from runbooks.records.notices import ACKNOWLEDGE, RESOLVE
from runbooks.records.person import Person
from runbooks.records.subjects import Subject
from runbooks.watch.escalation import Acknowledge, Move, Resolve, Tell, climb
from runbooks.watch.policies import Level, Router, Way, is_worse, on_call_at
from runbooks.watch.rotations import Rotation, on_call
from runbooks.watch.telling import Called, tell, tell_services
from runbooks.watch.written import NOBODY, begun, ladder_of, read_policy, row_of, written

log = structlog.get_logger()

#: Moves of one ladder in a row: levels may be told at the same moment, but not for ever.
_MOST_MOVES = 20


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What maint.yaml says. `services`: the kind of each; `channel`: where what has no channel is told."""

    router: Router
    rotations: Mapping[str, Rotation]
    services: Mapping[str, str]
    channel: str = ""


class Climber:
    """The sentry's duty towards ladders."""

    name = "escalation"

    def __init__(
        self, database: Database, setup: Setup, by: Person, told: Callable[[], None] = lambda: None
    ) -> None:
        """`by`: who stands in the audit log for what nobody asked for. `told` is called after moves: there is
        something to deliver and to draw."""
        self._database = database
        self._setup = setup
        self._by = by
        self._told = told

    def due(self, connection: Transaction, now: datetime) -> Sequence[tuple[str, str]]:
        """The ladders to look at now: what each is about, and the id of that."""
        return ladders.due(connection, now)

    async def attend(self, item: tuple[str, str], now: datetime) -> None:
        """Makes every move of that ladder that is due. Raises RecordsError."""
        about, subject = item
        moves = 0
        while moves < _MOST_MOVES and await self._database.write(
            partial(self.move, about=about, subject=subject, now=now)
        ):
            moves += 1
        if moves:
            self._told()

    def move(self, connection: Transaction, about: str, subject: str, now: datetime) -> bool:
        """One move of that ladder, within the caller's transaction; False when none was due."""
        found = subjects.take(connection, about, subject, now)
        row = ladders.take(connection, about, subject)
        if row is None or row.ended or row.wake_at is None or row.wake_at > now:
            return False
        if found is None:
            ladders.keep(connection, replace(row, ended=True, wake_at=None))
            return False
        row = self._chosen(row, found, now)
        move = climb(ladder_of(row), found.state, now, found.asleep_until)
        # After a deed there may be another, at once; but one that is over is never looked at again.
        again = move.wake_at if move.deed is None or move.ladder.over else now
        ladders.keep(connection, row_of(row, move.ladder, again))
        if isinstance(move.deed, Tell):
            self._tell(connection, found, row, move, now)
        elif move.deed is not None:
            self._end(connection, found, row, move.deed, now)
        return move.deed is not None

    def _chosen(self, row: LadderRow, found: Subject, now: datetime) -> LadderRow:
        """The row with its policy: looked up at the first step, and again when the trouble is worse."""
        severity = found.trouble.severity
        if row.plan and not is_worse(severity, row.severity):
            return row
        router = self._setup.router
        way = Way(policy=row.policy, ladder=router.policies.get(row.policy))
        way = way if found.ask is not None else router.way(found.trouble, now)
        name, policy = way.policy, way.ladder
        if row.plan and name == row.policy:
            return replace(row, severity=severity)
        plan = written(policy) if policy else NOBODY
        fresh = begun(policy, now if row.plan else row.due_at)
        turn = row.turn + 1 if row.plan else row.turn
        chosen = replace(row, policy=name, severity=severity, plan=plan)
        return row_of(
            chosen, replace(fresh, turn=turn, rests=row.rests, acknowledged=row.acknowledged), row.wake_at
        )

    def _tell(
        self, connection: Transaction, found: Subject, row: LadderRow, move: Move, now: datetime
    ) -> None:
        deed, policy = move.deed, read_policy(row.plan)
        assert isinstance(deed, Tell)
        assert policy is not None  # or there would be no level
        level = policy.levels[deed.level]
        called = self._called(connection, level, now)
        channel = self._setup.router.way(found.trouble, now).channel or self._setup.channel
        sent = tell(
            connection,
            found,
            deed,
            level,
            called,
            policy=row.policy,
            services=self._setup.services,
            channel=channel,
            now=now,
        )
        details = {
            "policy": row.policy,
            "level": deed.level + 1,
            "round": deed.round + 1,
            "turn": deed.turn + 1,
            "who": ", ".join(_named(each) for each in called),
            "by": ", ".join(level.by),
            "notices": sent,
        }
        if found.about == ALERT:
            subjects.note_level(
                connection,
                found.id,
                policy=row.policy,
                level=deed.level + 1,
                round_=deed.round,
                next_at=None if move.ladder.exhausted else move.ladder.due_at,
                who=str(details["who"]),
                at=now,
            )
        elif found.ask is not None:
            people = [each.person for each in called if not on_call_at(each.entry)]
            asks.admit(connection, found.ask, people)
        # The log comes last: who has written to it waits for nobody any more.
        audit.append(connection, self._event(found, "escalated", now, details))

    def _end(
        self,
        connection: Transaction,
        found: Subject,
        row: LadderRow,
        deed: Acknowledge | Resolve,
        now: datetime,
    ) -> None:
        action = ACKNOWLEDGE if isinstance(deed, Acknowledge) else RESOLVE
        sent = tell_services(connection, found, action, row.turn, now)
        if found.about == ALERT:
            subjects.rest_level(connection, found.id)
        if row.told:
            details = {"policy": row.policy, "notices": sent, "why": action}
            audit.append(connection, self._event(found, "escalation.ended", now, details))

    def _called(self, connection: Transaction, level: Level, now: datetime) -> Sequence[Called]:
        rotations = self._setup.rotations
        coming = overrides.coming(connection, now) if set(level.who) & set(rotations) else {}
        return [
            Called(
                entry=entry,
                person=on_call(rotations[entry], now, coming.get(entry, ())).person
                if entry in rotations
                else entry,
            )
            for entry in level.who
        ]

    def _event(self, found: Subject, what: str, now: datetime, details: Mapping[str, object]) -> Event:
        if found.run is not None:
            return of_run(self._by, f"ask.{what}", found.run, "ok", now, {"ask": found.id, **details})
        trouble = found.trouble
        return done_by(
            self._by,
            f"alert.{what}",
            Outcome.OK,
            object=found.id,
            correlation=found.id,
            runbook=trouble.runbook,
            targets=(trouble.target,) if trouble.target else (),
            details=details,
            at=now,
        )


def _named(called: Called) -> str:
    if called.person == called.entry or on_call_at(called.entry):
        return called.entry
    return f"{called.entry} ({called.person})"
