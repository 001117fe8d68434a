"""What a step may remember from one time to the next: the one door from a step to the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from runbooks.records.step_memory import Remembered


@dataclass(frozen=True, kw_only=True)
class History:
    """What checks of one kind have measured on one target: of `count` numbers. `points`: some of them over
    time, oldest first."""

    count: int = 0
    mean: float = 0.0
    p95: float = 0.0
    low: float = 0.0
    high: float = 0.0
    points: Sequence[tuple[datetime, float]] = ()


class Memory(Protocol):
    """Values of JSON's types, by the step's kind, its target, and a name for what it is. Secrets in them are
    blanked out. Kept for 400 days. All raise RecordsError when the database does not answer."""

    async def remember(self, kind: str, target: str, name: str, value: Any) -> None:
        """Keeps it, as it is now."""

    async def last(
        self, kind: str, target: str, name: str, before: datetime | None = None
    ) -> "Remembered | None":
        """The newest one, if there is any."""

    async def recent(self, kind: str, target: str, name: str, limit: int) -> "Sequence[Remembered]":
        """The newest ones, the newest first."""

    async def measured(self, kind: str, target: str, since: datetime) -> History:
        """What checks of that kind, of whichever runbook, have measured on that target since then."""


class Forgetful:
    """The memory where there is no database: nothing is remembered, and nothing ever was."""

    async def remember(self, kind: str, target: str, name: str, value: Any) -> None:
        """Forgets it."""

    async def last(
        self,
        kind: str,  # noqa: ARG002 - as Memory has it
        target: str,  # noqa: ARG002
        name: str,  # noqa: ARG002
        before: datetime | None = None,  # noqa: ARG002
    ) -> "Remembered | None":
        """Nothing."""
        return None

    async def recent(self, kind: str, target: str, name: str, limit: int) -> "Sequence[Remembered]":  # noqa: ARG002
        """Nothing."""
        return ()

    async def measured(self, kind: str, target: str, since: datetime) -> History:  # noqa: ARG002
        """Nothing."""
        return History()
