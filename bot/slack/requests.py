"""Signed HTTP requests from Slack, for teams that do not use Socket Mode.

Everything about a request is checked on its raw bytes before anything parses it: size, timestamp,
signature, encoding. Bolt alone answers several malformed ones with 500, and reads them before it checks.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Sequence
from urllib.parse import parse_qs

import structlog
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

log = structlog.get_logger()

PATH = "/slack/events"
#: Seconds that a request's clock may differ from ours (docs.slack.dev, verifying requests from Slack).
LONGEST_SKEW = 300
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


def slack_route(bolt: AsyncApp, signing_secret: str) -> web.RouteDef:
    """Where Slack sends its requests to; the server must bound a body's size."""

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not is_signed(signing_secret, timestamp, signature, body, time.time()):
            log.warning("slack.unsigned", remote=request.remote)
            return web.Response(status=401, text="not signed by Slack")
        text = _form(request.content_type, body)
        if text is None:
            return web.Response(status=400, text="not a request that Slack would send")
        headers: dict[str, str | Sequence[str]] = {"content-type": request.content_type}
        answer = await bolt.async_dispatch(AsyncBoltRequest(body=text, headers=headers))
        kind = answer.headers.get("content-type", ["text/plain"])[0].split(";")[0]
        return web.Response(status=answer.status, text=answer.body or "", content_type=kind)

    return web.post(PATH, take)


def is_signed(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> bool:
    """Whether Slack signed exactly these bytes within the last five minutes."""
    if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return False
    if abs(now - int(timestamp)) > LONGEST_SKEW:
        return False
    signed = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


def _form(content_type: str, body: bytes) -> str | None:
    """The body as text, if it is one that Bolt can parse."""
    try:
        text = body.decode()
        if content_type == "application/json":
            return text if isinstance(json.loads(text), dict) else None
        if content_type != "application/x-www-form-urlencoded":
            return None
        fields = parse_qs(text, errors="strict", max_num_fields=1000)
        if "payload" in fields:
            return text if isinstance(json.loads(fields["payload"][0]), dict) else None
        return text if fields else None
    except (ValueError, RecursionError):
        return None
