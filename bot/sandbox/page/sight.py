"""What one member sees: all of it at once, and each change as it comes."""

from typing import Any

from bot.sandbox.feed import Change, Kind
from bot.sandbox.model import Channel, File, Message, View
from bot.sandbox.page.protocol import line_of
from bot.sandbox.people import BOT_USER_ID, TEAM_NAME, Member
from bot.sandbox.workspace import Workspace

#: The newest messages of each channel, replies included; what they reply to comes along.
MESSAGES = 500
LINES = 300  # of the protocol
PREVIEW = 4000  # characters of a text file
PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")

Read = dict[tuple[str, str], str]


class Sight:
    """The workspace as a member sees it. `read`: by member and channel, the ts up to which it was read."""

    def __init__(self, workspace: Workspace, member: Member, read: Read) -> None:
        self._workspace = workspace
        self._member = member
        self._read = read

    def state(self) -> dict[str, Any]:
        """Everything, as of the change with that `number`."""
        workspace, me = self._workspace, self._member.id
        workspace.direct(me)  # everybody has a conversation with the app, if an empty one
        home = workspace.homes.get(me)
        places = [channel for channel in workspace.channels.values() if self._in_sight(channel)]
        return {
            "number": workspace.feed.count,
            "me": me,
            "bot": BOT_USER_ID,
            "team": TEAM_NAME,
            "members": [_member(member) for member in workspace.members.values()],
            "usergroups": [
                {"id": group.id, "handle": group.handle, "name": group.name, "users": group.users}
                for group in workspace.usergroups.values()
            ],
            "channels": [self._channel(channel) for channel in places],
            "messages": [message for channel in places for message in self._messages(channel)],
            "views": [_view(view) for view in workspace.stack(me)],
            "home": _view(home) if home else None,
            "home_tab": workspace.home_tab,
            "read": {place: ts for (user, place), ts in self._read.items() if user == me},
        }

    def lines(self) -> list[dict[str, Any]]:
        """The last lines of the protocol, oldest first."""
        found: list[dict[str, Any]] = []
        for change in reversed(self._workspace.feed.history):
            line = line_of(self._workspace, change)
            if line is not None:
                found.append(line)
            if len(found) == LINES:
                break
        return found[::-1]

    def change(self, change: Change) -> dict[str, Any] | None:
        """What the page must hear of a change, if anything. The thing is sent as it is now, not as it was."""
        subject = change.subject
        match change.kind:
            case Kind.POSTED | Kind.UPDATED | Kind.DELETED | Kind.REACTED:
                return self._message_change(subject)
            case Kind.CHANNEL:
                if not self._in_sight(subject):
                    return None
                messages = self._messages(subject)
                return {"kind": "channel", "channel": self._channel(subject), "messages": messages}
            case Kind.VIEW | Kind.VIEW_CLOSED:
                if subject.user != self._member.id:
                    return None
                if subject.closed:
                    return {"kind": "view_closed", "id": subject.id}
                return {"kind": "view", "view": _view(subject)}
            case Kind.READ:
                user, place = subject
                if user != self._member.id:
                    return None
                return {"kind": "read", "channel": place, "ts": self._read[user, place]}
            case _:
                line = line_of(self._workspace, change)
                return {"kind": "protocol", "line": line} if line else None

    def sees(self, message: Message) -> bool:
        """Does that member see that message?"""
        place = self._workspace.channels[message.channel]
        return self._in_sight(place) and message.ephemeral_to in (None, self._member.id)

    def _message_change(self, message: Message) -> dict[str, Any] | None:
        if not self.sees(message):
            return None
        if message.deleted:
            return {"kind": "deleted", "channel": message.channel, "ts": message.ts}
        return {"kind": "message", "message": _message(message)}

    def _in_sight(self, channel: Channel) -> bool:
        """Public channels are there for every full member; all others for those who are in them."""
        confined = self._member.is_restricted or self._member.is_stranger
        if channel.is_im or channel.is_private or confined:
            return self._member.id in channel.members
        return True

    def _messages(self, channel: Channel) -> list[dict[str, Any]]:
        seen = [
            message
            for message in self._workspace.messages.values()
            if message.channel == channel.id and not message.deleted and self.sees(message)
        ]
        newest = seen[-MESSAGES:]
        roots = {message.root for message in newest}
        parents = [message for message in seen[:-MESSAGES] if message.ts in roots]
        return [_message(message) for message in (*parents, *newest)]

    def _channel(self, channel: Channel) -> dict[str, Any]:
        return {
            "id": channel.id,
            "name": channel.name,
            "topic": channel.topic,
            "is_im": channel.is_im,
            "is_private": channel.is_private,
            "is_archived": channel.is_archived,
            "members": list(channel.members),
            "bookmarks": [each for each in self._workspace.bookmarks if each["channel_id"] == channel.id],
        }


def _member(member: Member) -> dict[str, Any]:
    return {
        "id": member.id,
        "name": member.name,
        "real_name": member.real_name,
        "is_admin": member.is_admin,
        "is_guest": member.is_restricted,
        "is_stranger": member.is_stranger,
        "is_bot": member.is_bot,
        "deleted": member.deleted,
    }


def _message(message: Message) -> dict[str, Any]:
    found = message.to_dict(with_metadata=False)
    return found | {
        "channel": message.channel,
        "is_ephemeral": message.ephemeral_to is not None,
        "is_broadcast": message.reply_broadcast,
        "files": [_file(file) for file in message.files],
    }


def _file(file: File) -> dict[str, Any]:
    content = file.content or b""
    found = {"id": file.id, "name": file.name, "title": file.title or file.name, "size": len(content)}
    found |= {"url": f"/files/{file.id}/{file.name}", "alt": file.alt_text, "is_picture": False}
    if content.startswith(PICTURES):
        return found | {"is_picture": True}
    start = content[: PREVIEW * 4].decode(errors="replace")
    binary = "\0" in start or start.count("\N{REPLACEMENT CHARACTER}") > 1
    return found if binary else found | {"preview": start[:PREVIEW], "is_cut": len(start) > PREVIEW}


def _view(view: View) -> dict[str, Any]:
    found = view.to_dict()
    return {name: item for name, item in found.items() if name != "private_metadata"}
