"""How often Slack may be asked: below its limits, with something left for what people wait for.

chat.update is allowed 50 times a minute (tier 3) for the whole app in a workspace, chat.postMessage about
once a second in a channel (docs.slack.dev, rate limits). A bucket that begins full gives its size more in
the first minute than its rate: 8 and 42 are 50.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from runbooks.errors import RecordsError
from runbooks.records.board import BoardRecords
from runbooks.records.budgets import Budget
from runbooks.records.cards import Card
from runbooks.steps.reach import utc_now

log = structlog.get_logger()

UPDATES = Budget("chat.update", size=8, per_second=42 / 60)
#: Tokens that a drawing leaves to more urgent ones: a tenth to approvals and failures, half to every step.
KEEP = {3: 0.0, 2: 0.8, 1: 0.8, 0: 4.0}
TICK, FINAL = 0, 2


def posts(channel: str) -> Budget:
    """The budget of new messages in a channel, threads included."""
    return Budget(f"chat.postMessage:{channel}", size=1, per_second=0.9)


def price(card: Card) -> tuple[Budget, float]:
    """From which budget drawing that card is paid, and what it leaves there."""
    if card.ts is None:
        return posts(card.channel), 0.0
    return UPDATES, KEEP[max(0, min(card.priority, 3))]


class Edits:
    """The shared budget of edits, for cards that are not drawn from the database."""

    def __init__(self, records: BoardRecords, now: Callable[[], datetime] = utc_now) -> None:
        self._records = records
        self._now = now

    async def take(self, priority: int) -> float:
        """Takes an edit and returns 0, or the seconds until there is one."""
        try:
            return await self._records.take(UPDATES, self._now(), KEEP[priority])
        except RecordsError as error:
            # A report is worth more than the limit: Slack itself says when it is too much.
            log.warning("slack.pace.unknown", error=str(error))
            return 0.0
