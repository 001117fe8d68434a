"""Runs in a real database, with their cards in the sandbox."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select, update

from bot.sandbox import Message, Sandbox
from bot.slack.board import Board
from bot.slack.client import SlackClient
from runbooks.ids import new_id
from runbooks.records import cards, outbox
from runbooks.records.board import BoardRecords
from runbooks.records.cards import Card
from runbooks.records.records import Records
from runbooks.records.run_tables import asks, runs
from runbooks.scrub import Scrubber
from tests.records.card_rows import add_ask, add_run, add_step

OPS = "C000000OPS"
ALERTS = "C0000ALERTS"
T = TypeVar("T")


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[Records]:
    """The database, of each kind."""
    records = await Records.open(database_url)
    yield records
    await records.close()


@dataclass
class Runs:
    """Runs, changed as an engine changes them: in one transaction with what becomes stale by it."""

    sandbox: Sandbox
    records: Records
    slack: SlackClient

    async def write(self, work: Callable[[Connection], T]) -> T:
        """One transaction."""
        return await self.records.write(work)

    async def begin(self, *, channel: str = OPS, priority: int = 1, **changes: Any) -> str:
        """A run with a step under way, and a card that is to be posted."""

        def work(connection: Connection) -> str:
            run = add_run(connection, created_at=datetime.now(UTC), started_at=datetime.now(UTC), **changes)
            add_step(connection, run, "shift", state="running", started_at=datetime.now(UTC))
            card = Card(kind="run", correlation=run, channel=channel, wanted=1, priority=priority)
            cards.add(connection, card)
            return run

        return await self.write(work)

    async def change(self, run: str, *, priority: int = 1, **changes: Any) -> None:
        """Something of the run changes, and its cards are stale."""

        def work(connection: Connection) -> None:
            version = connection.execute(select(runs.c.version).where(runs.c.id == run)).scalar_one() + 1
            connection.execute(update(runs).where(runs.c.id == run).values(version=version, **changes))
            cards.want(connection, run, version, priority)

        await self.write(work)

    async def ask(self, run: str, *, channel: str = "", **changes: Any) -> str:
        """People are asked something, in a channel of its own if one is given."""

        def work(connection: Connection) -> str:
            ask = add_ask(connection, run, opened_at=datetime.now(UTC), **changes)
            if channel:
                card = Card(kind="gate", correlation=run, channel=channel, id=ask, wanted=1, priority=3)
                cards.add(connection, card)
            return ask

        ask = await self.write(work)
        await self.change(run, state="waiting", waiting_on="gate", priority=3)
        return ask

    async def answer(self, run: str, ask: str, choice: str, by: str) -> None:
        """Somebody answered, somewhere."""
        values = {"state": "closed", "answer": choice, "answered_name": by, "closed_at": datetime.now(UTC)}
        await self.write(
            lambda connection: connection.execute(update(asks).where(asks.c.id == ask).values(values))
        )
        await self.change(run, state="running", waiting_on="")

    async def put(self, run: str, kind: str, **body: Any) -> None:
        """A message beside the card."""
        channel = body.pop("channel", "")
        await self.write(lambda connection: outbox.put(connection, run, kind, body, channel=channel))

    def board(self, **changes: Any) -> Board:
        """A replica's board."""

        async def called(entry: str) -> tuple[str, ...]:
            return {"sre": ("S000000SRE",), "oncall": ("U00000SRE1",)}.get(entry, ())

        options: dict[str, Any] = {"called": called, "channels": {"sec": ALERTS}, "scrub": Scrubber()}
        return Board(self.slack, BoardRecords(self.records), **options | changes)

    @asynccontextmanager
    async def drawing(self, boards: int = 1, **changes: Any) -> AsyncIterator[Board]:
        """With so many replicas at work."""
        running = [self.board(**changes) for _ in range(boards)]
        for board in running:
            board.start()
        try:
            yield running[0]
        finally:
            for board in running:
                await board.stop(5)

    def cards(self, channel: str = "ops") -> list[Message]:
        """The messages of a channel that stand in no thread."""
        return [message for message in self.sandbox.messages(channel) if not message.thread_ts]

    async def shows(self, words: str, channel: str = "ops", timeout: float = 15) -> Message:
        """The card that shows those words, once there is one."""

        def find() -> Message | None:
            return next((card for card in self.cards(channel) if words in card.shown), None)

        return await self.sandbox.wait_for(find, timeout)

    def count(self, method: str) -> int:
        """How many times a method was called."""
        return len([call for call in self.sandbox.calls if call.method == method])


@pytest.fixture
async def place(sandbox: Sandbox, records: Records) -> AsyncIterator[Runs]:
    """A database and a workspace."""
    async with SlackClient(sandbox.bot_token, sandbox.api_url) as slack:
        yield Runs(sandbox, records, slack)


def anything() -> str:
    """An id of something that does not exist."""
    return new_id()
