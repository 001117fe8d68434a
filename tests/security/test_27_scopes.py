"""27: the app asks Slack for what its code calls, and for nothing else. Also kept by
tests/scenario/test_delivery.py, where every journey works with exactly these scopes,
tests/slack/test_forms.py and tests/test_doctor.py."""

import ast
from pathlib import Path

import pytest

import bot
from bot.sandbox.methods import METHODS
from bot.slack.manifest import BOT_EVENTS, BOT_SCOPES, manifest

#: Scopes with which a stolen token could do harm.
HOSTILE = (
    "admin",
    "admin.users:write",
    "users:write",
    "channels:manage",
    "channels:join",
    "chat:write.public",
    "chat:write.customize",
    "groups:write",
    "usergroups:write",
    "channels:read",
    "files:write:user",
    "search:read",
    "incoming-webhook",
    "remote_files:write",
    "team:read",
    "bookmarks:write",
    "app_mentions:read",
)
#: Scopes that no single call shows: why each is there stands beside it in the manifest.
NO_CALL = {"commands", "files:read", "users:read.email", "groups:history", "im:history"}


def called() -> set[str]:
    """The methods of Slack's Web API that the code names."""
    names = {method.replace(".", "_"): method for method in METHODS}
    found: set[str] = set()
    for path in Path(bot.__file__).parent.rglob("*.py"):
        if {"sandbox", "demo"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in names:
                found.add(names[node.attr])
            if isinstance(node, ast.Attribute) and node.attr == "files_upload_v2":
                found.add("files.getUploadURLExternal")
    return found


def test_the_scopes_are_those_of_the_calls() -> None:
    """None is missing, and each is asked for by a call, or has a reason of its own."""
    of_the_app = {None, "connections:write"}  # any token will do, or the one that opens the connection
    needed = {METHODS[method].scope for method in called()} - of_the_app

    assert needed <= set(BOT_SCOPES)
    assert set(BOT_SCOPES) - needed <= NO_CALL


@pytest.mark.parametrize("scope", HOSTILE)
def test_a_scope_that_does_harm_is_not_asked_for(scope: str) -> None:
    """Of the bot; and there is no token of a user at all."""
    asked = manifest()["oauth_config"]["scopes"]

    assert scope not in asked["bot"]
    assert set(asked) == {"bot"}


def test_the_app_hears_of_memberships_and_of_nothing_that_people_write() -> None:
    """No message reaches Maint that was not meant for it."""
    assert [event for event in BOT_EVENTS if "message" in event or "mention" in event] == []
