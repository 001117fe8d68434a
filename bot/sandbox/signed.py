"""Signed HTTP requests, the way Slack delivers without Socket Mode."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class HttpAnswer:
    """What the app answered to a request."""

    status: int
    headers: dict[str, str]
    body: str

    def payload(self) -> dict[str, Any]:
        """The answer as a Socket Mode acknowledgement would carry it."""
        if "application/json" in self.headers.get("Content-Type", ""):
            try:
                found = json.loads(self.body or "{}")
            except ValueError:
                return {}
            return found if isinstance(found, dict) else {}
        return {"text": self.body} if self.body else {}


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's v0 signature (docs.slack.dev, "Verifying requests from Slack")."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()


def encoded(kind: str, payload: dict[str, Any]) -> tuple[bytes, str]:
    """The body and its content type for a payload of that kind of envelope."""
    if kind == "slash_commands":
        return urlencode(payload).encode(), FORM
    if kind == "interactive":
        return urlencode({"payload": json.dumps(payload)}).encode(), FORM
    return json.dumps(payload).encode(), "application/json"


def headers_for(secret: str, body: bytes, content_type: str, now: float | None = None) -> dict[str, str]:
    """The headers of a request that was signed at `now`, in seconds since 1970."""
    timestamp = str(int(time.time() if now is None else now))
    return {
        "Content-Type": content_type,
        "User-Agent": AGENT,
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": signature(secret, timestamp, body),
    }


async def post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str], seconds: float
) -> HttpAnswer:
    """Sends it. Raises TimeoutError after `seconds`, and aiohttp.ClientError."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with session.post(
        url, data=body, headers=headers, timeout=timeout, allow_redirects=False
    ) as response:
        return HttpAnswer(response.status, dict(response.headers), await response.text())
