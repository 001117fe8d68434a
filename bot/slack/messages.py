"""The message of a card: posted once, edited, looked for, linked to. Raises SlackError and nothing else.

Each carries the card's id and the version that it shows as metadata, so what arrived although its answer
was lost is found, and what stands in Slack can be held against the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.slack.client import SlackClient
from bot.slack.publisher import METADATA
from bot.slack.render import blocks, fallback
from bot.slack.trouble import CONNECTION_ERRORS, as_slack_error
from commands.reply import Reply
from runbooks.records.cards import Card

#: Seconds that the clocks of Slack and of the database may differ.
SKEW = 60
#: Messages of one page of a channel's history, and pages that are read at most.
PAGE, MOST_PAGES = 200, 50
#: Links that are remembered.
MOST_LINKS = 5000


@dataclass(frozen=True)
class Standing:
    """What Slack shows since a moment: the version that each card shows, by its id, and its place."""

    since: float
    versions: Mapping[str, tuple[str, int]]


class Messages:
    """The messages of cards that are drawn from the database."""

    def __init__(self, slack: SlackClient, channels: Mapping[str, str]) -> None:
        """`channels`: maint.yaml's names of channels."""
        self._web = slack.unpaced
        self._channels = channels
        self._links: dict[tuple[str, str], str] = {}

    async def post(self, card: Card, reply: Reply, version: int) -> str:
        """Posts the card and returns its ts."""
        return str((await self._call("chat.postMessage", _content(card, reply, version)))["ts"])

    async def edit(self, card: Card, reply: Reply, version: int) -> None:
        """Draws the card anew, where it stands."""
        await self._call("chat.update", {**_content(card, reply, version), "ts": card.ts})

    async def find(self, card: Card) -> str | None:
        """The ts of the card, if it was posted although its answer was lost."""
        found = await self.standing(card.channel, card.created_at)
        place = found.versions.get(card.id)
        return place[0] if place else None

    async def standing(self, channel: str, since: datetime) -> Standing:
        """What the channel shows of our cards that were posted since."""
        oldest = since.timestamp() - SKEW
        versions: dict[str, tuple[str, int]] = {}
        cursor = ""
        for _ in range(MOST_PAGES):
            query = {"channel": channel, "oldest": f"{oldest:.6f}", "limit": PAGE}
            more = {"cursor": cursor} if cursor else {}
            page = await self._call("conversations.history", {**query, **more, "include_all_metadata": True})
            for message in page["messages"]:
                metadata = message.get("metadata") or {}
                payload = metadata.get("event_payload") or {}
                if metadata.get("event_type") == METADATA and "version" in payload:
                    versions[str(payload.get("card"))] = (str(message["ts"]), int(payload["version"]))
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return Standing(oldest, versions)
        # The channel is busy: what lies further back was not seen, and nothing is said of it.
        return Standing(float(page["messages"][-1]["ts"]), versions)

    async def link(self, channel: str, ts: str) -> str:
        """Where people find that message; remembered, for it never changes."""
        known = self._links.get((channel, ts))
        if known is None:
            answer = await self._call("chat.getPermalink", {"channel": channel, "message_ts": ts})
            if len(self._links) >= MOST_LINKS:
                self._links.clear()
            known = self._links[channel, ts] = str(answer["permalink"])
        return known

    async def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = str(arguments["channel"])
        arguments = {**arguments, "channel": self._channels.get(channel, channel)}
        try:
            if method in ("conversations.history", "chat.getPermalink"):
                answer = await self._web.api_call(method, params=arguments)
            else:
                answer = await self._web.api_call(method, json=arguments)
        except (SlackApiError, *CONNECTION_ERRORS) as error:
            raise as_slack_error(error) from error
        return dict(answer.data) if isinstance(answer.data, dict) else {}


def _content(card: Card, reply: Reply, version: int) -> dict[str, Any]:
    posted = {} if card.ts else {"unfurl_links": False, "unfurl_media": False}
    return {
        "channel": card.channel,
        "text": fallback(reply),
        "blocks": blocks(reply),
        "metadata": {"event_type": METADATA, "event_payload": {"card": card.id, "version": version}},
        **posted,
    }
