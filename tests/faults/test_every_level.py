"""Whatever happens at whichever write of a ladder, each level is heard once: kill -9 at every moment."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from sqlalchemy import update

from bot.notify import AnyService
from bot.notify.courier import Courier, Ways
from bot.notify.email import Email
from bot.notify.pagerduty import PagerDuty
from bot.notify.webhook import Webhook
from bot.notify.who import Who
from bot.sandbox import Sandbox
from bot.slack.app import who_are_we
from bot.slack.client import SlackClient
from bot.slack.messages import Messages
from bot.slack.notices import SlackNotices
from bot.slack.people import People
from runbooks.errors import RecordsError
from runbooks.records.board import BoardRecords
from runbooks.records.budgets import Budget
from runbooks.records.records import Records
from runbooks.records.schema import cards
from runbooks.watch.climbing import Climber, Setup
from runbooks.watch.signal import Seen
from tests.faults.dying import Dying, Harm
from tests.scenario.receivers import Receivers, receivers
from tests.slack.conftest import ALERTS, OPS
from tests.watch.climbing_world import ANN, MAINT, World, router

#: More writes than any of these ladders needs.
MOST_WRITES = 120
SERVICES = {"pager": "pagerduty", "hook": "webhook", "mail": "email"}
POLICY: dict[str, Any] = {
    "policies": {
        "down": {
            "levels": [
                {"who": "U00000SRE1", "by": ["mention", "pager", "hook"]},
                {"who": "U00000SRE2", "by": ["mention", "dm", "mail", "hook"], "after": "15m"},
            ]
        }
    },
    "routes": [{"severity": "critical", "policy": "down"}],
}
#: Minutes after the beginning at which somebody looks. A dead process's claims end after one.
LOOKS = (0, 1, 3, 6, 15, 16, 18, 21)
#: The same after somebody has taken it, and after it is over.
LATER = (0, 1, 3, 6)


@dataclass
class Stage:
    """The database, the workspace and everybody who is told; processes come and go."""

    records: Records
    sandbox: Sandbox
    slack: SlackClient
    session: aiohttp.ClientSession
    people: People
    them: Receivers

    def process(self, database: Any, world: World) -> tuple[Climber, Courier]:
        """What a process has of ladders and deliveries."""
        channels = {"alerts": ALERTS, "fallback": OPS}
        services: dict[str, AnyService] = {
            name: kind.model_validate(self.them.services()[name])
            for name, kind in (("pager", PagerDuty), ("hook", Webhook), ("mail", Email))
        }
        who = Who(self.people, services, self.session, lambda: world.now)
        board = BoardRecords(database)
        ways = Ways(
            services=services,
            slack=SlackNotices(self.slack, board, who.called, channels, lambda: world.now),
            who=who,
            session=self.session,
            link=Messages(self.slack, channels).link,
            fallback="fallback",
        )
        setup = Setup(router=router(POLICY), rotations={}, services=SERVICES)
        return (
            Climber(database, setup, MAINT),
            Courier(database, ways, world.undelivered, lambda: world.now),
        )

    async def tell(self, world: World, harm: Harm, at: int) -> tuple[bool, str]:
        """One alert from its beginning to its end; whether it came to that write, and the card's ts."""
        database = Dying(self.records, harm, at)
        crew = self.process(database, world)
        await world.see(channel="alerts")
        alert = await world.alert()
        ts = str((await self.slack.web.chat_postMessage(channel=ALERTS, text="the card"))["ts"])
        statement = update(cards).where(cards.c.correlation == alert.id).values(ts=ts)
        await self.records.write(lambda connection: connection.execute(statement))
        begun = world.now
        for looks, then in ((LOOKS, "ack"), (LATER, "end"), (LATER, "")):
            for minutes in looks:
                world.now = begun + timedelta(minutes=minutes)
                if not await self._look(database, crew, world):
                    crew = self.process(self.records, world)
            begun = world.now
            if then == "ack":
                await world.alerts.acknowledge(alert.id, ANN)
            elif then == "end":
                world.now += timedelta(seconds=1)
                await world.see(Seen.WELL)
        world.now += timedelta(days=1)  # the next one is another alert
        return database.struck, ts

    async def _look(self, database: Dying, crew: tuple[Climber, Courier], world: World) -> bool:
        """All that is due, again and again; False when the process died over it."""
        climber, courier = crew

        async def look() -> None:
            for _ in range(4):
                for item in await self.records.read(lambda connection: climber.due(connection, world.now)):
                    try:
                        await climber.attend(item, world.now)
                    except RecordsError:
                        continue
                try:
                    while await courier.round():
                        pass
                except RecordsError:
                    continue

        life = asyncio.create_task(look())
        death = asyncio.create_task(database.died.wait())
        async with asyncio.timeout(40):
            await asyncio.wait({life, death}, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if life.done() and not database.died.is_set():
            life.result()
            return True
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        database.died.clear()
        return False


@pytest.fixture
async def stage(sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """On each kind of database."""
    monkeypatch.setattr("bot.slack.notices.posts", lambda _: Budget("fast", size=1000, per_second=1000))
    records = await Records.open(database_url)
    async with (
        SlackClient(sandbox.bot_token, sandbox.api_url) as slack,
        aiohttp.ClientSession() as session,
        receivers() as them,
    ):
        bot = await who_are_we(slack.web)
        people = People(slack.web, frozenset({bot.team}), {}, records.record)
        yield Stage(records, sandbox, slack, session, people, them)
    await records.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("harm", [harm for harm in Harm if harm is not Harm.NONE])
async def test_each_level_is_heard_once_wherever_it_is_struck(harm: Harm, stage: Stage) -> None:
    """In Slack, where nothing has an id of its own, exactly once; elsewhere once by its id."""
    asyncio.get_running_loop().set_debug(False)  # hundreds of deliveries: it would take half of the time
    # In the past: what Slack has is never older than what it was posted for.
    world = World(stage.records, POLICY, datetime.now(UTC) - timedelta(days=200))
    for at in range(0, MOST_WRITES, stride(harm, stage)):
        stage.them.vendor.calls.clear()
        stage.them.mailbox.envelopes.clear()
        direct = len(direct_messages(stage))
        struck, ts = await stage.tell(world, harm, at)

        when = f"struck at write {at}"
        thread = [each.shown for each in stage.sandbox.messages("alerts") if each.thread_ts == ts]
        assert [text.split("level ")[1][0] for text in thread] == ["1", "2"], when
        assert len(direct_messages(stage)) == direct + 1, when
        hooked = [("trigger", 1), ("trigger", 2), ("acknowledge", 0), ("resolve", 0)]
        assert stage.them.hooked() == hooked, when
        assert [action for action, _ in stage.them.paged()] == ["trigger", "acknowledge", "resolve"], when
        assert stage.them.mailed().total() == 2, when  # the level, and the end
        if not struck:
            return
    raise AssertionError("it has more writes than were struck")


def direct_messages(stage: Stage) -> list[str]:
    """What was said to the second person alone."""
    members = stage.sandbox.workspace
    channels = [each for each in members.channels.values() if each.id.startswith("D")]
    return [m.shown for each in channels for m in stage.sandbox.messages(each.id, "sre2")]


def stride(harm: Harm, stage: Stage) -> int:
    """How many writes one step is: all of them are struck where it tells most, or where it was asked for."""
    if os.environ.get("MAINT_TEST_FAULTS") == "all":
        return 1
    if stage.records.engine.dialect.name == "sqlite":
        return 1 if harm is Harm.DEATH_AFTER else 3
    return 5
