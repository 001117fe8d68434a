"""The HTTP edge: signed requests from Slack at /slack/events, and /healthz and /readyz for who runs us.

Everything about a request is checked on its raw bytes before anything parses it: size, timestamp,
signature, encoding. Bolt alone answers several malformed ones with 500, and reads them before it checks.
"""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs

import structlog
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

log = structlog.get_logger()

#: Bytes of a request; Slack's largest, a modal's submission, stays below 250 kB.
LARGEST_BODY = 1_000_000
#: Seconds that a request's clock may differ from ours (docs.slack.dev, verifying requests from Slack).
LONGEST_SKEW = 300
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")

Ready = Callable[[], Awaitable[dict[str, str]]]


def make_http(bolt: AsyncApp | None, signing_secret: str, ready: Ready) -> web.Application:
    """The server's routes. `ready` says what is wrong, by part; nothing wrong is an empty dict."""
    http = web.Application(client_max_size=LARGEST_BODY)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_: web.Request) -> web.Response:
        faults = await ready()
        status = {"status": "not ready", **faults} if faults else {"status": "ready"}
        return web.json_response(status, status=503 if faults else 200)

    async def slack(request: web.Request) -> web.Response:
        assert bolt is not None
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

    http.router.add_get("/healthz", healthz)
    http.router.add_get("/readyz", readyz)
    if bolt is not None:
        http.router.add_post("/slack/events", slack)
    return http


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


class HttpServer:
    """Listens on one address from `start` to `stop`."""

    def __init__(self, http: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(http, access_log=None, shutdown_timeout=5)
        self._host = host
        self._port = port

    async def start(self) -> int:
        """Starts to listen and returns the port. Raises OSError if the address is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stops listening, and lets answers under way be sent."""
        await asyncio.shield(self._runner.cleanup())
