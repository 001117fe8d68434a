"""Keeps Maint connected to Slack by Socket Mode, over two connections so that one may break."""

import asyncio
import logging

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.client import token_refused
from runbooks.errors import SlackError

log = structlog.get_logger()

#: Seconds between pings. Measured: a silently dead connection is noticed after 1.5 times that.
PING_INTERVAL = 3.0
#: Seconds that the first connection may take.
LONGEST_CONNECT = 30.0


class SocketConnections:
    """Several Socket Mode connections of one app; Slack sends each request over any one of them."""

    def __init__(self, app: AsyncApp, app_token: str, count: int) -> None:
        self._app = app
        self._app_token = app_token
        self._count = count
        self._handlers: list[AsyncSocketModeHandler] = []

    async def connect(self, web: AsyncWebClient) -> None:
        """Connects all of them. Raises SlackError when Slack refuses the token or cannot be reached."""
        try:
            # The SDK's own connect() retries for ever; a refused token is better known at once.
            await web.apps_connections_open(app_token=self._app_token)
        except SlackApiError as error:
            advice = (
                "It is the xapp-… token under Basic Information > App-Level Tokens, with the scope "
                "connections:write; Socket Mode must be on."
            )
            raise token_refused("SLACK_APP_TOKEN", error, advice) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SlackError(f"Slack cannot be reached: {type(error).__name__}") from error
        quiet = logging.getLogger("slack_sdk.socket_mode")
        self._handlers = [
            AsyncSocketModeHandler(self._app, self._app_token, logger=quiet, ping_interval=PING_INTERVAL)
            for _ in range(self._count)
        ]
        try:
            async with asyncio.timeout(LONGEST_CONNECT):
                await asyncio.gather(*(_connect(handler) for handler in self._handlers))
        except TimeoutError as error:
            raise SlackError(f"Slack did not connect within {LONGEST_CONNECT:.0f} s.") from error

    async def connected(self) -> int:
        """How many connections are up now."""
        states = [await handler.client.is_connected() for handler in self._handlers]
        return sum(1 for state in states if state)

    async def close(self) -> None:
        """Leaves; Slack sends nothing more."""
        await asyncio.gather(*(_close(handler) for handler in self._handlers), return_exceptions=True)


async def _connect(handler: AsyncSocketModeHandler) -> None:
    await handler.client.connect()  # type: ignore[no-untyped-call]


async def _close(handler: AsyncSocketModeHandler) -> None:
    await handler.client.close()  # type: ignore[no-untyped-call]
