"""Delivery: at least once, in order, through an outage, and with a word about what does not arrive."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import update

from bot.notify import AnyService
from bot.notify.courier import Courier, Ways
from bot.notify.pagerduty import PagerDuty
from bot.notify.who import Who
from bot.sandbox import Sandbox
from bot.slack.app import who_are_we
from bot.slack.client import SlackClient
from bot.slack.messages import Messages
from bot.slack.notices import SlackNotices
from bot.slack.people import People
from runbooks.access import Role
from runbooks.records.alerts import Alert, Wanted
from runbooks.records.board import BoardRecords
from runbooks.records.records import Records
from runbooks.records.schema import cards as card_rows
from runbooks.watch.following import UNDELIVERED
from runbooks.watch.signal import Seen
from tests.notify.conftest import Vendor, vendor
from tests.slack.conftest import ALERTS, OPS
from tests.watch.climbing_world import ANN, MINUTE, World

ROLES = {
    "devops": Role(members=("@sre",)),
    "dba": Role(members=("sre2@example.com",)),
}
POLICY = {
    "policies": {
        "down": {
            "levels": [
                {"who": ["devops", "dba"], "by": ["mention", "pd"]},
                {"who": "devops", "by": "dm", "after": "15m"},
                {"who": "pd:PABC123", "after": "30m"},
            ]
        }
    },
    "routes": [{"severity": "critical", "policy": "down"}],
}


@dataclass
class Post:
    """Alerts, whoever climbs, and a courier, in one workspace."""

    world: World
    sandbox: Sandbox
    courier: Courier
    vendor: Vendor
    slack: SlackClient

    async def deliver(self) -> None:
        """What is due now, to the end."""
        await self.world.sweep()
        while await self.courier.round():
            pass

    async def begin(self, channel: str = "alerts") -> str:
        """An alert opens, and its card is posted: the ts of that."""
        await self.world.see(channel=channel)
        alert = await self.world.alert()
        answer = await self.slack.web.chat_postMessage(channel=ALERTS, text="the card")
        ts = str(answer["ts"])
        statement = update(card_rows).where(card_rows.c.correlation == alert.id).values(ts=ts)
        await self.world.write(lambda connection: connection.execute(statement))
        return ts

    async def failing(self) -> list[Alert]:
        """The open alerts about what does not arrive."""
        return [each for each in await self.world.alerts.listed(Wanted()) if UNDELIVERED in each.labels]

    async def pass_(self, minutes: int) -> None:
        for _ in range(minutes):
            self.world.now += MINUTE
            await self.deliver()

    def said(self, channel: str = "alerts") -> list[str]:
        """What was posted there, apart from cards."""
        messages = self.sandbox.messages(channel)
        return [message.shown for message in messages if message.shown != "the card"]


@pytest.fixture
async def post(sandbox: Sandbox, database_url: str) -> AsyncIterator[Post]:
    """On each kind of database, with a PagerDuty of its own."""
    records = await Records.open(database_url)
    world = World(records, POLICY)
    channels = {"alerts": ALERTS, "ops": OPS, "fallback": OPS}
    async with (
        SlackClient(sandbox.bot_token, sandbox.api_url) as slack,
        aiohttp.ClientSession() as session,
        vendor() as pagerduty,
    ):
        bot = await who_are_we(slack.web)
        people = People(slack.web, frozenset({bot.team}), ROLES, records.record)
        service = PagerDuty(
            type="pagerduty",
            routing_key=SecretStr("r" * 32),
            api_key=SecretStr("restkey"),
            url=pagerduty.url,
            api_url=pagerduty.url,
        )
        services: dict[str, AnyService] = {"pd": service}

        who = Who(people, services, session, lambda: world.now)
        ways = Ways(
            services=services,
            slack=SlackNotices(slack, BoardRecords(records), who.called, channels, lambda: world.now),
            who=who,
            session=session,
            link=Messages(slack, channels).link,
            fallback="fallback",
        )
        courier = Courier(records, ways, world.undelivered, lambda: world.now)
        yield Post(world, sandbox, courier, pagerduty, slack)
    await records.close()


async def test_a_level_calls_people_in_the_thread_of_the_card_and_pages_once(post: Post) -> None:
    """A role by its usergroup, a person by the address; the pager gets one incident, with a link."""
    ts = await post.begin()
    await post.deliver()
    await post.deliver()

    (message,) = [each for each in post.sandbox.messages("alerts") if each.thread_ts == ts]
    assert "Nobody has taken it yet (down, level 1)." in message.shown
    assert "S000000SRE" in str(message.blocks)
    assert "U00000SRE2" in str(message.blocks)
    (_, _, _, event) = post.vendor.calls[0]
    assert event["event_action"] == "trigger"
    assert "/archives/" in event["links"][0]["href"]
    assert len(post.vendor.calls) == 1


async def test_the_second_level_tells_each_of_them_alone_and_the_third_asks_who_is_on_call(
    post: Post,
) -> None:
    """Everybody in the usergroup gets a direct message; PagerDuty says who is on call, by e-mail."""
    await post.begin()
    await post.deliver()
    await post.pass_(16)
    direct = [call for call in post.sandbox.calls if call.method == "conversations.open"]
    assert len(direct) >= 2

    await post.pass_(15)
    assert "U00000SRE1" in str(post.sandbox.messages("alerts")[-1].blocks)


async def test_everything_arrives_once_and_in_order_after_an_outage_of_slack(post: Post) -> None:
    """Ten minutes without Slack: what was to be said is said, each once."""
    ts = await post.begin()
    post.sandbox.fault("*", "server_error", times=10_000)
    await post.pass_(10)
    assert post.said() == []
    assert post.vendor.incidents  # who does not need Slack did not wait for it
    post.sandbox.faults.clear()
    await post.pass_(40)

    threaded = [each.shown for each in post.sandbox.messages("alerts") if each.thread_ts == ts]
    assert [text.split("level ")[1][0] for text in threaded] == ["1", "3"]


async def test_what_was_posted_but_not_answered_is_not_posted_again(post: Post) -> None:
    """The connection was cut after Slack took it: it is looked for first."""
    ts = await post.begin()
    post.sandbox.fault("chat.postMessage", "drop_after")
    await post.deliver()
    await post.pass_(3)

    assert len([each for each in post.sandbox.messages("alerts") if each.thread_ts == ts]) == 1


async def test_a_channel_that_refuses_is_told_elsewhere_and_is_an_alert_itself(post: Post) -> None:
    """Maint is not in it: what was for it stands in the fallback channel, with why."""
    await post.begin(channel="private")
    await post.pass_(2)

    (text,) = [each for each in post.said("ops") if "app is down" in each]
    assert "This was for private: Maint is not in that channel." in text
    (alert,) = await post.failing()
    assert (alert.source, alert.title) == ("maint", "Notices do not arrive: mention to private")
    assert alert.channel == "fallback"


async def test_a_service_that_refuses_is_an_alert_until_it_takes_something(post: Post) -> None:
    """Its answer says what is wrong; the next one that arrives ends it."""
    post.vendor.trouble = [web.json_response({"status": "invalid event"}, status=400)]
    await post.begin()
    await post.deliver()
    (alert,) = await post.failing()
    assert "PagerDuty answered 400" in alert.summary

    post.world.now += MINUTE
    await post.world.see(Seen.WELL)
    await post.pass_(1)
    await post.world.see()
    await post.pass_(1)
    assert await post.failing() == []


async def test_it_is_tried_again_and_again_and_given_up_after_a_day(post: Post) -> None:
    """With longer and longer pauses, at least once; and then it is an alert."""
    post.vendor.trouble = [web.Response(status=503) for _ in range(10_000)]
    await post.begin()
    for _ in range(26):
        post.world.now += timedelta(hours=1)
        await post.deliver()
    row = next(row for row in await post.world.notices_of("alert") if row.kind == "pagerduty")

    assert (row.failed_at is not None, row.wake_at) == (True, None)
    assert row.attempts > 20
    assert [alert.labels["to"] for alert in await post.failing()] == ["pd"]


async def test_who_acknowledges_stops_it_everywhere(post: Post) -> None:
    """PagerDuty hears of it, and then of the end."""
    await post.begin()
    await post.deliver()
    await post.world.alerts.acknowledge((await post.world.alert()).id, ANN)
    await post.pass_(60)
    assert list(post.vendor.incidents.values()) == ["acknowledged"]
    await post.world.see(Seen.WELL)
    await post.pass_(1)

    assert list(post.vendor.incidents.values()) == ["resolved"]
    assert len([text for text in post.said() if "level" in text]) == 1


async def test_two_couriers_deliver_each_notice_once(post: Post) -> None:
    """Whoever claims it."""
    await post.begin()
    await post.world.sweep()
    await asyncio.gather(post.courier.round(), post.courier.round())
    await post.deliver()

    assert len(post.vendor.calls) == 1
    assert len([text for text in post.said() if "level" in text]) == 1
