"""files.*: an upload in three steps, the second of which is a POST to the address from the first."""

from typing import Any

from bot.sandbox import forms, validate
from bot.sandbox.errors import SlackError, invalid
from bot.sandbox.feed import Kind
from bot.sandbox.method import Request
from bot.sandbox.model import Content, File
from bot.sandbox.people import BOT_USER_ID

ALT_TEXT = 1000  # characters
CHANNELS = 100
SNIPPET_BYTES = 1_048_576


def get_upload_url(request: Request) -> dict[str, Any]:
    """files.getUploadURLExternal"""
    length = request.number("length", 0)
    if length < 1:
        raise SlackError("missing_argument")
    if len(request.text("alt_txt")) > ALT_TEXT:
        raise SlackError("alt_txt_too_large")
    if request.text("snippet_type") and length > SNIPPET_BYTES:
        raise SlackError("snippet_too_large")
    workspace = request.workspace
    file = File(workspace.new_id("F"), request.text("filename"), length, alt_text=request.text("alt_txt"))
    file.url = f"{workspace.base_url}files/{file.id}/{file.name}"
    workspace.files[file.id] = file
    return {"upload_url": f"{workspace.base_url}upload/v1/{file.id}", "file_id": file.id}


def complete_upload(request: Request) -> dict[str, Any]:
    """files.completeUploadExternal"""
    workspace = request.workspace
    items = request.json("files")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise invalid("invalid_arguments", "must provide an array [json-pointer:/files]")
    files: list[File] = []
    for item in items:
        file = workspace.files.get(str(item.get("id")))
        if file is None or file.content is None:
            raise SlackError("file_not_found")
        file.title = str(item.get("title") or file.name)
        files.append(file)
    wanted = [request.text("channel_id")] if request.text("channel_id") else request.words("channels")
    if len(wanted) > CHANNELS:
        raise SlackError("invalid_arguments")
    places = []
    for name in wanted:
        one = Request(workspace, request.triggers, {"channel": name})
        channel = one.own_channel()
        if channel.is_archived:
            raise SlackError("is_archived")
        places.append(channel)
    thread_ts = request.text("thread_ts") or None
    if thread_ts and any(workspace.find_message(channel.id, thread_ts) is None for channel in places):
        raise SlackError("thread_not_found")
    blocks = validate.message_blocks(request.arguments["blocks"]) if request.arguments.get("blocks") else []
    if any(block["type"] == "markdown" for block in blocks):
        raise SlackError("internal_error")  # slackapi/python-slack-sdk issue 1756
    for channel in places:
        for file in files:
            file.channels.append(channel.id)
        content = Content(request.text("initial_comment"), tuple(forms.with_ids(blocks)))
        workspace.post(channel.id, BOT_USER_ID, content, thread_ts=thread_ts, files=list(files))
    for file in files:
        workspace.feed.publish(Kind.FILE, file)
    return {"files": [file.to_dict() for file in files]}
