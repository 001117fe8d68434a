"""conversations.*: channels and who is in them."""

import re
from typing import Any

from bot.sandbox.errors import SlackError, invalid
from bot.sandbox.feed import Kind
from bot.sandbox.method import Request
from bot.sandbox.model import Channel, Message
from bot.sandbox.people import BOT_USER_ID

OPEN_WITH = 8  # members of one direct conversation
TOPIC = 250  # characters
NAME = re.compile(r"[^\sA-Z.#]{1,80}")


def list_conversations(request: Request) -> dict[str, Any]:
    """conversations.list"""
    types = set(request.words("types")) or {"public_channel"}
    if unknown := types - {"public_channel", "private_channel", "im", "mpim"}:
        raise invalid("invalid_types", f"unknown types: {', '.join(sorted(unknown))}")
    for kind in sorted(types):
        _need(request, kind, "read")
    found = [
        channel.to_dict(BOT_USER_ID)
        for channel in request.workspace.channels.values()
        if _kind(channel) in types
        and (_kind(channel) == "public_channel" or BOT_USER_ID in channel.members)
        and not (request.flag("exclude_archived") and channel.is_archived)
    ]
    return request.page(found, "channels")


def _kind(channel: Channel) -> str:
    if channel.is_im:
        return "im"
    return "private_channel" if channel.is_private else "public_channel"


SCOPES = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def _need(request: Request, kind: str, right: str) -> None:
    """Each kind of conversation has scopes of its own. Raises SlackError."""
    # Public channels are managed, all others written.
    request.need(
        "channels:manage" if (kind, right) == ("public_channel", "write") else f"{SCOPES[kind]}:{right}"
    )


def _readable(request: Request, right: str) -> Channel:
    channel = request.channel()
    _need(request, _kind(channel), right)
    return channel


def _managed(request: Request) -> Channel:
    channel = request.own_channel()
    _need(request, _kind(channel), "write")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def info(request: Request) -> dict[str, Any]:
    """conversations.info"""
    return {"channel": _readable(request, "read").to_dict(BOT_USER_ID)}


def members(request: Request) -> dict[str, Any]:
    """conversations.members"""
    channel = _readable(request, "read")
    page = request.page([{"id": user} for user in channel.members], "members")
    return {**page, "members": [member["id"] for member in page["members"]]}


def open_conversation(request: Request) -> dict[str, Any]:
    """conversations.open. The sandbox has direct messages with one member only."""
    workspace = request.workspace
    if request.text("channel"):
        channel = request.channel()
    else:
        users = request.words("users")
        if not users or len(users) > OPEN_WITH:
            raise SlackError("users_list_not_supplied" if not users else "too_many_users")
        if len(users) > 1:
            raise invalid("invalid_arguments", "the sandbox has no group conversations")
        member = workspace.members.get(users[0])
        if member is None:
            raise SlackError("user_not_found")
        if member.deleted:
            raise SlackError("user_disabled")
        if member.is_bot:
            raise SlackError("cannot_dm_bot")
        channel = workspace.direct(member.id)
    full = channel.to_dict(BOT_USER_ID)
    return {"channel": full if request.flag("return_im") else {"id": channel.id}}


def create(request: Request) -> dict[str, Any]:
    """conversations.create"""
    is_private = request.flag("is_private")
    _need(request, "private_channel" if is_private else "public_channel", "write")
    name = request.text("name")
    if not NAME.fullmatch(name):
        raise SlackError("invalid_name_specials" if name else "invalid_name_required")
    if any(channel.name == name for channel in request.workspace.channels.values() if not channel.is_im):
        raise SlackError("name_taken")
    channel = request.workspace.add_channel(name, BOT_USER_ID, is_private=is_private)
    return {"channel": channel.to_dict(BOT_USER_ID)}


def invite(request: Request) -> dict[str, Any]:
    """conversations.invite"""
    channel = _managed(request)
    users = request.words("users")
    for user in users:
        if user not in request.workspace.members or request.workspace.members[user].deleted:
            raise SlackError("user_not_found")
        if user == BOT_USER_ID:
            raise SlackError("cant_invite_self")
        if user in channel.members:
            raise SlackError("already_in_channel")
    channel.members += users
    request.workspace.feed.publish(Kind.CHANNEL, channel)
    return {"channel": channel.to_dict(BOT_USER_ID)}


def set_topic(request: Request) -> dict[str, Any]:
    """conversations.setTopic"""
    channel = _managed(request)
    if len(request.text("topic")) > TOPIC:
        raise SlackError("too_long")
    channel.topic = request.text("topic")
    request.workspace.feed.publish(Kind.CHANNEL, channel)
    return {"channel": channel.to_dict(BOT_USER_ID)}


def join(request: Request) -> dict[str, Any]:
    """conversations.join"""
    channel = request.channel()
    if channel.is_archived:
        raise SlackError("is_archived")
    if channel.is_private or channel.is_im:
        raise SlackError("method_not_supported_for_channel_type")
    already = BOT_USER_ID in channel.members
    if not already:
        channel.members.append(BOT_USER_ID)
        request.workspace.feed.publish(Kind.CHANNEL, channel)
    found: dict[str, Any] = {"channel": channel.to_dict(BOT_USER_ID)}
    return {**found, "warning": "already_in_channel"} if already else found


def history(request: Request) -> dict[str, Any]:
    """conversations.history: newest first, without replies."""
    _readable(request, "history")
    channel = request.own_channel()
    found = [
        message
        for message in request.workspace.messages.values()
        if message.channel == channel.id
        and not message.deleted
        and message.ephemeral_to is None
        and (message.thread_ts is None or message.reply_broadcast)
    ]
    return _messages(request, sorted(found, key=lambda message: message.ts, reverse=True))


def replies(request: Request) -> dict[str, Any]:
    """conversations.replies: the parent and its replies, oldest first."""
    _readable(request, "history")
    channel = request.own_channel()
    parent = request.message(channel, "ts", "thread_not_found")
    return _messages(request, request.workspace.thread(channel.id, parent.root))


def _messages(request: Request, found: list[Message]) -> dict[str, Any]:
    oldest, latest = request.text("oldest", "0"), request.text("latest", "9999999999.999999")
    inclusive = request.flag("inclusive")
    try:
        within = [
            message
            for message in found
            if float(oldest) < float(message.ts) < float(latest)
            or (inclusive and float(message.ts) in (float(oldest), float(latest)))
        ]
    except ValueError:
        raise SlackError("invalid_ts_oldest") from None
    with_metadata = request.flag("include_all_metadata")
    page = request.page(
        [_with_replies(request, m, m.to_dict(with_metadata=with_metadata)) for m in within], "messages"
    )
    return {**page, "has_more": bool(page["response_metadata"]["next_cursor"])}


def _with_replies(request: Request, message: Message, found: dict[str, Any]) -> dict[str, Any]:
    below = [reply for reply in request.workspace.thread(message.channel, message.ts) if reply is not message]
    if message.thread_ts is None and below:
        found |= {
            "thread_ts": message.ts,
            "reply_count": len(below),
            "reply_users": sorted({reply.user for reply in below}),
            "latest_reply": below[-1].ts,
        }
    return found
