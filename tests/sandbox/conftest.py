"""A bot of the unmodified slack_bolt, living in the sandbox, that says what it heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Kind, Sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> AsyncWebClient:
    """The SDK's own client, without retries: a refusal is seen at once."""
    return AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url, retry_handlers=[], timeout=5)


@pytest.fixture
def app(sandbox: Sandbox) -> AsyncApp:
    """A Bolt app without listeners, whose Slack is the sandbox."""
    client = AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url)
    return AsyncApp(
        token=sandbox.bot_token,
        signing_secret=sandbox.signing_secret,
        client=client,
        raise_error_for_unhandled_request=False,
    )


@pytest.fixture
async def connected(sandbox: Sandbox, app: AsyncApp) -> AsyncIterator[list[AsyncSocketModeHandler]]:
    """The app on two Socket Mode connections."""
    async with connect(sandbox, app, 2) as handlers:
        yield handlers


@asynccontextmanager
async def connect(
    sandbox: Sandbox, app: AsyncApp, count: int, ping_interval: float = 1
) -> AsyncIterator[list[AsyncSocketModeHandler]]:
    """The app on so many Socket Mode connections."""
    handlers = [
        AsyncSocketModeHandler(app, sandbox.app_token, ping_interval=ping_interval) for _ in range(count)
    ]
    try:
        for handler in handlers:
            await handler.connect_async()
        await sandbox.wait_for(lambda: len(sandbox.sockets.connections) == count)
        yield handlers
    finally:
        for handler in handlers:
            await stop(handler)


async def stop(handler: AsyncSocketModeHandler) -> None:
    """Closes a handler and waits for its tasks, which the SDK only cancels."""
    client: Any = handler.client
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    await handler.close_async()
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


@pytest.fixture
async def http(sandbox: Sandbox, app: AsyncApp) -> AsyncIterator[str]:
    """The app behind an HTTP server, to which the sandbox delivers."""
    runner = web.AppRunner(app.web_app("/slack/events"), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    sandbox.deliver_to(url)
    yield url
    sandbox.deliver_to(None)
    await runner.cleanup()


def delivered(sandbox: Sandbox) -> int:
    """How many things were delivered so far."""
    return sum(change.kind is Kind.DELIVERED for change in sandbox.feed.history)
