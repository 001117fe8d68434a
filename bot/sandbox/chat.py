"""chat.*: messages."""

from typing import Any

from bot.sandbox import forms, validate
from bot.sandbox.errors import SlackError
from bot.sandbox.method import Request
from bot.sandbox.model import Channel, Content, Message
from bot.sandbox.people import BOT_USER_ID

POSTED_TEXT = 40_000  # characters; what is longer is cut
UPDATED_TEXT = 4_000  # characters; what is longer is refused


def content_of(request: Request) -> Content:
    """What the arguments say. Raises SlackError: `no_text` and every fault of blocks and attachments."""
    arguments = request.arguments
    text, markdown = request.text("text"), request.text("markdown_text")
    if markdown and (text or arguments.get("blocks")):
        raise SlackError("markdown_text_conflict")
    if len(markdown) > validate.MARKDOWN_TEXT:
        raise SlackError("msg_too_long")
    blocks = validate.message_blocks(arguments["blocks"]) if arguments.get("blocks") not in (None, "") else []
    if markdown:
        blocks = [{"type": "markdown", "text": markdown}]
    attached = validate.attachments(arguments["attachments"]) if arguments.get("attachments") else []
    if not text and not blocks and not attached:
        raise SlackError("no_text")
    return Content(text[:POSTED_TEXT], tuple(forms.with_ids(blocks)), tuple(attached))


def _postable(request: Request) -> Channel:
    """Where to post: an id, a name with `#`, or a member, who gets a direct message."""
    wanted = request.text("channel")
    workspace = request.workspace
    if wanted in workspace.members:
        member = workspace.members[wanted]
        if member.deleted or member.is_bot:
            raise SlackError("channel_not_found")
        return workspace.direct(wanted)
    if wanted.startswith("#"):
        found = [c.id for c in workspace.channels.values() if c.name == wanted[1:] and not c.is_im]
        request = Request(
            workspace, request.triggers, {**request.arguments, "channel": found[0] if found else ""}
        )
    channel = request.channel()
    public = not channel.is_private and not channel.is_im
    if BOT_USER_ID not in channel.members and not (public and workspace.grants("chat:write.public")):
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    if any(request.text(name) for name in ("username", "icon_emoji", "icon_url")):
        request.need("chat:write.customize")
    return channel


def _thread(request: Request, channel: Channel) -> str | None:
    """The thread that a message goes to. Raises SlackError."""
    wanted = request.text("thread_ts")
    if not wanted:
        return None
    parent = request.workspace.find_message(channel.id, wanted)
    if parent is None or parent.ephemeral_to is not None:
        raise SlackError("thread_not_found")
    return parent.root


def post_message(request: Request) -> dict[str, Any]:
    """chat.postMessage"""
    channel = _postable(request)
    content = content_of(request)
    given = request.arguments.get("metadata")
    message = request.workspace.post(
        channel.id,
        BOT_USER_ID,
        content,
        thread_ts=_thread(request, channel),
        metadata=validate.metadata(given) if given else None,
        username=request.text("username") or None,
        reply_broadcast=request.flag("reply_broadcast"),
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.to_dict()}


def post_ephemeral(request: Request) -> dict[str, Any]:
    """chat.postEphemeral"""
    channel = _postable(request)
    user = request.text("user")
    if user not in request.workspace.members:
        raise SlackError("user_not_found")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    message = request.workspace.post(
        channel.id, BOT_USER_ID, content_of(request), thread_ts=_thread(request, channel), ephemeral_to=user
    )
    return {"message_ts": message.ts}


def _own(request: Request, denied: str) -> Message:
    message = request.message(request.channel(), "ts")
    if message.user != BOT_USER_ID:
        raise SlackError(denied)
    return message


def update(request: Request) -> dict[str, Any]:
    """chat.update"""
    message = _own(request, "cant_update_message")
    if len(request.text("text")) > UPDATED_TEXT:
        raise SlackError("msg_too_long")
    given = request.arguments.get("metadata")
    sent, was = content_of(request), message.content
    # What is not sent stays; an empty list takes it away.
    content = Content(
        sent.text,
        sent.blocks if "blocks" in request.arguments or sent.blocks else was.blocks,
        sent.attachments if "attachments" in request.arguments else was.attachments,
    )
    request.workspace.edit(message, content, validate.metadata(given) if given else None)
    return {
        "channel": message.channel,
        "ts": message.ts,
        "text": message.text,
        "message": message.to_dict(),
    }


def delete(request: Request) -> dict[str, Any]:
    """chat.delete"""
    message = _own(request, "cant_delete_message")
    request.workspace.delete(message)
    return {"channel": message.channel, "ts": message.ts}


def get_permalink(request: Request) -> dict[str, Any]:
    """chat.getPermalink"""
    message = request.message(request.channel(), "message_ts")
    return {"channel": message.channel, "permalink": request.workspace.permalink(message)}
