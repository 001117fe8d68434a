"""Signed HTTP requests from Slack, for teams that do not use Socket Mode.

Everything about a request is checked on its raw bytes before anything parses it: size, timestamp,
signature, encoding. Bolt alone answers several malformed ones with 500, and reads them before it checks.
"""

import hashlib
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import parse_qsl

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
        fields = _fields(request.content_type, body)
        if fields is None:
            return _malformed()
        try:
            # As JSON: of a form Bolt drops every field when the word "payload" is anywhere in it.
            text = json.dumps(fields)
            bolt_request = AsyncBoltRequest(body=text, headers={"content-type": "application/json"})
            answer = await bolt.async_dispatch(bolt_request)
        except Exception:
            # What a listener raises Bolt answers itself; this is Bolt stumbling over fields of odd types.
            log.exception("slack.malformed", remote=request.remote)
            return _malformed()
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


def _malformed() -> web.Response:
    return web.Response(status=400, text="not a request that Slack would send")


def _fields(content_type: str, body: bytes) -> dict[str, Any] | None:
    """What the body says, if it is one that Slack would send."""
    try:
        text = body.decode()
        if content_type == "application/json":
            found = json.loads(text)
        elif content_type == "application/x-www-form-urlencoded":
            found = dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000))
            if "payload" in found:
                found = json.loads(found["payload"])
        else:
            return None
    except (ValueError, RecursionError):
        return None
    return found if found and isinstance(found, dict) and _is_whole(found) else None


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether the parts that Bolt and our listeners look into are there, and of their type."""
    if not all(
        isinstance(found.get(name, {}), dict) for name in ("event", "view", "user", "team", "channel")
    ):
        return False
    match found.get("type"):
        case "block_actions":
            return _has_texts(next(iter(_list(found.get("actions"))), None), "action_id", "block_id")
        case "block_suggestion":
            return _has_texts(found, "action_id", "block_id")
        case "view_submission" | "view_closed":
            return _is_view(found.get("view"))
    actions = found.get("actions", [{}])
    return isinstance(actions, list) and bool(actions) and isinstance(actions[0], dict)


def _is_view(view: Any) -> bool:
    if not _has_texts(view, "callback_id") or not isinstance(view.get("state"), dict):
        return False
    values = view["state"].get("values")
    entered = [*values.values()] if isinstance(values, dict) else [None]
    blocks = _list(view.get("blocks"))
    return all(
        isinstance(entries, dict) and all(isinstance(entry, dict) for entry in entries.values())
        for entries in entered
    ) and all(_has_texts(block, "type", "block_id") for block in blocks)


def _has_texts(part: Any, *names: str) -> bool:
    return isinstance(part, dict) and all(isinstance(part.get(name), str) for name in names)


def _list(part: Any) -> list[Any]:
    return part if isinstance(part, list) else []
