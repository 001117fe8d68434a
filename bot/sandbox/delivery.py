"""Delivering to the app, by Socket Mode or by HTTP, within three seconds, again if it is an event."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.sandbox import signed
from bot.sandbox.feed import Kind
from bot.sandbox.model import Message
from bot.sandbox.sockets import NotConnectedError, Sockets
from bot.sandbox.workspace import Workspace

ACK_SECONDS = 3.0  # docs.slack.dev, "Acknowledgment response"
#: Seconds before each retry of an event. Slack's are 0, 60 and 300: here a second stands for a minute.
RETRIES = (0.0, 1.0, 5.0)


@dataclass
class Delivery:
    """What became of something that was sent to the app.

    `error` is what the member would be told, such as `operation_timeout`; `answer` is what the app said
    with its acknowledgement, `message` what it thereby showed.
    """

    kind: str
    payload: dict[str, Any] = field(repr=False)
    answer: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    status: int | None = None
    attempts: int = 0
    final: bool = False  # the app asked not to be asked again
    message: Message | None = None

    @property
    def acked(self) -> bool:
        """Did the app say in time that it got it?"""
        return self.error is None


@dataclass
class Deliverer:
    """Sends to the app: to `url` if there is one, else to a Socket Mode connection."""

    workspace: Workspace
    sockets: Sockets
    url: str | None = None
    ack_seconds: float = ACK_SECONDS
    retries: tuple[float, ...] = RETRIES
    session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the HTTP session."""
        if self.session is not None:
            await self.session.close()

    async def deliver(self, kind: str, payload: dict[str, Any]) -> Delivery:
        """Sends it once, or an event until it is acknowledged. Never raises for what the app did."""
        delivery = Delivery(kind, payload)
        again: dict[str, Any] = {}
        for wait in (None, *(self.retries if kind == "events_api" else ())):
            if wait is not None:
                if delivery.acked or delivery.final:
                    break
                await asyncio.sleep(wait)
                again = {"retry_attempt": delivery.attempts, "retry_reason": self._reason(delivery)}
            await self._attempt(delivery, again)
        self.workspace.feed.publish(Kind.DELIVERED, delivery)
        return delivery

    async def _attempt(self, delivery: Delivery, again: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        delivery.attempts += 1
        delivery.error, delivery.status = None, None
        try:
            if self.url is None:
                delivery.answer = await self._by_socket(delivery, again)
            else:
                await self._by_http(delivery, again)
        except TimeoutError:
            delivery.error = "operation_timeout"
        except (NotConnectedError, aiohttp.ClientError, OSError):
            delivery.error = "dispatch_failed"
        delivery.seconds = loop.time() - start

    async def _by_socket(self, delivery: Delivery, again: dict[str, Any]) -> dict[str, Any]:
        envelope = {
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
        }
        if delivery.kind == "events_api":
            envelope |= {"retry_attempt": 0, "retry_reason": "", **again}
        return await self.sockets.send(envelope, self.ack_seconds)

    async def _by_http(self, delivery: Delivery, again: dict[str, Any]) -> None:
        assert self.url is not None
        body, content_type = signed.encoded(delivery.kind, delivery.payload)
        headers = signed.headers_for(self.workspace.signing_secret, body, content_type)
        if again:
            headers |= {
                "X-Slack-Retry-Num": str(again["retry_attempt"]),
                "X-Slack-Retry-Reason": again["retry_reason"],
            }
        answer = await self.request(body, headers)
        delivery.status = answer.status
        delivery.answer = answer.payload()
        if not 200 <= answer.status < 300:
            delivery.error = "dispatch_failed"
            delivery.final = answer.headers.get("X-Slack-No-Retry") == "1"

    def _reason(self, delivery: Delivery) -> str:
        """Slack's word for why it tries again."""
        if delivery.status is not None:
            return "http_error"
        if delivery.error != "operation_timeout":
            return "connection_failed"
        return "timeout" if self.url is None else "http_timeout"

    async def request(self, body: bytes, headers: dict[str, str]) -> signed.HttpAnswer:
        """Any request to the app's URL, a forged one too. Raises TimeoutError and aiohttp.ClientError."""
        assert self.url is not None, "deliver_to(url) comes first"
        if self.session is None:
            self.session = aiohttp.ClientSession()
        self.workspace.log("request", {"headers": _shown(headers), "body": body.decode(errors="replace")})
        answer = await signed.post(self.session, self.url, body, headers, self.ack_seconds)
        self.workspace.log("answer", {"status": answer.status, "body": answer.body})
        return answer


def _shown(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "X-Slack-Signature"}
