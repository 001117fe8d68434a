"""The state of the sandbox, all of it, and the feed that tells of every change."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.errors import SlackError
from bot.sandbox.feed import Feed, Kind
from bot.sandbox.model import Channel, Content, File, Message, View
from bot.sandbox.people import BOT_ID, BOT_NAME, BOT_USER_ID, Member, Usergroup, members, usergroups

#: What the app asked for when it was installed, unless a test says otherwise.
ALL_SCOPES = frozenset(
    {
        *(
            "app_mentions:read",
            "bookmarks:write",
            "chat:write",
            "chat:write.customize",
            "commands",
            "files:read",
            "files:write",
        ),
        "pins:write",
        *("channels:history", "channels:join", "channels:manage", "channels:read", "reactions:write"),
        *("groups:history", "groups:read", "groups:write", "im:history", "im:read", "im:write"),
        *("mpim:history", "mpim:read", "mpim:write", "usergroups:read", "users:read", "users:read.email"),
    }
)
#: What the app must be granted to hear of each event.
EVENT_SCOPES = {
    "app_home_opened": None,
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "subteam_members_changed": "usergroups:read",
    "subteam_updated": "usergroups:read",
    "user_change": "users:read",
}
#: The events that the app listens to, as in its manifest.
EVENTS = frozenset(
    {
        *("app_home_opened", "app_mention", "message.im"),
        *("subteam_members_changed", "subteam_updated", "user_change"),
    }
)


@dataclass(frozen=True)
class Call:
    """One call of a Web API method: what was asked, without its token, and what was answered."""

    method: str
    arguments: dict[str, Any]
    answer: dict[str, Any]
    time: float
    status: int = 200
    fault: str | None = None


@dataclass(frozen=True)
class Line:
    """A line of the protocol log. `data` never holds a token or a secret."""

    what: str
    data: Any


@dataclass
class Workspace:
    """One team with one app installed."""

    bot_token: str = field(default_factory=lambda: f"xoxb-sandbox-{uuid.uuid4().hex}", repr=False)
    app_token: str = field(default_factory=lambda: f"xapp-1-sandbox-{uuid.uuid4().hex}", repr=False)
    signing_secret: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)
    scopes: frozenset[str] = ALL_SCOPES
    events: frozenset[str] = EVENTS
    home_tab: bool = True
    should_escape: bool = True
    #: The slash commands with their should_escape; None: any command there is.
    commands: dict[str, bool] | None = None
    scopes_used: set[str] = field(default_factory=set)
    base_url: str = ""
    feed: Feed = field(default_factory=Feed)
    members: dict[str, Member] = field(default_factory=lambda: {member.id: member for member in members()})
    usergroups: dict[str, Usergroup] = field(
        default_factory=lambda: {group.id: group for group in usergroups()}
    )
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: dict[tuple[str, str], Message] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)
    bookmarks: list[dict[str, Any]] = field(default_factory=list)
    tickets: set[str] = field(default_factory=set, repr=False)  # for one WebSocket each
    calls: list[Call] = field(default_factory=list)
    _ahead: float = 0.0
    _last_ts: int = 0

    def __post_init__(self) -> None:
        humans = [m.id for m in self.members.values() if not m.is_bot and not m.deleted and not m.is_stranger]
        everyone = [*humans, "U0STRANGER"]
        for channel in (
            Channel("C000000OPS", "ops", [*everyone, BOT_USER_ID]),
            Channel("C0000ALERTS", "alerts", [*humans, BOT_USER_ID]),
            Channel("C0000RANDOM", "random", list(humans)),
            Channel("C0000LEADS", "leads", ["U0000ADMIN", "U00000SRE1"], is_private=True),
            Channel("C000ARCHIVE", "archive", [*humans, BOT_USER_ID], is_archived=True),
        ):
            channel.creator = "U0000ADMIN"
            self.channels[channel.id] = channel

    def now(self) -> float:
        """Seconds on the sandbox's clock, which `advance` sets forward."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Lets trigger ids, response URLs and rate limits age."""
        self._ahead += seconds

    def next_ts(self) -> str:
        """A message's time, which is also its id."""
        self._last_ts = max(int(time.time() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def new_id(self, letter: str) -> str:
        """An id that was not used before."""
        return letter + uuid.uuid4().hex[:10].upper()

    def install(self, manifest: dict[str, Any]) -> None:
        """The app has the scopes, events, commands and Home tab of its manifest, and no others."""
        features, settings = manifest["features"], manifest["settings"]
        self.scopes = frozenset(manifest["oauth_config"]["scopes"]["bot"])
        self.events = frozenset(settings.get("event_subscriptions", {}).get("bot_events", ()))
        commands = features.get("slash_commands", ())
        self.commands = {each["command"]: each.get("should_escape", False) for each in commands}
        self.home_tab = features.get("app_home", {}).get("home_tab_enabled", False)

    def grants(self, scope: str) -> bool:
        """Does the app have that scope? If so, it counts as used."""
        if scope in self.scopes:
            self.scopes_used.add(scope)
        return scope in self.scopes

    def hears(self, event: str) -> bool:
        """Is that event delivered to the app? It must have subscribed, and have the scope."""
        scope = EVENT_SCOPES[event]
        return event in self.events and (scope is None or self.grants(scope))

    def log(self, what: str, data: Any) -> None:
        """Adds a line to the protocol log."""
        self.feed.publish(Kind.PROTOCOL, Line(what, data))

    def member(self, name: str) -> Member:
        """A member by handle or id, with or without `@`. Raises LookupError."""
        name = name.removeprefix("@")
        for member in self.members.values():
            if name in (member.id, member.name):
                return member
        raise LookupError(f"no member {name!r}; there are {', '.join(m.name for m in self.members.values())}")

    def usergroup(self, name: str) -> Usergroup:
        """A usergroup by handle or id, with or without `@`. Raises LookupError."""
        name = name.removeprefix("@")
        for group in self.usergroups.values():
            if name in (group.id, group.handle):
                return group
        raise LookupError(
            f"no usergroup {name!r}; there are {', '.join(g.handle for g in self.usergroups.values())}"
        )

    def channel(self, name: str) -> Channel:
        """A channel by name or id, with or without `#`; `@sre1` is the bot's conversation with sre1.

        Raises LookupError.
        """
        if name.startswith("@"):
            return self.direct(self.member(name).id)
        name = name.removeprefix("#")
        for channel in self.channels.values():
            if name in (channel.id, channel.name):
                return channel
        raise LookupError(
            f"no channel {name!r}; there are {', '.join(c.name for c in self.channels.values())}"
        )

    def direct(self, user: str) -> Channel:
        """The conversation of the bot with one member."""
        channel_id = "D" + user[1:]
        if channel_id not in self.channels:
            channel = Channel(channel_id, "directmessage", [user, BOT_USER_ID], user=user)
            self.channels[channel_id] = channel
            self.feed.publish(Kind.CHANNEL, channel)
        return self.channels[channel_id]

    def add_channel(self, name: str, creator: str, *, is_private: bool = False) -> Channel:
        """A new channel with its creator in it."""
        channel = Channel(
            self.new_id("C"),
            name,
            [creator],
            is_private=is_private,
            creator=creator,
            created=int(time.time()),
        )
        self.channels[channel.id] = channel
        self.feed.publish(Kind.CHANNEL, channel)
        return channel

    def post(self, channel: str, user: str, content: Content, **more: Any) -> Message:
        """A new message. `more`: fields of Message."""
        bot_id = BOT_ID if user == BOT_USER_ID else None
        message = Message(channel, self.next_ts(), user, content, bot_id=bot_id, history=[content], **more)
        self.messages[channel, message.ts] = message
        self.feed.publish(Kind.POSTED, message)
        return message

    def edit(self, message: Message, content: Content, metadata: dict[str, Any] | None = None) -> None:
        """The message says something else from now on; what it said before stays in its history."""
        message.content = content
        message.history.append(content)
        message.edited = self.next_ts()
        if metadata is not None:
            message.metadata = metadata
        self.feed.publish(Kind.UPDATED, message)

    def delete(self, message: Message) -> None:
        """Nobody sees the message any more."""
        message.deleted = True
        self.feed.publish(Kind.DELETED, message)

    def find_message(self, channel: str, ts: str) -> Message | None:
        """A message that still stands."""
        message = self.messages.get((channel, ts))
        return None if message is None or message.deleted else message

    def thread(self, channel: str, ts: str) -> list[Message]:
        """A message and its replies, oldest first, without what only one member sees."""
        return [
            message
            for message in self.messages.values()
            if message.channel == channel
            and message.root == ts
            and not message.deleted
            and not message.ephemeral_to
        ]

    def permalink(self, message: Message) -> str:
        """The address of a message."""
        link = f"{self.base_url}archives/{message.channel}/p{message.ts.replace('.', '')}"
        return f"{link}?thread_ts={message.thread_ts}&cid={message.channel}" if message.thread_ts else link

    def show_view(self, user: str, definition: dict[str, Any], *, above: View | None = None) -> View:
        """A new view for a member; `above` the one that it is pushed onto."""
        self.claim_external_id(definition, None)
        view = View(self.new_id("V"), user, definition, self.new_hash())
        view.root_id = above.root_id if above else view.id
        view.previous_id = above.id if above else None
        self.views[view.id] = view
        self.feed.publish(Kind.VIEW, view)
        return view

    def change_view(self, view: View, definition: dict[str, Any]) -> None:
        """The view shows something else; entries in blocks that stay are kept."""
        self.claim_external_id(definition, view)
        view.definition = definition
        view.hash = self.new_hash()
        kept = {block.get("block_id") for block in definition["blocks"]}
        view.state = {block_id: values for block_id, values in view.state.items() if block_id in kept}
        self.feed.publish(Kind.VIEW, view)

    def close_view(self, view: View) -> None:
        """The member does not see it any more."""
        view.closed = True
        self.feed.publish(Kind.VIEW_CLOSED, view)

    def stack(self, user: str) -> list[View]:
        """The open modals of a member, the top one last."""
        return [view for view in self.views.values() if view.user == user and not view.closed]

    def claim_external_id(self, definition: dict[str, Any], owner: View | None) -> None:
        """Raises SlackError when another open view has that external_id."""
        wanted = definition.get("external_id")
        taken = [v for v in (*self.views.values(), *self.homes.values()) if not v.closed and v is not owner]
        if wanted and any(view.definition.get("external_id") == wanted for view in taken):
            raise SlackError("duplicate_external_id")

    def new_hash(self) -> str:
        """A view's version."""
        return f"{int(time.time())}.{uuid.uuid4().hex[:8]}"

    @property
    def bot(self) -> Member:
        """The app's own user."""
        return self.member(BOT_NAME)
