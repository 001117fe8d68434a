"""A bot of the unmodified slack_bolt, living in the sandbox, that says what it heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Message, Sandbox, View
from tests.sandbox.block_kit import Json

OPS = "C000000OPS"

CARD: list[Json] = [
    {
        "type": "actions",
        "block_id": "decision",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": {"type": "plain_text", "text": "Approve"},
                "value": "run-7",
                "style": "primary",
            },
            {
                "type": "static_select",
                "action_id": "pick",
                "options": [
                    {"text": {"type": "plain_text", "text": "Database"}, "value": "db"},
                    {"text": {"type": "plain_text", "text": "Cache"}, "value": "cache"},
                ],
            },
        ],
    }
]

FORM: Json = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Run"},
    "submit": {"type": "plain_text", "text": "Run"},
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "version",
            "label": {"type": "plain_text", "text": "Version"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
        {
            "type": "input",
            "block_id": "when",
            "optional": True,
            "label": {"type": "plain_text", "text": "When"},
            "element": {"type": "datepicker", "action_id": "date", "initial_date": "2026-11-21"},
        },
        {
            "type": "input",
            "block_id": "who",
            "optional": True,
            "label": {"type": "plain_text", "text": "Who"},
            "element": {"type": "external_select", "action_id": "person", "min_query_length": 0},
        },
    ],
}


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


@pytest.fixture(params=["connected", "http"])
def delivery(request: pytest.FixtureRequest) -> str:
    """The app, reached in each of the two ways."""
    request.getfixturevalue(request.param)
    return str(request.param)


@pytest.fixture
async def card(sandbox: Sandbox, client: AsyncWebClient) -> Message:
    """A message with a button and a select in #ops."""
    await client.chat_postMessage(channel="C000000OPS", text="go?", blocks=CARD)
    return sandbox.messages("ops")[0]


@pytest.fixture
async def form(sandbox: Sandbox, client: AsyncWebClient) -> View:
    """A modal that sre1 has open."""
    await client.views_open(trigger_id=sandbox.triggers.give("U00000SRE1"), view=FORM)
    return sandbox.views("sre1")[0]


async def refused(client: AsyncWebClient, method: str, **arguments: Any) -> dict[str, Any]:
    """The answer to a call that must fail."""
    with pytest.raises(SlackApiError) as caught:
        await client.api_call(method, json=arguments)
    answer: dict[str, Any] = caught.value.response.data
    return answer
