"""What a Web API method is, and how it reads its arguments."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.sandbox.errors import SlackError, invalid
from bot.sandbox.model import Channel, Message
from bot.sandbox.people import BOT_USER_ID
from bot.sandbox.triggers import Triggers
from bot.sandbox.workspace import Workspace


@dataclass(frozen=True)
class Request:
    """One call, on its way to the method's handler."""

    workspace: Workspace
    triggers: Triggers
    arguments: dict[str, Any]

    def text(self, name: str, default: str = "") -> str:
        """A string argument."""
        value = self.arguments.get(name)
        return default if value is None else str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean argument: JSON's, or as forms write it."""
        value = self.arguments.get(name)
        return default if value is None else value in (True, 1, "1", "true", "True")

    def number(self, name: str, default: int) -> int:
        """A whole number. Raises SlackError."""
        try:
            return int(self.text(name, str(default)))
        except ValueError:
            raise invalid("invalid_arguments", f"`{name}` must be an integer") from None

    def words(self, name: str) -> list[str]:
        """A list, as JSON or with commas between."""
        value = self.arguments.get(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        return [item.strip() for item in str(value or "").split(",") if item.strip()]

    def json(self, name: str) -> Any:
        """A value that may have come as JSON text. Raises SlackError."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise invalid("invalid_arguments", f"`{name}` must be valid JSON") from None

    def need(self, scope: str) -> None:
        """Raises SlackError when the app does not have that scope."""
        if not self.workspace.grants(scope):
            raise SlackError("missing_scope", needed=scope, provided=",".join(sorted(self.workspace.scopes)))

    def channel(self, name: str = "channel") -> Channel:
        """A conversation that the bot can know of. Raises SlackError."""
        wanted = self.text(name)
        channel = self.workspace.channels.get(wanted)
        if channel is None or (channel.is_private and BOT_USER_ID not in channel.members):
            raise SlackError("channel_not_found")
        return channel

    def own_channel(self, name: str = "channel") -> Channel:
        """A conversation that the bot is in. Raises SlackError."""
        channel = self.channel(name)
        if BOT_USER_ID not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def message(self, channel: Channel, ts: str, code: str = "message_not_found") -> Message:
        """A message in that channel that is there for everybody. Raises SlackError with that code."""
        message = self.workspace.find_message(channel.id, self.text(ts))
        if message is None or message.ephemeral_to is not None:
            raise SlackError(code)
        return message

    def page(self, items: list[dict[str, Any]], name: str, default: int = 100) -> dict[str, Any]:
        """One page of a list, with the cursor of the next. Raises SlackError."""
        limit = self.number("limit", default)
        cursor = self.text("cursor")
        start = 0
        if cursor:
            if not cursor.removeprefix("next:").isdigit():
                raise SlackError("invalid_cursor")
            start = int(cursor.removeprefix("next:"))
        if not 0 < limit <= 1000:
            raise SlackError("invalid_limit")
        end = start + limit
        return {
            name: items[start:end],
            "response_metadata": {"next_cursor": f"next:{end}" if end < len(items) else ""},
        }


Handler = Callable[[Request], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """A Web API method: who may call it, how often, and with what.

    `scope` None: any token will do. `by_kind`: `scope` is for public channels, and the handler asks for that
    of the conversation's kind. `tier`: calls a minute, None for a rule of its own.
    """

    handler: Handler
    scope: str | None = None
    tier: int | None = 50
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    app_token: bool = False
    by_kind: bool = False
