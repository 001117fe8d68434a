"""What Slack sends to an app, field by field."""

import re
import time
import uuid
from typing import Any

from bot.sandbox import forms
from bot.sandbox.model import Channel, Message, View
from bot.sandbox.people import APP_ID, BOT_USER_ID, TEAM_DOMAIN, TEAM_ID, Member, Usergroup
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.triggers import Triggers
from bot.sandbox.workspace import Workspace

#: The old verification token, which apps must not trust.
VERIFICATION_TOKEN = "sandbox-verification-token"  # noqa: S105 (not a secret: every payload carries it)
MENTION = re.compile(r"(?<![\w<&])([@#])([\w.-]*\w)")


def escaped(workspace: Workspace, text: str, *, labelled: bool) -> str:
    """What a member typed, as Slack passes it on: names become ids, and `&`, `<`, `>` become entities.

    `labelled`: members and usergroups keep their name beside the id, as in slash commands.
    """

    def reference(found: re.Match[str]) -> str:
        sign, name = found.groups()
        if sign == "#":
            channel = next((c for c in workspace.channels.values() if c.name == name and not c.is_im), None)
            return f"<#{channel.id}|{channel.name}>" if channel else found[0]
        member = next((m for m in workspace.members.values() if m.name == name), None)
        if member:
            return f"<@{member.id}|{member.name}>" if labelled else f"<@{member.id}>"
        group = next((g for g in workspace.usergroups.values() if g.handle == name), None)
        if group:
            return f"<!subteam^{group.id}|@{group.handle}>" if labelled else f"<!subteam^{group.id}>"
        return f"<!{name}>" if name in {"channel", "here", "everyone"} else found[0]

    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MENTION.sub(reference, safe)


class Payloads:
    """Writes payloads for one workspace."""

    def __init__(self, workspace: Workspace, triggers: Triggers, response_urls: ResponseUrls) -> None:
        self._workspace = workspace
        self._triggers = triggers
        self._response_urls = response_urls

    def slash(self, member: Member, channel: Channel, command: str, text: str) -> dict[str, Any]:
        """A slash command. Raises LookupError for one that the app does not have."""
        commands = self._workspace.commands
        if not self._workspace.grants("commands") or (commands is not None and command not in commands):
            raise LookupError(f"the app has no command {command}")
        escape = self._workspace.should_escape if commands is None else commands[command]
        return {
            "token": VERIFICATION_TOKEN,
            "team_id": member.team_id,
            "team_domain": TEAM_DOMAIN,
            "channel_id": channel.id,
            "channel_name": channel.name,
            "user_id": member.id,
            "user_name": member.name,
            "command": command,
            "text": escaped(self._workspace, text, labelled=True) if escape else text,
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._response_urls.give(channel.id, member.id),
            "trigger_id": self._triggers.give(member.id),
        }

    def _interaction(self, kind: str, member: Member) -> dict[str, Any]:
        return {
            "type": kind,
            "user": {
                "id": member.id,
                "username": member.name,
                "name": member.name,
                "team_id": member.team_id,
            },
            "api_app_id": APP_ID,
            "token": VERIFICATION_TOKEN,
            "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _from_message(self, member: Member, message: Message, *, answerable: bool) -> dict[str, Any]:
        channel = self._workspace.channels[message.channel]
        private = message.ephemeral_to is not None
        container: dict[str, Any] = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": private,
        }
        if message.thread_ts is not None:
            container["thread_ts"] = message.thread_ts
        found: dict[str, Any] = {"container": container, "channel": {"id": channel.id, "name": channel.name}}
        if not private:  # Slack does not send the content of what only one member sees
            found["message"] = message.to_dict()
        if answerable:
            found["response_url"] = self._response_urls.give(channel.id, member.id, message)
        return found

    def block_action(
        self, member: Member, source: Message | View, block: dict[str, Any], item: dict[str, Any], value: Any
    ) -> dict[str, Any]:
        """A click or a choice in a message or a view."""
        payload = self._interaction("block_actions", member)
        action: dict[str, Any] = {"action_id": item["action_id"], "block_id": block["block_id"]}
        if item["type"] in {"button", "icon_button"}:
            action |= {name: item[name] for name in ("text", "value", "style") if name in item}
            action["type"] = item["type"]
        else:
            action |= forms.entered(self._workspace, item, value)
        action["action_ts"] = self._workspace.next_ts()
        payload |= {"actions": [action]}
        if isinstance(source, View):
            payload |= {"container": {"type": "view", "view_id": source.id}, "view": self.view(source)}
        else:
            payload |= self._from_message(member, source, answerable=True)
            payload |= {"state": {"values": forms.state(source.blocks, {})}}
        return payload | {"trigger_id": self._triggers.give(member.id)}

    def suggestion(
        self, member: Member, source: Message | View, block: dict[str, Any], item: dict[str, Any], typed: str
    ) -> dict[str, Any]:
        """What a member typed into an external select."""
        payload = self._interaction("block_suggestion", member)
        payload |= {"action_id": item["action_id"], "block_id": block["block_id"], "value": typed}
        if isinstance(source, View):
            return payload | {"container": {"type": "view", "view_id": source.id}, "view": self.view(source)}
        return payload | self._from_message(member, source, answerable=False)

    def view(self, view: View) -> dict[str, Any]:
        """A view with everything that stands in it now."""
        found = view.to_dict()
        return {**found, "state": {"values": forms.state(found["blocks"], view.state)}}

    def submission(self, member: Member, view: View) -> dict[str, Any]:
        """A modal that was sent."""
        payload = self._interaction("view_submission", member)
        return payload | {
            "trigger_id": self._triggers.give(member.id),
            "view": self.view(view),
            "response_urls": [],
        }

    def closed(self, member: Member, view: View, *, all_of_them: bool) -> dict[str, Any]:
        """A modal that was closed without sending it."""
        return self._interaction("view_closed", member) | {"view": self.view(view), "is_cleared": all_of_them}

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event of the Events API."""
        return {
            "token": VERIFICATION_TOKEN,
            "team_id": TEAM_ID,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": "Ev" + uuid.uuid4().hex[:9].upper(),
            "event_time": int(time.time()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": TEAM_ID,
                    "user_id": BOT_USER_ID,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
            "event_context": uuid.uuid4().hex,
        }

    def message_event(self, kind: str, message: Message, member: Member) -> dict[str, Any]:
        """A message that a member wrote: `kind` is `message` or `app_mention`."""
        channel = self._workspace.channels[message.channel]
        event: dict[str, Any] = {
            "type": kind,
            "user": member.id,
            "ts": message.ts,
            "client_msg_id": str(uuid.uuid4()),
            "text": message.text,
            "team": member.team_id,
            "channel": message.channel,
            "event_ts": message.ts,
        }
        if message.thread_ts is not None:
            event["thread_ts"] = message.thread_ts
        if kind == "message":
            event["channel_type"] = "im" if channel.is_im else "group" if channel.is_private else "channel"
        return self.event(event)

    def group_members(self, group: Usergroup, added: list[str], removed: list[str]) -> dict[str, Any]:
        """Who is in a usergroup was changed; the counts are texts, as Slack has them."""
        event: dict[str, Any] = {
            "type": "subteam_members_changed",
            "subteam_id": group.id,
            "team_id": TEAM_ID,
            "date_previous_update": 1_700_000_000,
            "date_update": int(time.time()),
            "event_ts": self._workspace.next_ts(),
        }
        for name, users in (("added", added), ("removed", removed)):
            if users:
                event |= {f"{name}_users": users, f"{name}_users_count": str(len(users))}
        return self.event(event)

    def group_updated(self, group: Usergroup) -> dict[str, Any]:
        """A usergroup has another handle, other members, or was disabled."""
        subteam = group.to_dict(with_users=True, with_count=True)
        return self.event(
            {"type": "subteam_updated", "subteam": subteam, "event_ts": self._workspace.next_ts()}
        )

    def user_changed(self, member: Member) -> dict[str, Any]:
        """An account was changed, or closed."""
        user = member.to_dict(with_email="users:read.email" in self._workspace.scopes)
        ts = self._workspace.next_ts()
        return self.event({"type": "user_change", "user": user, "cache_ts": int(float(ts)), "event_ts": ts})

    def home_opened(self, member: Member, tab: str) -> dict[str, Any]:
        """A member opened the app's Home tab, or its messages."""
        event: dict[str, Any] = {
            "type": "app_home_opened",
            "user": member.id,
            "channel": self._workspace.direct(member.id).id,
            "tab": tab,
            "event_ts": self._workspace.next_ts(),
        }
        home = self._workspace.homes.get(member.id)
        if home is not None and tab == "home":
            event["view"] = home.to_dict()
        return self.event(event)
