"""The Slack app's manifest: `maint manifest`. A test holds its scopes against the calls of the code."""

import json
from typing import Any

#: Scope -> why the code needs it.
BOT_SCOPES = {
    "commands": "/maint",
    "chat:write": "cards and their threads",
    "files:write": "long output as a file in the card's thread",
    "files:read": "files as evidence that a manual step was done",
    "users:read": "who asks: their name, and that they are no guest",
    "users:read.email": "roles that name people by e-mail",
    "usergroups:read": "roles that name usergroups, and hearing of it when one changes",
    "channels:history": "to find a card whose post was answered by nobody, instead of posting it twice",
    "groups:history": "the same in private channels",
    "im:history": "the same in direct messages",
    "im:write": "direct messages to whom an escalation calls",
}

#: Event -> why the code listens to it. Each needs a scope from above.
BOT_EVENTS = {
    "subteam_members_changed": "who is in a usergroup is asked anew",
    "subteam_updated": "the same, when its handle changes or it is removed",
    "user_change": "who somebody is is asked anew: their account may be closed",
}


def manifest(public_url: str | None = None) -> dict[str, Any]:
    """For Socket Mode, or for signed HTTP requests to that address (https://…) of Maint's."""
    url = f"{public_url.rstrip('/')}/slack/events" if public_url else None
    command = {
        "command": "/maint",
        "description": "Maintenance: health checks and runbooks",
        "usage_hint": "health | run | approve | runs | help",
        "should_escape": True,
        **({"url": url} if url else {}),
    }
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Maint",
            "description": "Runs the team's maintenance runbooks",
            "background_color": "#1f3a4d",
        },
        "features": {
            "bot_user": {"display_name": "Maint", "always_online": True},
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": list(BOT_SCOPES)}},
        "settings": {
            "event_subscriptions": {
                "bot_events": list(BOT_EVENTS),
                **({"request_url": url} if url else {}),
            },
            "interactivity": {
                "is_enabled": True,
                **({"request_url": url, "message_menu_options_url": url} if url else {}),
            },
            "org_deploy_enabled": False,
            "socket_mode_enabled": public_url is None,
            "token_rotation_enabled": False,
        },
    }


def manifest_json(public_url: str | None = None) -> str:
    """The manifest as Slack's form for new apps takes it."""
    return json.dumps(manifest(public_url), indent=2)
