"""Opens the courier with all that it delivers by."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp

from bot.escalation import fallback_of
from bot.notify.courier import Courier, Ways
from bot.notify.who import Who
from bot.settings import Settings
from bot.slack.client import SlackClient
from bot.slack.messages import Messages
from bot.slack.notices import SlackNotices
from bot.slack.people import People
from runbooks.records.board import BoardRecords
from runbooks.records.records import Records
from runbooks.watch.alerts import Alerts
from runbooks.watch.following import Undelivered


@asynccontextmanager
async def open_courier(
    settings: Settings,
    *,
    slack: SlackClient,
    people: People,
    records: Records,
    alerts: Alerts,
    channels: Mapping[str, str],
    now: Callable[[], datetime],
) -> AsyncIterator[Courier]:
    """Delivers from entering to leaving."""
    async with aiohttp.ClientSession() as session:
        services = settings.escalation.services
        who = Who(people, services, session, now)
        ways = Ways(
            services=services,
            slack=SlackNotices(slack, BoardRecords(records), who.called, channels, now),
            who=who,
            session=session,
            link=Messages(slack, channels).link,
            fallback=fallback_of(settings),
        )
        courier = Courier(records, ways, Undelivered(alerts, fallback_of(settings), now), now)
        courier.start()
        try:
            yield courier
        finally:
            await courier.stop()
