"""auth.test, users.* and usergroups.*: who is who."""

from typing import Any

from bot.sandbox.errors import SlackError
from bot.sandbox.method import Request
from bot.sandbox.people import APP_ID, BOT_ID, BOT_NAME, BOT_USER_ID, TEAM_ID, TEAM_NAME, Usergroup


def auth_test(request: Request) -> dict[str, Any]:
    """auth.test"""
    return {
        "url": request.workspace.base_url,
        "team": TEAM_NAME,
        "user": BOT_NAME,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "app_id": APP_ID,
        "is_enterprise_install": False,
    }


def _with_email(request: Request) -> bool:
    return "users:read.email" in request.workspace.scopes


def user_info(request: Request) -> dict[str, Any]:
    """users.info"""
    member = request.workspace.members.get(request.text("user"))
    if member is None:
        raise SlackError("user_not_found")
    return {"user": member.to_dict(with_email=_with_email(request) and not member.is_stranger)}


def list_users(request: Request) -> dict[str, Any]:
    """users.list: everybody of this team, deactivated ones included, strangers not."""
    found = [
        member.to_dict(with_email=_with_email(request))
        for member in request.workspace.members.values()
        if not member.is_stranger
    ]
    return {**request.page(found, "members"), "cache_ts": 1_700_000_000}


def lookup_by_email(request: Request) -> dict[str, Any]:
    """users.lookupByEmail"""
    wanted = request.text("email").lower()
    for member in request.workspace.members.values():
        if member.email == wanted and not (member.is_bot or member.is_stranger or member.deleted):
            return {"user": member.to_dict(with_email=True)}
    raise SlackError("users_not_found")


def list_usergroups(request: Request) -> dict[str, Any]:
    """usergroups.list"""
    return {
        "usergroups": [
            group.to_dict(with_users=request.flag("include_users"), with_count=request.flag("include_count"))
            for group in request.workspace.usergroups.values()
            if request.flag("include_disabled") or not group.is_disabled
        ]
    }


def usergroup_users(request: Request) -> dict[str, Any]:
    """usergroups.users.list"""
    group: Usergroup | None = request.workspace.usergroups.get(request.text("usergroup"))
    if group is None or (group.is_disabled and not request.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}
