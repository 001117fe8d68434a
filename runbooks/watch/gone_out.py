"""Whether digests go out: takes note of those that stand in Slack, and raises an alert for one that is late.

Late is what does not stand in Slack so long after its time, whatever was the matter: Maint was not there, a
system did not answer, Slack did not. The alert is over when a digest of the same schedule is out again.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from runbooks.engine.hold import Database
from runbooks.records import reports
from runbooks.records.alerts import Severity, hold
from runbooks.records.reports import Awaited, Kind
from runbooks.spec.model import show_duration
from runbooks.watch.alerts import Alerts
from runbooks.watch.entries import Entry
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.reporter import Heart, Silence
from runbooks.watch.settle import MAINT
from runbooks.watch.signal import Seen, Signal

_OUT, _LATE = "out", "late"


class GoneOut:
    """The sentry's duty towards digests. What it is asked every second are two small indexes."""

    name = "digests"

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        schedules: Mapping[str, Entry],
        *,
        channel: str = "",
        heart: Heart | None = None,
        told: Callable[[], None],
    ) -> None:
        """`schedules`: what is on one, by its id. `channel`: where the alert is shown, in place of
        that of the digest, which may be what does not work."""
        self._database = database
        self._alerts = alerts
        self._schedules = schedules
        self._channel = channel
        self._heart = heart or Silence()
        self._told = told

    def due(self, connection: Any, now: datetime) -> Sequence[tuple[str, str]]:
        """The reports that are out, and the ticks that are late."""
        out = [(_OUT, id_) for id_ in reports.to_note(connection)]
        return [*out, *((_LATE, tick) for tick in reports.late(connection, now))]

    async def attend(self, item: tuple[str, str], now: datetime) -> None:
        """Takes note of it, if nobody else did."""
        what, id_ = item
        if what == _OUT:
            await self._note(id_, now)
        elif await self._database.write(partial(self._raise, tick=id_, now=now)):
            self._told()

    async def _note(self, report: str, now: datetime) -> None:
        def noted(connection: Any) -> tuple[bool, bool]:
            # Alerts first: whoever changes them holds their lock before any other.
            hold(connection)
            found = reports.note(connection, report, now)
            if found is None or found[0].kind not in (Kind.DIGEST, Kind.WEEKLY):
                return False, False
            row, late = found
            if not row.schedule:
                return True, False
            signals = [_signal(row.schedule, row.runbook, Seen.WELL, now)]
            if late is not None:  # it was out before anybody saw that it is late
                signals += self._bad(late, now - timedelta(milliseconds=1))
            return True, self._alerts.ingest(connection, signals)

        went_out, changed = await self._database.write(noted)
        if went_out:
            self._heart.success()
        if changed:
            self._told()

    def _raise(self, connection: Any, tick: str, now: datetime) -> bool:
        hold(connection)
        awaited = reports.take_late(connection, tick, now)
        return awaited is not None and self._alerts.ingest(connection, self._bad(awaited, now))

    def _bad(self, awaited: Awaited, at: datetime) -> list[Signal]:
        """What is said of a late one; nothing of a schedule that is in no file any more."""
        entry = self._schedules.get(awaited.schedule)
        if entry is None:
            return []
        channel = self._channel or entry.schedule.channel or entry.runbook.channel
        return [
            _signal(
                awaited.schedule,
                entry.runbook.name,
                Seen.BAD,
                at,
                summary=_summary(awaited, entry),
                owner=entry.runbook.owner,
                channel=channel,
            )
        ]


def _signal(
    schedule: str,
    runbook: str,
    seen: Seen,
    at: datetime,
    *,
    summary: str = "",
    owner: str = "",
    channel: str = "",
) -> Signal:
    labels = {"digest": schedule}
    return Signal(
        fingerprint=fingerprint(MAINT, labels),
        source=MAINT,
        seen=seen,
        at=at,
        severity=Severity.WARNING,
        title=f"The digest {schedule} did not go out",
        summary=summary,
        runbook=runbook,
        owner=owner,
        channel=channel,
        labels=labels,
    )


def _summary(awaited: Awaited, entry: Entry) -> str:
    local = awaited.local.replace("T", " ")
    zone = "" if entry.schedule.every is not None else f" {entry.schedule.timezone}"
    return f"That of {local}{zone} was not in Slack {show_duration(entry.schedule.grace)} later."
