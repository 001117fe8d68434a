"""reactions.*, pins.* and bookmarks.*: what is stuck to a message or a channel."""

import re
from typing import Any

from bot.sandbox.errors import SlackError
from bot.sandbox.feed import Kind
from bot.sandbox.method import Request
from bot.sandbox.people import BOT_USER_ID

EMOJI = re.compile(r"[a-z0-9_'+-]+(::skin-tone-[2-6])?")


def add_reaction(request: Request) -> dict[str, Any]:
    """reactions.add"""
    message = request.message(request.own_channel(), "timestamp")
    name = request.text("name")
    if not EMOJI.fullmatch(name):
        raise SlackError("invalid_name")
    users = message.reactions.setdefault(name, [])
    if BOT_USER_ID in users:
        raise SlackError("already_reacted")
    users.append(BOT_USER_ID)
    request.workspace.feed.publish(Kind.REACTED, message)
    return {}


def add_pin(request: Request) -> dict[str, Any]:
    """pins.add"""
    message = request.message(request.own_channel(), "timestamp")
    if message.pinned:
        raise SlackError("already_pinned")
    message.pinned = True
    request.workspace.feed.publish(Kind.REACTED, message)
    return {}


def remove_pin(request: Request) -> dict[str, Any]:
    """pins.remove"""
    message = request.message(request.own_channel(), "timestamp")
    if not message.pinned:
        raise SlackError("no_pin")
    message.pinned = False
    request.workspace.feed.publish(Kind.REACTED, message)
    return {}


def add_bookmark(request: Request) -> dict[str, Any]:
    """bookmarks.add"""
    workspace = request.workspace
    channel = request.own_channel("channel_id")
    if request.text("type") != "link":
        raise SlackError("invalid_bookmark_type")
    if not request.text("link"):
        raise SlackError("invalid_link")
    bookmark = {
        "id": workspace.new_id("Bk"),
        "channel_id": channel.id,
        "title": request.text("title"),
        "link": request.text("link"),
        "emoji": request.text("emoji"),
        "type": "link",
    }
    workspace.bookmarks.append(bookmark)
    workspace.feed.publish(Kind.CHANNEL, channel)
    return {"bookmark": bookmark}
