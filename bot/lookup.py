"""Slack as a process asks it that is not connected to it: who somebody is, and which roles they have."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from bot.credentials import optional_bot_token, slack_api_url
from bot.settings import Settings
from bot.slack.app import who_are_we
from bot.slack.client import SlackClient
from bot.slack.people import People, Record
from runbooks.errors import SlackError, Unsure


class NoToken(Unsure):
    """There is no token here to ask Slack with."""


class Lookup:
    """Asks Slack, from the first question on, where there is a token for that. Use within `open`."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._known: tuple[People, str] | None = None
        self._stack: AsyncExitStack
        self._record: Record
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def open(self, record: Record) -> AsyncIterator[None]:
        """`record` writes down who was looked up."""
        self._record = record
        async with AsyncExitStack() as self._stack:
            yield

    async def people(self) -> tuple[People, str]:
        """Who answers, and the workspace's id. Raises Unsure, of which NoToken is one."""
        async with self._opening:
            if self._known is None:
                self._known = await self._connect()
        return self._known

    async def roles_by_id(self, user: str, team: str) -> frozenset[str]:
        """The roles that the member of that id has now. Raises Refused, Unsure."""
        people, _ = await self.people()
        return await people.roles_by_id(user, team)

    async def _connect(self) -> tuple[People, str]:
        token = await asyncio.to_thread(optional_bot_token, self._environ)
        if token is None:
            raise NoToken(
                "Who has which role only Slack knows, and there is no SLACK_BOT_TOKEN here to ask it with. "
                "Set it, or let a Maint that serves carry this on.",
                patient=True,
            )
        async with AsyncExitStack() as opening:
            client = SlackClient(token.get_secret_value(), slack_api_url(self._environ))
            await opening.enter_async_context(client)
            try:
                bot = await who_are_we(client.web)
            except SlackError as error:
                raise Unsure(f"That cannot be asked of Slack just now. {error}") from error
            self._stack.push_async_exit(opening.pop_all())
        teams = frozenset({bot.team, *self._settings.slack.teams})
        return People(client.web, teams, self._settings.roles, self._record), bot.team
