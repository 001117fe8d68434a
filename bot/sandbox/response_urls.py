"""Response URLs: five answers within thirty minutes, without a token."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.sandbox import forms, validate
from bot.sandbox.errors import SlackError
from bot.sandbox.model import Content, Message
from bot.sandbox.people import BOT_USER_ID
from bot.sandbox.workspace import Workspace

USES, SECONDS = 5, 30 * 60  # docs.slack.dev, "Handling user interaction"
KNOWN = {
    "text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts",
    "unfurl_links", "unfurl_media", "mrkdwn", "metadata",
}  # fmt: skip


@dataclass
class ResponseUrl:
    """Where an interaction came from; `message` is the one that was clicked."""

    channel: str
    user: str
    ends: float
    message: Message | None = None
    uses: int = 0


class ResponseUrls:
    """The response URLs that were given out."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._given: dict[str, ResponseUrl] = {}

    def give(self, channel: str, user: str, message: Message | None = None) -> str:
        """A new response URL."""
        secret = uuid.uuid4().hex
        self._given[secret] = ResponseUrl(channel, user, self._workspace.now() + SECONDS, message)
        return f"{self._workspace.base_url}response/{secret}"

    async def handle(self, request: web.Request) -> web.Response:
        """The aiohttp handler of /response/{secret}."""
        body = await request.text()
        try:
            sent = json.loads(body)
            if not isinstance(sent, dict):
                raise SlackError("invalid_payload")
            self.answer(request.match_info["secret"], sent)
        except ValueError:
            return web.json_response(SlackError("invalid_payload").answer, status=400)
        except SlackError as error:
            self._workspace.log("response_url", error.answer)
            gone = error.code in {"no_such_url", "used_url", "expired_url"}
            return web.json_response(error.answer, status=404 if gone else 400)
        self._workspace.log("response_url", sent)
        return web.Response(text="ok")

    def answer(self, secret: str, sent: dict[str, Any]) -> None:
        """Does what was sent to that URL. Raises SlackError."""
        url = self._given.get(secret)
        if url is None:
            raise SlackError("no_such_url")
        if self._workspace.now() >= url.ends:
            raise SlackError("expired_url")
        if url.uses >= USES:
            raise SlackError("used_url")
        sent = {name: value for name, value in sent.items() if value is not None}
        if unknown := set(sent) - KNOWN:
            raise SlackError("invalid_payload", unknown=sorted(unknown))
        original = self._standing(url)
        if sent.get("delete_original"):
            if original is None:
                raise SlackError("message_not_found")
            self._workspace.delete(original)
        elif sent.get("replace_original") and original is not None:
            self._workspace.edit(original, content_of(sent))
        else:
            post(self._workspace, url.channel, url.user, sent, self._thread(url, sent))
        url.uses += 1

    def _standing(self, url: ResponseUrl) -> Message | None:
        return None if url.message is None or url.message.deleted else url.message

    def _thread(self, url: ResponseUrl, sent: dict[str, Any]) -> str | None:
        if sent.get("thread_ts"):
            return str(sent["thread_ts"])
        return url.message.thread_ts if url.message else None


def content_of(sent: dict[str, Any]) -> Content:
    """What an answer says. Raises SlackError."""
    blocks = validate.message_blocks(sent["blocks"], summed=False) if sent.get("blocks") else []
    attached = validate.attachments(sent["attachments"]) if sent.get("attachments") else []
    text = str(sent.get("text", ""))
    if not text and not blocks and not attached:
        raise SlackError("no_text")
    return Content(text, tuple(forms.with_ids(blocks)), tuple(attached))


def post(
    workspace: Workspace, channel: str, user: str, sent: dict[str, Any], thread_ts: str | None = None
) -> Message:
    """An answer as a new message, for that member alone unless it says otherwise. Raises SlackError."""
    private = sent.get("response_type", "ephemeral") != "in_channel"
    return workspace.post(
        channel, BOT_USER_ID, content_of(sent), thread_ts=thread_ts, ephemeral_to=user if private else None
    )
