"""Delivery by signed HTTP requests to the unmodified AsyncApp behind aiohttp."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier

from bot.sandbox import Sandbox, signed


@pytest.fixture
async def listener(sandbox: Sandbox) -> AsyncIterator[list[tuple[dict[str, str], bytes]]]:
    """A bare HTTP server that keeps what came and answers with the status in `statuses`, else 200."""
    came: list[tuple[dict[str, str], bytes]] = []

    async def handle(request: web.Request) -> web.Response:
        came.append((dict(request.headers), await request.read()))
        statuses: list[int] = request.app[STATUSES]
        no_retry = {"X-Slack-No-Retry": "1"} if "no-retry" in request.path else {}
        return web.Response(status=statuses.pop(0) if statuses else 200, headers=no_retry)

    app = web.Application()
    app[STATUSES] = [500, 500] if sandbox else []
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sandbox.deliver_to(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events")
    sandbox.deliverer.retries = (0.0, 0.0, 0.0)
    yield came
    await runner.cleanup()


STATUSES = web.AppKey("statuses", list[int])


async def test_the_sdk_finds_the_signature_right(sandbox: Sandbox, listener: list[Any]) -> None:
    """SignatureVerifier is what every app checks with."""
    await sandbox.slash("sre1", "ops", "/maint health")

    headers, body = listener[0]
    assert SignatureVerifier(sandbox.signing_secret).is_valid_request(body, headers)


async def test_an_event_comes_again_until_it_is_taken(sandbox: Sandbox, listener: list[Any]) -> None:
    """With the number of the retry and its reason in the headers."""
    delivery = await sandbox.mention("sre1", "ops", "hello")

    retries = [(h.get("X-Slack-Retry-Num"), h.get("X-Slack-Retry-Reason")) for h, _ in listener]
    assert retries == [(None, None), ("1", "http_error"), ("2", "http_error")]
    assert (delivery.acked, delivery.attempts) == (True, 3)
    assert len({json.loads(body)["event_id"] for _, body in listener}) == 1


async def test_an_app_can_ask_for_no_retry(sandbox: Sandbox, listener: list[Any]) -> None:
    """By the header X-Slack-No-Retry."""
    sandbox.deliver_to(str(sandbox.deliverer.url).replace("events", "no-retry"))

    delivery = await sandbox.mention("sre1", "ops", "hello")

    assert (delivery.error, delivery.attempts) == ("dispatch_failed", 1)


async def test_a_command_is_not_sent_again(sandbox: Sandbox, listener: list[Any]) -> None:
    """Slack retries events only; the member sees dispatch_failed."""
    delivery = await sandbox.slash("sre1", "ops", "/maint")

    assert (delivery.error, delivery.status, len(listener)) == ("dispatch_failed", 500, 1)


async def test_an_app_that_is_down_cannot_be_dispatched_to(sandbox: Sandbox, unused_port: int) -> None:
    """Nobody listens."""
    sandbox.deliver_to(f"http://127.0.0.1:{unused_port}/slack/events")

    assert (await sandbox.slash("sre1", "ops", "/maint")).error == "dispatch_failed"


@pytest.fixture
async def unused_port() -> int:
    """A port on which nobody listens any more."""
    async with Sandbox.start() as other:
        return int(other.workspace.base_url.rsplit(":", 1)[1].rstrip("/"))


@pytest.mark.parametrize(
    ("signed_at", "secret"), [(0.0, "right"), (-301.0, "right"), (330.0, "right"), (0.0, "wrong")]
)
async def test_bolt_takes_only_a_fresh_request_with_the_right_signature(
    sandbox: Sandbox, app: AsyncApp, http: str, signed_at: float, secret: str
) -> None:
    """Forged requests can be made, and are refused by the app."""

    @app.command("/maint")
    async def maint(ack: Any) -> None:
        await ack()

    key = sandbox.signing_secret if secret == "right" else "wrong"
    body = b"command=/maint&text=&user_id=U00000SRE1&channel_id=C000000OPS&team_id=T00SANDBOX"
    headers = signed.headers_for(key, body, signed.FORM, time.time() + signed_at)

    answer = await sandbox.request(body, headers)

    assert answer.status == (200 if (signed_at, secret) == (0.0, "right") else 401)


async def test_a_request_without_headers_of_its_own_is_signed(sandbox: Sandbox, http: str) -> None:
    """The handshake of the Events API, as Slack does it when the URL is set."""
    body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()

    answer = await sandbox.request(body, content_type="application/json")

    assert (answer.status, answer.payload()) == (200, {"challenge": "abc"})
