"""What others hang onto alerts: where their cards go, and who else hears what becomes of them."""

from collections.abc import Callable
from typing import Any, Protocol

from runbooks.records.alerts import Alert, Change

#: The channel of an alert's card, a name from maint.yaml or an id; empty: it has no card.
Route = Callable[[Alert], str]


class Follower(Protocol):
    """Hears of every change of every alert, in the transaction that makes it; escalation is one.

    The alert is written already, and is as it stands after all changes of that transaction. A follower may
    write rows of its own, and the columns of escalation (`policy`, `level`, `level_round`, `level_at`), which
    nobody else writes. It must not write to the audit log: it returns from here, and then the log is written.
    A member of a storm (`alert.storm`) is told as well: the storm itself is an alert, of the source `maint`.
    """

    def follow(self, connection: Any, alert: Alert, change: Change) -> None:
        """Takes notice. What it raises undoes the change."""
        ...


def nowhere(_: Alert) -> str:
    """The route of alerts that have no card."""
    return ""
