"""The records as whoever draws the cards of runs needs them. Every method is one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from runbooks.records import alerts, budgets, cards, outbox, reports, runs
from runbooks.records.alerts import AlertView
from runbooks.records.budgets import Budget
from runbooks.records.cards import Card, Claim
from runbooks.records.outbox import Batch, Letter
from runbooks.records.records import Records
from runbooks.records.reports import ReportRow
from runbooks.records.runs import RunView


class BoardRecords:
    """All raise RecordsError."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def claim_card(
        self, now: datetime, price: Callable[[Card], tuple[Budget, float]]
    ) -> Claim | float | None:
        """The card to draw next; see cards.claim."""
        return await self._records.write(lambda connection: cards.claim(connection, now, price))

    async def card_drawn(
        self, claim: Claim, version: int, *, now: datetime, ts: str | None = None, done: bool = False
    ) -> bool:
        """Notes what the card shows; see cards.drawn."""

        def drawn(connection: Connection) -> bool:
            if ts is not None and claim.card.kind == cards.REPORT:
                reports.posted(connection, claim.card.correlation, ts)
            return cards.drawn(connection, claim, version, now=now, ts=ts, done=done)

        return await self._records.write(drawn)

    async def release_card(self, claim: Claim, until: datetime | None = None) -> None:
        """Gives a card back that was not drawn."""
        await self._records.write(lambda connection: cards.release(connection, claim, until))

    async def give_card_up(self, claim: Claim, now: datetime) -> None:
        """Leaves a card that cannot stand where it should."""
        await self._records.write(lambda connection: cards.give_up(connection, claim, now))

    async def card_lost(self, card: Card, now: datetime) -> None:
        """Has a card posted again that somebody deleted."""
        await self._records.write(lambda connection: cards.lost(connection, card, now))

    async def doubt_card(self, card_id: str) -> None:
        """Has a card drawn again."""
        await self._records.write(lambda connection: cards.doubt(connection, card_id))

    async def doubt_gates(self, run: str) -> None:
        """Has the cards of the run's gates drawn again."""
        await self._records.write(lambda connection: cards.doubt_gates(connection, run))

    async def standing_cards(self) -> tuple[Card, ...]:
        """The cards that should show their run as it is."""
        return await self._records.read(cards.standing)

    async def card_of_run(self, run: str) -> Card | None:
        """The run's own card."""
        return await self._records.read(lambda connection: cards.of_run(connection, run))

    async def card(self, card_id: str) -> Card | None:
        """That card."""
        return await self._records.read(lambda connection: cards.by_id(connection, card_id))

    async def view(self, run: str) -> RunView | None:
        """The run, for its card."""
        return await self._records.read(lambda connection: runs.view(connection, run))

    async def alert(self, alert: str) -> AlertView | None:
        """The alert, for its card."""
        return await self._records.read(lambda connection: alerts.view(connection, alert))

    async def report(self, report: str) -> ReportRow | None:
        """The report, for its card."""
        return await self._records.read(lambda connection: reports.by_id(connection, report))

    async def claim_letters(
        self, now: datetime, price: Callable[[str], Budget], fits: Callable[[Sequence[Letter]], bool]
    ) -> Batch | float | None:
        """The messages to post next; see outbox.claim."""
        return await self._records.write(lambda connection: outbox.claim(connection, now, price, fits))

    async def letters_sent(self, letters: Sequence[Letter], ts: str, now: datetime) -> None:
        """Notes that messages were posted."""
        await self._records.write(lambda connection: outbox.sent(connection, letters, ts, now))

    async def release_letters(self, batch: Batch, until: datetime, *, tried: bool) -> None:
        """Gives messages back that were not posted."""
        await self._records.write(lambda connection: outbox.release(connection, batch, until, tried=tried))

    async def take(self, budget: Budget, now: datetime, keep: float = 0.0) -> float:
        """Takes a token and returns 0, or the seconds to wait."""
        return await self._records.write(lambda connection: budgets.take(connection, budget, now, keep))

    async def stop(self, budget: Budget, now: datetime, seconds: float) -> None:
        """Nothing is given for so long."""
        await self._records.write(lambda connection: budgets.stop(connection, budget, now, seconds))
