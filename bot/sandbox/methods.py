"""The Web API methods that the sandbox knows, with their scopes and tiers from Slack's method reference."""

import uuid

from bot.sandbox import chat, conversations, directory, files, marks, views
from bot.sandbox.method import Method, Request

T2, T3, T4 = 20, 50, 100  # calls a minute

CONTENT = ("text", "blocks", "attachments", "markdown_text", "parse", "link_names", "as_user")
POSTED = (*CONTENT, "thread_ts", "icon_emoji", "icon_url", "username")
PAGED = ("cursor", "limit")
PERIOD = (*PAGED, "inclusive", "latest", "oldest", "include_all_metadata")


def open_connection(request: Request) -> dict[str, str]:
    """apps.connections.open"""
    workspace = request.workspace
    workspace.tickets.add(ticket := uuid.uuid4().hex)
    return {"url": f"{workspace.base_url.replace('http://', 'ws://')}socket?ticket={ticket}"}


METHODS: dict[str, Method] = {
    "apps.connections.open": Method(open_connection, "connections:write", T3, app_token=True),
    "auth.test": Method(directory.auth_test, tier=None),
    "bookmarks.add": Method(
        marks.add_bookmark,
        "bookmarks:write",
        T2,
        ("channel_id", "title", "type"),
        ("emoji", "entity_id", "link", "parent_id"),
    ),
    "chat.delete": Method(chat.delete, "chat:write", T3, ("channel", "ts"), ("as_user",)),
    "chat.getPermalink": Method(chat.get_permalink, tier=None, must=("channel", "message_ts")),
    "chat.postEphemeral": Method(chat.post_ephemeral, "chat:write", T4, ("channel", "user"), POSTED),
    "chat.postMessage": Method(
        chat.post_message,
        "chat:write",
        None,
        ("channel",),
        (*POSTED, "reply_broadcast", "unfurl_links", "unfurl_media", "mrkdwn", "metadata", "container_id"),
    ),
    "chat.update": Method(
        chat.update,
        "chat:write",
        T3,
        ("channel", "ts"),
        (*CONTENT, "file_ids", "reply_broadcast", "metadata"),
    ),
    "conversations.create": Method(
        conversations.create, "channels:manage", T2, ("name",), ("is_private",), by_kind=True
    ),
    "conversations.history": Method(
        conversations.history, "channels:history", T3, ("channel",), PERIOD, by_kind=True
    ),
    "conversations.info": Method(
        conversations.info,
        "channels:read",
        T3,
        ("channel",),
        ("include_locale", "include_num_members"),
        by_kind=True,
    ),
    "conversations.invite": Method(
        conversations.invite, "channels:manage", T3, ("channel", "users"), ("force",), by_kind=True
    ),
    "conversations.join": Method(conversations.join, "channels:join", T3, ("channel",)),
    "conversations.list": Method(
        conversations.list_conversations,
        "channels:read",
        T2,
        may=(*PAGED, "exclude_archived", "types"),
        by_kind=True,
    ),
    "conversations.members": Method(
        conversations.members, "channels:read", T4, ("channel",), PAGED, by_kind=True
    ),
    "conversations.open": Method(
        conversations.open_conversation,
        "im:write",
        T3,
        may=("channel", "users", "return_im", "prevent_creation"),
    ),
    "conversations.replies": Method(
        conversations.replies, "channels:history", T3, ("channel", "ts"), PERIOD, by_kind=True
    ),
    "conversations.setTopic": Method(
        conversations.set_topic, "channels:manage", T2, ("channel", "topic"), by_kind=True
    ),
    "files.completeUploadExternal": Method(
        files.complete_upload,
        "files:write",
        T4,
        ("files",),
        ("channel_id", "channels", "initial_comment", "thread_ts", "blocks"),
    ),
    "files.getUploadURLExternal": Method(
        files.get_upload_url, "files:write", T4, ("filename", "length"), ("alt_txt", "snippet_type")
    ),
    "pins.add": Method(marks.add_pin, "pins:write", T2, ("channel", "timestamp")),
    "pins.remove": Method(marks.remove_pin, "pins:write", T2, ("channel", "timestamp")),
    "reactions.add": Method(marks.add_reaction, "reactions:write", T3, ("channel", "name", "timestamp")),
    "usergroups.list": Method(
        directory.list_usergroups,
        "usergroups:read",
        T2,
        may=("include_count", "include_disabled", "include_users"),
    ),
    "usergroups.users.list": Method(
        directory.usergroup_users, "usergroups:read", T2, ("usergroup",), ("include_disabled",)
    ),
    "users.info": Method(directory.user_info, "users:read", T4, ("user",), ("include_locale",)),
    "users.list": Method(directory.list_users, "users:read", T2, may=(*PAGED, "include_locale")),
    "users.lookupByEmail": Method(directory.lookup_by_email, "users:read.email", T3, ("email",)),
    "views.open": Method(views.open_view, None, T4, ("view", "trigger_id")),
    "views.publish": Method(views.publish, None, T4, ("user_id", "view"), ("hash",)),
    "views.push": Method(views.push, None, T4, ("view", "trigger_id")),
    "views.update": Method(views.update, None, T4, ("view",), ("view_id", "external_id", "hash")),
}
