"""What keeps alerts back at whoever sends them, as the commands see it."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from runbooks.errors import UsageError
from runbooks.records.alerts import Alert


class Silencer(Protocol):
    """Makes and ends silences where alerts come from. `sources`: those that it reaches."""

    @property
    def sources(self) -> Collection[str]: ...

    async def silence(self, alert: Alert, until: datetime, by: str, why: str) -> str:
        """Keeps back what has all labels of that alert; the silence's id. Raises MaintError."""
        ...

    async def expire(self, alert: Alert, silence: str) -> None:
        """Ends it now, if it has not ended. Raises MaintError."""
        ...


class NoSilences:
    """Where nothing that sends alerts can be asked."""

    sources: Collection[str] = ()

    async def silence(self, alert: Alert, until: datetime, by: str, why: str) -> str:
        """Says that it cannot."""
        raise UsageError(f"Nothing that sends alerts can be silenced here, {alert.source} neither.")

    async def expire(self, alert: Alert, silence: str) -> None:
        """Says that it cannot."""
        raise UsageError(f"Nothing that sends alerts can be asked here, {alert.source} neither.")
