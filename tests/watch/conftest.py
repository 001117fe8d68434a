"""Alerts on a database of their own, of each kind."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from runbooks.records.alerts import Alert, Change, Severity, Wanted
from runbooks.records.audit import Event
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.schema import cards
from runbooks.watch.alerts import Alerts, Missing, Waking
from runbooks.watch.damping import Damping
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.from_checks import FromChecks
from runbooks.watch.sentry import Sentry
from runbooks.watch.settle import Setting
from runbooks.watch.signal import Seen, Signal
from tests.schema import migrated_url as database_url

__all__ = ["database_url"]

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
MAINT = Person(kind="maint", id="m", name="Maint")
KIM = Person(kind="slack", id="U1", name="Kim")


@dataclass
class Heard:
    """A follower that remembers."""

    what: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False

    def follow(self, connection: Any, alert: Alert, change: Change) -> None:
        """Takes notice, or falls over."""
        if self.broken:
            raise RuntimeError("the follower fell over")
        self.what.append((alert.title, str(change.what)))


class Post:
    """One replica with a clock that stands still."""

    def __init__(self, records: Records, most_cards: int = 30) -> None:
        self.records = records
        self.now = START
        self.heard = Heard()
        self.setting = Setting(
            route=lambda alert: alert.channel or "ops",
            by=MAINT,
            followers=[self.heard],
            most_cards=most_cards,
        )
        self.alerts = Alerts(records, FromChecks({}), self.setting, lambda: self.now)
        duties = [each(records, self.setting, self.alerts.told) for each in (Waking, Missing)]
        self.sentry = Sentry(records, duties, lambda: self.now)

    async def take(self, *signals: Signal) -> bool:
        """Takes them in, in one transaction."""
        return await self.records.write(lambda connection: self.alerts.ingest(connection, signals))

    async def open(self, *statuses: str) -> tuple[Alert, ...]:
        """The open alerts, or those of the statuses."""
        return await self.alerts.listed(Wanted(statuses=statuses, limit=100_000))

    async def cards(self) -> int:
        """How many cards there are."""
        return len(await self.records.read(lambda connection: connection.execute(select(cards)).all()))

    async def events(self, action: str) -> Sequence[Event]:
        """The audit events of that kind, oldest first."""
        found = await self.records.events(limit=500)
        return [each.event for each in reversed(found) if each.event.action == f"alert.{action}"]


def signal(
    name: str = "disk", seen: Seen = Seen.BAD, minutes: float = 0, key: float | None = None, **more: Any
) -> Signal:
    """Something seen so many minutes after the start; `key`: when its sender says that it began."""
    values: dict[str, Any] = {
        "fingerprint": fingerprint("test", {"name": name}),
        "source": "check" if key is None else "hook",
        "seen": seen,
        "at": START + timedelta(minutes=minutes),
        "severity": Severity.WARNING,
        "title": name,
        "key": "" if key is None else (START + timedelta(minutes=key)).isoformat(),
        "damping": Damping(),
    }
    return Signal(**{**values, **more})


@pytest.fixture
async def post(database_url: str) -> AsyncIterator[Post]:
    """A replica."""
    records = await Records.open(database_url)
    yield Post(records)
    await records.close()
