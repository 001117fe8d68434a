"""What becomes of an alert wakes its ladder; what does not arrive is an alert itself."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from runbooks.records import alerts as rows
from runbooks.records import ladders
from runbooks.records.alerts import Alert, Change, Severity
from runbooks.records.ladders import ALERT
from runbooks.watch.alerts import Alerts
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.life import What
from runbooks.watch.settle import MAINT
from runbooks.watch.signal import Seen, Signal

#: What a notice that does not arrive is known by.
UNDELIVERED = "undelivered"
_BEGINNINGS = frozenset({What.OPENED, What.REOPENED})
#: What is no reason to look at the ladder.
_NO_MATTER = frozenset({What.FLAPPING, What.CALM, What.STALE, What.SEEN})


class Escalating:
    """Follows every alert: its ladder begins, and looks at it whenever it changes."""

    def follow(self, connection: Any, alert: Alert, change: Change) -> None:
        """Begins or wakes the ladder. One that stands in a storm has none: the storm has."""
        if alert.storm or change.what in _NO_MATTER:
            return
        if change.what in _BEGINNINGS:
            ladders.begin_again(connection, ALERT, alert.id, change.at)
        else:
            ladders.wake(connection, ALERT, alert.id, change.at)


class Undelivered:
    """Makes an alert of what does not arrive, and ends it when something does."""

    def __init__(self, alerts: Alerts, channel: str, now: Callable[[], datetime]) -> None:
        """`channel`: where such alerts are shown; it should be one that nothing else depends on."""
        self._alerts = alerts
        self._channel = channel
        self._now = now

    def failed(self, connection: Any, kind: str, target: str, why: str) -> None:
        """Something for that target was given up."""
        self._alerts.ingest(connection, [self._signal(kind, target, Seen.BAD, why)])

    def arrived(self, connection: Any, kind: str, target: str) -> None:
        """Something for that target arrived."""
        mark = _mark(kind, target)
        found = rows.newest(connection, [mark]).get(mark)
        if found is not None and found.is_open:
            self._alerts.ingest(connection, [self._signal(kind, target, Seen.WELL, "it arrives again")])

    def _signal(self, kind: str, target: str, seen: Seen, why: str) -> Signal:
        return Signal(
            fingerprint=_mark(kind, target),
            source=MAINT,
            seen=seen,
            at=self._now(),
            severity=Severity.WARNING,
            title=f"Notices do not arrive: {kind} to {target}",
            summary=why,
            channel=self._channel,
            labels={UNDELIVERED: kind, "to": target},
        )


def _mark(kind: str, target: str) -> str:
    return fingerprint(MAINT, {UNDELIVERED: kind, "to": target})
