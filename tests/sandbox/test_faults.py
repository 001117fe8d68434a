"""What goes wrong on purpose: response URLs that end, rate limits, and connections that break."""

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.sandbox import Message, Sandbox, Trouble
from bot.sandbox.server import NotLoopbackError

OPS = "C000000OPS"


def hook(sandbox: Sandbox, message: Message | None = None) -> AsyncWebhookClient:
    """The SDK's client of a response URL that sre1 got in #ops."""
    return AsyncWebhookClient(sandbox.response_urls.give(OPS, "U00000SRE1", message))


async def test_a_response_url_is_good_for_five_answers(sandbox: Sandbox) -> None:
    """The sixth is refused."""
    client = hook(sandbox)
    statuses = [(await client.send(text=str(number))).status_code for number in range(6)]

    assert statuses == [200] * 5 + [404]
    assert len(sandbox.messages("ops", as_user="sre1")) == 5


async def test_a_response_url_is_good_for_thirty_minutes(sandbox: Sandbox) -> None:
    """After that it is refused."""
    client = hook(sandbox)
    sandbox.workspace.advance(30 * 60)

    answer = await client.send(text="late")

    assert (answer.status_code, "expired_url" in answer.body) == (404, True)


async def test_an_answer_is_private_unless_it_says_otherwise(sandbox: Sandbox) -> None:
    """response_type in_channel shows it to all."""
    client = hook(sandbox)
    await client.send(text="for you")
    await client.send(text="for all", response_type="in_channel")

    assert [message.text for message in sandbox.messages("ops")] == ["for all"]
    assert [message.text for message in sandbox.messages("ops", as_user="sre1")] == ["for you", "for all"]


async def test_an_answer_can_replace_and_delete_what_was_clicked(
    sandbox: Sandbox, client: AsyncWebClient
) -> None:
    """replace_original, delete_original."""
    await client.chat_postEphemeral(channel=OPS, user="U00000SRE1", text="go?")
    (message,) = sandbox.messages("ops", as_user="sre1")
    answers = hook(sandbox, message)

    await answers.send(text="gone", replace_original=True)
    assert [m.text for m in sandbox.messages("ops", as_user="sre1")] == ["gone"]
    await answers.send(delete_original=True)

    assert sandbox.messages("ops", as_user="sre1") == []


async def test_an_answer_knows_no_sum_of_texts(sandbox: Sandbox) -> None:
    """But the limits of each block."""
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    wrong = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    client = hook(sandbox)

    assert (await client.send(text="x", blocks=[section] * 10)).status_code == 200
    assert (await client.send(text="x", blocks=[wrong])).status_code == 400


async def test_an_answer_of_nonsense_is_refused(sandbox: Sandbox) -> None:
    """What is no JSON object."""
    url = sandbox.response_urls.give(OPS, "U00000SRE1")
    async with aiohttp.ClientSession() as session, session.post(url, data=b"nonsense") as answer:
        assert answer.status == 400


async def test_a_channel_takes_a_message_a_second(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """Another channel has its own second; Retry-After says how long."""
    sandbox.rate_limits()
    await client.chat_postMessage(channel=OPS, text="1")
    await client.chat_postMessage(channel="C0000ALERTS", text="1")

    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel=OPS, text="2")

    response = refused.value.response
    assert (response.status_code, response["error"], response.headers["Retry-After"]) == (
        429,
        "ratelimited",
        "1",
    )
    sandbox.workspace.advance(1)
    assert (await client.chat_postMessage(channel=OPS, text="2"))["ok"]


@pytest.mark.parametrize(
    ("method", "arguments", "calls"),
    [
        ("usergroups.list", {}, 20),
        ("users.lookupByEmail", {"email": "sre1@example.com"}, 50),
        ("users.info", {"user": "U00000SRE1"}, 100),
    ],
)
async def test_a_method_takes_the_calls_of_its_tier(
    sandbox: Sandbox, client: AsyncWebClient, method: str, arguments: dict[str, str], calls: int
) -> None:
    """In a minute; then it takes as many again."""
    sandbox.rate_limits()
    async with aiohttp.ClientSession() as session:
        client.session = session
        for _ in range(calls):
            await client.api_call(method, params=arguments)
        with pytest.raises(SlackApiError) as refused:
            await client.api_call(method, params=arguments)
        sandbox.workspace.advance(60)
        await client.api_call(method, params=arguments)

    assert 50 < int(refused.value.response.headers["Retry-After"]) <= 60


async def test_without_limits_nothing_is_limited(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """They are off until a test wants them."""
    for number in range(3):
        await client.chat_postMessage(channel=OPS, text=str(number))

    assert len(sandbox.messages("ops")) == 3


@pytest.fixture
def retrying(sandbox: Sandbox) -> AsyncWebClient:
    """The SDK's client with its handlers for rate limits and server errors."""
    client = AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url)
    client.retry_handlers += [AsyncRateLimitErrorRetryHandler(2), AsyncServerErrorRetryHandler(2)]
    return client


@pytest.mark.parametrize("trouble", [Trouble.RATELIMITED, Trouble.SERVER_ERROR, Trouble.DROP_BEFORE])
async def test_what_was_not_done_is_done_by_the_sdk_s_retry(
    sandbox: Sandbox, retrying: AsyncWebClient, trouble: Trouble
) -> None:
    """A refusal, a server error and a cut connection: one message in the end."""
    sandbox.fault("chat.postMessage", trouble, seconds=0)

    await retrying.chat_postMessage(channel=OPS, text="x")

    assert len(sandbox.messages("ops")) == 1
    assert [call.fault for call in sandbox.calls] == [trouble, None]


async def test_what_was_done_is_done_again_when_its_answer_was_lost(
    sandbox: Sandbox, retrying: AsyncWebClient
) -> None:
    """The trap: a retry after a cut connection posts twice."""
    sandbox.fault("chat.postMessage", Trouble.DROP_AFTER)

    await retrying.chat_postMessage(channel=OPS, text="x")

    assert len(sandbox.messages("ops")) == 2


async def test_a_late_answer_comes_after_the_deed(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """A client that gives up does not see what was posted."""
    sandbox.fault("chat.postMessage", Trouble.LATE, seconds=30)
    client.timeout = 0.5  # type: ignore[assignment]

    with pytest.raises(TimeoutError):
        await client.chat_postMessage(channel=OPS, text="x")

    assert await sandbox.wait_for(lambda: len(sandbox.messages("ops"))) == 1


async def test_a_black_hole_never_answers(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """And does nothing."""
    sandbox.fault("chat.postMessage", Trouble.BLACK_HOLE)
    client.timeout = 0.1  # type: ignore[assignment]

    with pytest.raises(TimeoutError):
        await client.chat_postMessage(channel=OPS, text="x")

    assert sandbox.messages("ops") == []


async def test_trouble_has_an_end(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """After the calls that it was planned for."""
    sandbox.fault("*", Trouble.SERVER_ERROR, times=2, status=500)

    statuses: list[Any] = []
    for _ in range(3):
        try:
            statuses.append((await client.chat_postMessage(channel=OPS, text="x")).status_code)
        except SlackApiError as error:
            statuses.append(error.response.status_code)

    assert statuses == [500, 500, 200]


@pytest.mark.parametrize("where", ["upload", "response_url"])
async def test_uploads_and_answers_can_fail_too(sandbox: Sandbox, client: AsyncWebClient, where: str) -> None:
    """With a server error, say."""
    sandbox.fault(where, Trouble.SERVER_ERROR, status=500)
    if where == "upload":
        url = (await client.files_getUploadURLExternal(filename="a", length=1))["upload_url"]
    else:
        url = sandbox.response_urls.give(OPS, "U00000SRE1")

    async with aiohttp.ClientSession() as session, session.post(url, data=b"x") as answer:
        assert answer.status == 500


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
async def test_the_sandbox_listens_on_loopback_only(host: str) -> None:
    """It has no protection, and says so."""
    with pytest.raises(NotLoopbackError, match="development server"):
        async with Sandbox.start(host=host):
            pass


async def test_a_sandbox_that_stops_lets_go_of_everybody() -> None:
    """Even of those who wait in a black hole."""
    async with Sandbox.start() as sandbox:
        sandbox.fault("auth.test", Trouble.BLACK_HOLE)
        client = AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url, retry_handlers=[])
        waiting = asyncio.create_task(client.auth_test())
        await asyncio.sleep(0.05)  # until it waits

    with pytest.raises(aiohttp.ClientError):
        await waiting
