"""Alerts, as the rest of Maint has them: what is seen goes in, people take on, put off and end them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from runbooks.engine.checks import Report
from runbooks.engine.hold import Database
from runbooks.records import alerts as rows
from runbooks.records.alerts import Alert, AlertStatus, AlertView, Wanted
from runbooks.records.person import Person
from runbooks.watch import life
from runbooks.watch.from_checks import CHECK, FromChecks
from runbooks.watch.life import Step
from runbooks.watch.settle import Move, Setting, settle
from runbooks.watch.signal import Seen, Signal

#: Alerts that are looked through for those whose check is gone.
_MANY = 10_000
#: What the end of an alert says whose check is not made any more.
NOT_CHECKED = "it is not checked any more"


class Became(StrEnum):
    """What became of what somebody asked for."""

    DONE = "done"
    ALREADY = "already"  #: it was so before
    OVER = "over"  #: the alert had ended
    NONE = "none"  #: there is no such alert


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of it, and the alert as it is now."""

    became: Became
    alert: Alert | None = None


class Alerts:
    """One for each process. Every change is one transaction, under a lock that all replicas share."""

    def __init__(
        self, database: Database, checks: FromChecks, setting: Setting, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._checks = checks
        self._setting = setting
        self._now = now
        self._changed: list[Callable[[], None]] = []

    def on_change(self, tell: Callable[[], None]) -> None:
        """`tell` is called, in the event loop, after alerts changed here."""
        self._changed.append(tell)

    def observe(self, connection: Any, report: Report) -> bool:
        """Takes in what a report found, in the transaction that keeps it; whether an alert changed."""
        return self.ingest(connection, self._checks.signals(report))

    def ingest(self, connection: Any, signals: Iterable[Signal]) -> bool:
        """Takes in what was seen, in any order, however often; whether an alert changed.

        Everything is written with the caller's transaction, which must not have written to the audit log.
        Some hundreds of signals at a time are a good measure.
        """
        # What was seen first comes first, so that a beginning and its end in one batch are both there.
        waiting = sorted(signals, key=lambda signal: (signal.key, signal.at))
        if waiting:
            rows.hold(connection)
        changed = False
        while waiting:
            now_, waiting = _one_of_each(waiting)
            found = rows.newest(connection, [signal.fingerprint for signal in now_])
            moves = [_move(found.get(signal.fingerprint), signal) for signal in now_]
            changed = settle(connection, moves, self._setting, self._now()) or changed
        return changed

    def told(self) -> None:
        """Alerts changed, and that was committed: whoever draws them is told."""
        for tell in self._changed:
            tell()

    async def view(self, id_: str) -> AlertView | None:
        """The alert, for its card."""
        return await self._database.read(partial(rows.view, id_=id_))

    async def find(self, text: str) -> tuple[Alert, ...]:
        """The alerts of that id, or whose id ends so; of several, two."""
        return await self._database.read(partial(rows.ending_in, letters=text))

    async def listed(self, wanted: Wanted) -> tuple[Alert, ...]:
        """Those alerts, the newest first."""
        return await self._database.read(partial(rows.listed, wanted=wanted))

    async def acknowledge(self, id_: str, by: Person, note: str = "") -> Answer:
        """Somebody takes it on; of a storm, all of its alerts."""

        def taken(alert: Alert, now: datetime) -> Step:
            return life.acknowledged(alert, by, now, note)

        return await self._decide(id_, by, taken, AlertStatus.ACKNOWLEDGED)

    async def snooze(self, id_: str, until: datetime, by: Person, note: str = "") -> Answer:
        """Nobody hears of it until then; of a storm, of none of its alerts."""
        return await self._decide(id_, by, lambda alert, now: life.snoozed(alert, until, by, now, note))

    async def silence(self, id_: str, until: datetime, silence: str, by: Person, note: str) -> Answer:
        """Who sends it was told to keep it back until then; `silence`: its id there."""
        return await self._decide(
            id_, by, lambda alert, now: life.silenced(alert, until, silence, by, now, note)
        )

    async def unsilence(self, id_: str, by: Person) -> Answer:
        """Its sender does not keep it back any more."""
        return await self._decide(id_, by, lambda alert, now: life.unsilenced(alert, by, now))

    async def kept_back(self, sources: Sequence[str]) -> tuple[Alert, ...]:
        """The open alerts of those sources of which nobody hears for a while."""
        return await self._database.read(partial(rows.kept_back, sources=sources))

    async def gone(self, them: Iterable[Alert]) -> None:
        """Ends what its sender has no more, and did not say so."""
        ended = [
            Signal(
                fingerprint=alert.fingerprint,
                source=alert.source,
                seen=Seen.WELL,
                at=self._now(),
                severity=alert.severity,
                title=alert.title,
                key=alert.external_key,
            )
            for alert in them
        ]

        def taken_in(connection: Any) -> bool:
            return self.ingest(connection, ended)

        if not ended:
            return
        if await self._database.write(taken_in):
            self.told()

    async def resolve(self, id_: str, by: Person, reason: str) -> Answer:
        """Somebody says that it is over; of a storm, all of it. What is still bad opens anew."""
        return await self._decide(id_, by, lambda alert, now: life.resolved(alert, by, now, reason))

    async def let_go(self, targets: Iterable[str]) -> int:
        """Ends the alerts of checks that are in no runbook any more, or whose target is not; how many."""
        there = frozenset(targets)

        def ended(connection: Any) -> int:
            rows.hold(connection)
            now = self._now()
            gone = [
                Move(alert, life.resolved(alert, None, now, NOT_CHECKED))
                for alert in rows.listed(connection, Wanted(limit=_MANY))
                if alert.source == CHECK
                and not (self._checks.has(alert.runbook, alert.step) and alert.target in there)
            ]
            settle(connection, gone, self._setting, now)
            return len(gone)

        return await self._database.write(ended)

    async def _decide(
        self,
        id_: str,
        by: Person,
        decision: Callable[[Alert, datetime], Step],
        already: AlertStatus | None = None,
    ) -> Answer:
        def decided(connection: Any) -> Answer:
            rows.hold(connection)
            alert, now = rows.by_id(connection, id_), self._now()
            if alert is None or alert.status == AlertStatus.PENDING:
                return Answer(became=Became.NONE)
            if not alert.is_open:
                return Answer(became=Became.OVER, alert=alert)
            if alert.status == already:
                return Answer(became=Became.ALREADY, alert=alert)
            members = [each for each in rows.members_of(connection, id_) if each.status != already]
            moves = [Move(each, decision(each, now)) for each in (*members, alert)]
            settle(connection, moves, self._setting, now, by)
            return Answer(became=Became.DONE, alert=rows.by_id(connection, id_))

        answer = await self._database.write(decided)
        if answer.became is Became.DONE:
            self.told()
        return answer


class Waking:
    """The sentry's duty towards alerts: one whose snooze is over fires again."""

    name = "alerts"

    def __init__(self, database: Database, setting: Setting, told: Callable[[], None]) -> None:
        self._database = database
        self._setting = setting
        self._told = told

    def due(self, connection: Any, now: datetime) -> Sequence[str]:
        """The ids of those alerts."""
        return rows.due(connection, now)

    async def attend(self, item: str, now: datetime) -> None:
        """Wakes it, if it still sleeps."""

        def woken(connection: Any) -> bool:
            rows.hold(connection)
            alert = rows.by_id(connection, item)
            if alert is None:
                return False
            return settle(connection, [Move(alert, life.woken(alert, now))], self._setting, now)

        if await self._database.write(woken):
            self._told()


class Missing:
    """The sentry's duty towards alerts that nobody looks at any more: their cards say so."""

    name = "unwatched"

    def __init__(self, database: Database, setting: Setting, told: Callable[[], None]) -> None:
        self._database = database
        self._setting = setting
        self._told = told

    def due(self, connection: Any, now: datetime) -> Sequence[str]:
        """The ids of those alerts."""
        return rows.unwatched(connection, now)

    async def attend(self, item: str, now: datetime) -> None:
        """Says so, if still nobody has looked."""

        def said(connection: Any) -> bool:
            rows.hold(connection)
            alert = rows.by_id(connection, item)
            if alert is None:
                return False
            return settle(connection, [Move(alert, life.unwatched(alert, now))], self._setting, now)

        if await self._database.write(said):
            self._told()


def _one_of_each(signals: Sequence[Signal]) -> tuple[list[Signal], list[Signal]]:
    """The first of each fingerprint, and the rest."""
    first: dict[str, Signal] = {}
    rest = [each for each in signals if first.setdefault(each.fingerprint, each) is not each]
    return list(first.values()), rest


def _move(before: Alert | None, signal: Signal) -> Move:
    step = life.after(before, signal)
    goes_on = before is not None and (step.alert is None or step.alert.id == before.id)
    return Move(before if goes_on else None, step)
