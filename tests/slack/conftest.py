"""Runs in a real database, with their cards in the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select, update

from bot.sandbox import Message, Sandbox, View
from bot.slack.app import make_app, who_are_we
from bot.slack.board import Board
from bot.slack.client import SlackClient
from bot.slack.connection import SocketConnections
from bot.slack.edge import Edge
from commands import COMMANDS
from commands.command import Services
from commands.dispatch import Dispatcher
from runbooks.access import Grant, Role
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.proof.proof import Proof
from runbooks.records import cards, outbox
from runbooks.records.audit import Filter
from runbooks.records.board import BoardRecords
from runbooks.records.cards import Card
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.run_tables import asks, runs
from runbooks.scrub import Scrubber
from runbooks.spec.library import load_library
from runbooks.steps import CHECKS
from runbooks.steps.reach import utc_now
from runbooks.targets import HttpTarget, TargetBase
from runbooks.watch.alerts import Alerts
from runbooks.watch.followers import nowhere
from runbooks.watch.from_checks import FromChecks
from runbooks.watch.settle import Setting
from tests.records.card_rows import add_ask, add_run, add_step
from tests.scenario.conftest import Site, serve_site
from tests.slack.engine_double import RowsEngine

OPS = "C000000OPS"
ALERTS = "C0000ALERTS"
T = TypeVar("T")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A real web service on loopback."""
    async with serve_site() as site:
        yield site


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


RUNBOOK = """
name: deploy
title: Deploy {{ params.version }}
purpose: A new version, for everybody.
owner: platform
params:
  version: {type: string, pattern: '\\d+\\.\\d+', prompt: Version to roll out}
  replicas: {type: integer, min: 1, max: 9, default: 3}
  ratio: {type: number, required: false}
  fast: {type: boolean, default: false}
  lane: {type: choice, choices: [blue, green], default: blue}
  build: {type: choice, choices_from: {target: app, path: /builds}, required: false}
  where: {type: target, of: http, default: app}
  from: {type: date, required: false}
  within: {type: duration, default: 1h30m}
  who: {type: user, required: false}
  hosts: {type: list, required: false}
  token: {type: string, secret: true, required: false}
steps:
  - id: up
    http.probe: {target: app}
"""


@dataclass
class Edged:
    """A whole Slack side, connected, with a double of the engine behind it."""

    place: Runs
    engine: RowsEngine
    edge: Edge

    @property
    def sandbox(self) -> Sandbox:
        return self.place.sandbox

    async def shown_to(self, user: str, words: str, timeout: float = 10) -> Message:
        """The message that only that member sees, with those words in it."""

        def find() -> Message | None:
            found = [m for m in self.sandbox.messages("ops", as_user=user) if m.ephemeral_to is not None]
            return next((message for message in found if words in message.shown), None)

        return await self.sandbox.wait_for(find, timeout)

    async def form(self, user: str) -> View:
        """The form that a member has open."""
        views = await self.sandbox.wait_for(lambda: self.sandbox.views(user), 10)
        return views[-1]

    async def audited(self, action: str, outcome: str | None = None, count: int = 1) -> int:
        """How many such audit events there are, once there are so many."""
        for _ in range(100):
            events = await self.place.records.events(Filter(action=action, outcome=outcome))
            if len(events) >= count:
                break
            await asyncio.sleep(0.05)
        return len(events)


@pytest.fixture
async def edged(place: Runs, site: Site, tmp_path: Path) -> AsyncIterator[Edged]:
    """Connected over Socket Mode; `sre` may run `deploy` from #ops, `dba` may on staging only."""
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "deploy.yaml").write_text(RUNBOOK)
    targets: dict[str, TargetBase] = {
        "app": HttpTarget(type="http", name="app", url=site.url),
        "preview": HttpTarget(type="http", name="preview", url=site.url, environment="staging"),
    }
    types = {name: type(target) for name, target in targets.items()}
    books = await asyncio.to_thread(
        load_library, tmp_path / "books", types, kinds=CHECKS, shipped=tmp_path / "none"
    )
    engine = RowsEngine(place.records, books, targets)
    services = Services(
        targets=targets,
        runbooks=books,
        checks=CheckRunner(targets, place.records, Scrubber(), Limits(total=5, per_target=5)),
        commands=COMMANDS,
        runs=engine,
        alerts=Alerts(
            place.records,
            FromChecks(books),
            Setting(route=nowhere, by=Person(kind="maint", id="m", name="Maint")),
            utc_now,
        ),
        records=place.records,
        proof=Proof(place.records, now=utc_now),
        channels={"ops": OPS, "alerts": ALERTS},
    )
    bot = await who_are_we(place.slack.web)
    edge = Edge(
        client=place.slack,
        records=place.records,
        services=services,
        dispatcher=Dispatcher(services, place.records, Scrubber()),
        scrub=Scrubber(),
        teams=frozenset({bot.team}),
        roles={"sre": Role(members=("@sre",)), "dba": Role(members=("dba@example.com",))},
        grants=(
            Grant(role="sre", commands=("runs",), runbooks=("deploy*",), channels=("ops",)),
            Grant(role="dba", runbooks=("deploy",), environments=("staging",)),
        ),
        commands_per_minute=600,
    )
    app = make_app(place.slack.web, bot, "")
    edge.listen(app)
    edge.start()
    sockets = SocketConnections(app, place.sandbox.app_token, 1)
    await sockets.connect(place.slack.web)
    yield Edged(place, engine, edge)
    await sockets.close()
    await edge.drain(5)
