"""Alerts and questions in a real database, a clock that stands still, and who climbs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from runbooks.records import ladders, notices
from runbooks.records.alerts import Alert, Wanted
from runbooks.records.audit import Filter
from runbooks.records.ladders import LadderRow
from runbooks.records.notices import NoticeRow
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.watch.alerts import Alerts
from runbooks.watch.climbing import Climber, Setup
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.following import Escalating, Undelivered
from runbooks.watch.from_checks import FromChecks
from runbooks.watch.policies import Escalation, Router, make_router
from runbooks.watch.rotations import Rotation
from runbooks.watch.settle import Setting
from runbooks.watch.signal import Seen, Signal

T = TypeVar("T")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MAINT = Person(kind="maint", id="bastion", name="Maint")
ANN = Person(kind="slack", id="UANN", name="Ann", team="T1")

ESCALATION: dict[str, Any] = {
    "policies": {
        "down": {
            "levels": [
                {"who": ["devops", "UBOSS"], "by": ["mention", "page"]},
                {"who": "ops", "by": ["mention", "dm", "mail"], "after": "15m"},
                {"who": "pd:PABC123", "by": ["mention", "hook"], "after": "30m"},
            ],
            "repeat": 1,
            "every": "30m",
        },
        "mild": {"levels": [{"who": "devops"}, {"who": "UBOSS", "after": "1h"}]},
        "approvals": {
            "levels": [
                {"who": "ops", "after": "15m"},
                {"who": "devops", "by": ["mention", "page"], "after": "1h"},
            ]
        },
    },
    "routes": [
        {"severity": "critical", "policy": "down"},
        {"severity": "warning", "policy": "mild"},
    ],
}
STATUSES = ("firing", "acknowledged", "snoozed", "resolved")
SERVICES = {"pd": "pagerduty", "og": "opsgenie", "mail": "email", "hook": "webhook"}


def router(said: dict[str, Any] | None = None) -> Router:
    return make_router(Escalation.model_validate(said or ESCALATION), Escalation())


def rotation() -> Rotation:
    """Ann has the week of NOON (a Sunday), Bob the next."""
    return Rotation.model_validate(
        {"people": ["UANN", "UBOB"], "hand_over": "Monday 09:00", "since": "2026-11-16"}
    )


@dataclass
class World:
    """What one process has, and the time that all share."""

    records: Records
    said: dict[str, Any] | None = None
    now: datetime = NOON
    nudges: int = 0
    alerts: Alerts = field(init=False)
    undelivered: Undelivered = field(init=False)

    def __post_init__(self) -> None:
        setting = Setting(route=lambda alert: alert.channel or "alerts", by=MAINT, followers=(Escalating(),))
        self.alerts = Alerts(self.records, FromChecks({}), setting, lambda: self.now)
        self.undelivered = Undelivered(self.alerts, "fallback", lambda: self.now)

    def climber(self) -> Climber:
        """One of this moment: nothing of the one before is known to it."""
        setup = Setup(router=router(self.said), rotations={"ops": rotation()}, services=SERVICES)

        def nudge() -> None:
            self.nudges += 1

        return Climber(self.records, setup, MAINT, nudge)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self.records.write(work)

    async def see(self, seen: Seen = Seen.BAD, severity: str = "critical", **more: Any) -> None:
        """The check of `app` found something."""
        signal = Signal(
            fingerprint=fingerprint("check", {"target": "app"}),
            source="check",
            seen=seen,
            at=self.now,
            severity=severity,
            title="app is down",
            summary="connection refused",
            runbook="health",
            step="app",
            target="app",
            **more,
        )
        await self.write(lambda connection: self.alerts.ingest(connection, [signal]))

    async def alert(self) -> Alert:
        """The newest."""
        return (await self.alerts.listed(Wanted(statuses=("firing", "acknowledged", "snoozed", "resolved"))))[
            0
        ]

    async def sweep(self, climber: Climber | None = None) -> int:
        """Does what is due now; how many ladders were looked at."""
        climber = climber or self.climber()
        due = await self.records.read(partial(climber.due, now=self.now))
        for item in due:
            await climber.attend(item, self.now)
        return len(due)

    async def pass_(self, time: timedelta, *, step: timedelta = MINUTE) -> None:
        """Time goes by, and somebody looks every so often."""
        end = self.now + time
        while self.now < end:
            self.now = min(end, self.now + step)
            await self.sweep()

    async def both(self) -> None:
        """Two replicas look at the same moment."""
        await asyncio.gather(self.sweep(), self.sweep())

    async def notices(self) -> tuple[NoticeRow, ...]:
        """Everything that was to be told, in order."""
        about, subject = await self.subject()
        return await self.records.read(partial(notices.of_subject, about=about, subject=subject))

    async def notices_of(self, about: str) -> tuple[NoticeRow, ...]:
        """The same of every alert that there was."""
        found: list[NoticeRow] = []
        for alert in await self.alerts.listed(Wanted(statuses=STATUSES)):
            found += await self.records.read(partial(notices.of_subject, about=about, subject=alert.id))
        return tuple(found)

    async def told(self) -> list[tuple[str, str, str]]:
        """The same as kind, target and action."""
        return [(row.kind, row.target, str(row.body["action"])) for row in await self.notices()]

    async def ladder(self) -> LadderRow:
        about, subject = await self.subject()
        row = await self.records.read(partial(ladders.find, about=about, subject=subject))
        assert row is not None
        return row

    async def subject(self) -> tuple[str, str]:
        return "alert", (await self.alert()).id

    async def levels(self) -> list[tuple[int, int, int]]:
        """The levels that the audit log has: turn, round, level; oldest first."""
        events = [
            each.event for each in await self.records.events(Filter(action="alert.escalated"), limit=500)
        ]
        found = [(e.details["turn"], e.details["round"], e.details["level"]) for e in reversed(events)]
        return [(int(turn), int(round_), int(level)) for turn, round_, level in found]
