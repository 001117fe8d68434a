"""What is kept in a workspace: channels, messages, files and views."""

import re
import time
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.people import APP_ID, BOT_ID, TEAM_ID

#: What rings for everybody in a channel, if it arrives unescaped.
BROADCAST = re.compile(r"<!(?:channel|here|everyone|group)(?:\|[^>]*)?>")


@dataclass
class Channel:
    """A channel, a group, or a direct message with the bot (then `user` is the other one)."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)
    is_private: bool = False
    is_archived: bool = False
    user: str | None = None
    topic: str = ""
    creator: str = ""
    created: int = 1_700_000_000

    @property
    def is_im(self) -> bool:
        """Is it a direct message?"""
        return self.user is not None

    def to_dict(self, viewer: str) -> dict[str, Any]:
        """A conversation object, as that member sees it."""
        if self.is_im:
            return {
                "id": self.id,
                "created": self.created,
                "is_im": True,
                "is_org_shared": False,
                "user": self.user,
                "is_user_deleted": False,
                "priority": 0,
            }
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_shared": False,
            "is_ext_shared": False,
            "is_org_shared": False,
            "is_member": viewer in self.members,
            "created": self.created,
            "creator": self.creator,
            "context_team_id": TEAM_ID,
            "shared_team_ids": [TEAM_ID],
            "topic": {"value": self.topic, "creator": self.creator, "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
            "num_members": len(self.members),
        }


@dataclass(frozen=True)
class Content:
    """What a message says at one time."""

    text: str = ""
    blocks: tuple[dict[str, Any], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    time: float = field(default_factory=time.time)

    @property
    def broadcasts(self) -> bool:
        """Would it ring for everybody?"""
        return bool(BROADCAST.search(self.text)) or _rings([*self.blocks, *self.attachments])


def _rings(value: Any) -> bool:
    """Is there a broadcast in anything but plain_text, whose marks are not read?"""
    if isinstance(value, list):
        return any(_rings(item) for item in value)
    if not isinstance(value, dict):
        return isinstance(value, str) and bool(BROADCAST.search(value))
    if value.get("type") == "broadcast":
        return True
    if value.get("type") in {"plain_text", "raw_text", "text"}:
        return False
    return any(
        _rings(item) for key, item in value.items() if key in {"text", "pretext"} or not isinstance(item, str)
    )


@dataclass
class Message:
    """A message, with all it ever said. `ephemeral_to`: the one member who sees it."""

    channel: str
    ts: str
    user: str
    content: Content
    thread_ts: str | None = None
    ephemeral_to: str | None = None
    bot_id: str | None = None
    username: str | None = None
    metadata: dict[str, Any] | None = None
    files: list["File"] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    pinned: bool = False
    deleted: bool = False
    reply_broadcast: bool = False
    #: The last version's time as Slack shows it, once it was edited.
    edited: str | None = None
    #: Every version with its time, the first one included.
    history: list[Content] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text now."""
        return self.content.text

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The blocks now."""
        return list(self.content.blocks)

    @property
    def broadcast(self) -> bool:
        """Did any version of it ring for everybody?"""
        return any(content.broadcasts for content in self.history)

    @property
    def root(self) -> str:
        """The ts of the thread that a reply to this belongs to."""
        return self.thread_ts or self.ts

    @property
    def shown(self) -> str:
        """Everything in it that somebody can read: the text, or that of the blocks if it has some."""
        return "\n".join(_read(self.blocks)) if self.content.blocks else self.text

    def to_dict(self, *, with_metadata: bool = True) -> dict[str, Any]:
        """A message object, as in conversations.history."""
        found: dict[str, Any] = {
            "type": "message",
            "user": self.user,
            "ts": self.ts,
            "text": self.text,
            "team": TEAM_ID,
        }
        if self.bot_id is not None:
            found |= {
                "bot_id": self.bot_id,
                "app_id": APP_ID,
                "bot_profile": {"id": BOT_ID, "app_id": APP_ID, "name": "Maint"},
            }
        if self.username is not None:
            found["username"] = self.username
        if self.content.blocks:
            found["blocks"] = self.blocks
        if self.content.attachments:
            found["attachments"] = list(self.content.attachments)
        if self.thread_ts is not None:
            found["thread_ts"] = self.thread_ts
        if self.edited is not None:
            found["edited"] = {"user": self.user, "ts": self.edited}
        if self.metadata is not None and with_metadata:
            found["metadata"] = self.metadata
        if self.files:
            found["files"] = [file.to_dict() for file in self.files]
        if self.reactions:
            found["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()
            ]
        if self.pinned:
            found["pinned_to"] = [self.channel]
        return found

    def __str__(self) -> str:
        return f"{self.channel}/{self.ts} {self.shown[:80]!r}"


def _read(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _read(item)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) else []
    return own + [text for item in value.values() if isinstance(item, dict | list) for text in _read(item)]


@dataclass
class File:
    """A file. It has no content until it is uploaded, and no place until it is shared."""

    id: str
    name: str
    length: int
    title: str = ""
    alt_text: str = ""
    content: bytes | None = field(default=None, repr=False)
    channels: list[str] = field(default_factory=list)
    url: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A file object, as in files.info."""
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title or self.name,
            "size": self.length,
            "mode": "hosted",
            "url_private": self.url,
            "url_private_download": self.url,
            "alt_txt": self.alt_text,
            "channels": list(self.channels),
        }


@dataclass
class View:
    """A modal or a Home tab of one member. `state` is what the member has entered."""

    id: str
    user: str
    definition: dict[str, Any]
    hash: str
    root_id: str = ""
    previous_id: str | None = None
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    closed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """A view object, as in views.open."""
        definition = self.definition
        found = {
            "id": self.id,
            "team_id": TEAM_ID,
            "type": definition["type"],
            "blocks": definition["blocks"],
            "private_metadata": definition.get("private_metadata", ""),
            "callback_id": definition.get("callback_id", ""),
            "external_id": definition.get("external_id", ""),
            "state": {"values": self.state},
            "hash": self.hash,
            "previous_view_id": self.previous_id,
            "root_view_id": self.root_id or self.id,
            "app_id": APP_ID,
            "app_installed_team_id": TEAM_ID,
            "bot_id": BOT_ID,
        }
        if definition["type"] == "modal":
            found |= {
                "title": definition["title"],
                "close": definition.get("close"),
                "submit": definition.get("submit"),
                "clear_on_close": definition.get("clear_on_close", False),
                "notify_on_close": definition.get("notify_on_close", False),
            }
        return found

    def __str__(self) -> str:
        return f"{self.definition['type']} {self.definition.get('callback_id', '')} of {self.user}"
