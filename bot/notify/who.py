"""Whom a policy means, at this moment: by rotation, by who is on call elsewhere, by role and usergroup."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import aiohttp
import structlog

from bot.notify import AnyService
from bot.notify.delivery import Means, NotDelivered
from bot.notify.opsgenie import Opsgenie
from bot.notify.pagerduty import PagerDuty
from runbooks.errors import Refused
from runbooks.watch.policies import on_call_at

log = structlog.get_logger()


class Directory(Protocol):
    """Who is who in Slack: `bot.slack.people.People`."""

    async def called(self, entry: str) -> tuple[str, ...]: ...
    async def everybody(self, entry: str) -> tuple[str, ...]: ...
    async def address_of(self, user: str) -> str: ...


class Who:
    """Looks people up; what a service does not say is nobody, and is logged."""

    def __init__(
        self,
        directory: Directory,
        services: Mapping[str, AnyService],
        session: aiohttp.ClientSession,
        now: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._services = services
        self._means = Means(session=session, addresses=self.addresses, now=now)

    async def called(self, entry: str) -> tuple[str, ...]:
        """The ids that a mention of that entry calls: people and usergroups."""
        return await self._all(entry, self._directory.called)

    async def people(self, entry: str) -> tuple[str, ...]:
        """The ids of all the people whom it means. Raises NotDelivered when Slack does not say."""
        try:
            return await self._all(entry, self._directory.everybody)
        except Refused as error:
            raise NotDelivered(str(error)) from error

    async def addresses(self, entries: Sequence[str]) -> tuple[str, ...]:
        """The e-mail addresses of all of them. Raises NotDelivered when Slack does not say."""
        found: dict[str, None] = {}
        for entry in entries:
            if elsewhere := on_call_at(entry):
                found |= dict.fromkeys(await self._on_call(*elsewhere))
            elif "@" in entry and not entry.startswith("@"):
                found[entry] = None
            else:
                for person in await self.people(entry):
                    if address := await self._directory.address_of(person):
                        found[address] = None
        return tuple(found)

    async def _all(self, entry: str, look_up: Callable[[str], Awaitable[tuple[str, ...]]]) -> tuple[str, ...]:
        entries: Sequence[str] = (entry,)
        if elsewhere := on_call_at(entry):
            entries = await self._on_call(*elsewhere)
        found: dict[str, None] = {}
        for each in entries:
            found |= dict.fromkeys(await look_up(each))
        return tuple(found)

    async def _on_call(self, name: str, schedule: str) -> tuple[str, ...]:
        service = self._services.get(name)
        if not isinstance(service, PagerDuty | Opsgenie):
            return ()
        try:
            return await service.on_call(schedule, self._means)
        except NotDelivered as error:
            log.warning("notify.on_call", service=name, schedule=schedule, error=str(error))
            return ()
