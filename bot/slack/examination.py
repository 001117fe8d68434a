"""What is wrong with how we stand to Slack: our tokens, channels and usergroups, and the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.client import error_code
from runbooks.access import Role

#: What the SDK raises when Slack does not answer, or not as Slack.
TROUBLE = (SlackApiError, aiohttp.ClientError, TimeoutError, ValueError, AttributeError)


@dataclass(frozen=True, kw_only=True)
class Group:
    """A usergroup that a role names. `members` is None when Slack does not say."""

    role: str
    name: str
    exists: bool
    members: int | None


async def slack_time(web: AsyncWebClient) -> datetime | None:
    """The time by Slack's clock, to the second; None when its answer does not say."""
    answer = await web.auth_test()
    said = answer.headers.get("Date") or answer.headers.get("date")
    said = said[0] if isinstance(said, list) and said else said
    try:
        return parsedate_to_datetime(str(said)).astimezone(UTC)
    except ValueError:
        return None


async def app_token_fault(web: AsyncWebClient, app_token: str) -> str:
    """Slack's word for why it does not take the app's token; empty when it does."""
    try:
        await web.apps_connections_open(app_token=app_token)
    except SlackApiError as error:
        return error_code(error) or "no answer of Slack's"
    return ""


async def channel_fault(web: AsyncWebClient, channel: str) -> str:
    """Slack's word for why the bot cannot read that channel; empty when it is in it."""
    try:
        # With the scope that looking for a lost post needs anyway: to ask for its members needs another.
        await web.conversations_history(channel=channel, limit=1)
    except SlackApiError as error:
        return error_code(error) or "no answer of Slack's"
    return ""


async def groups_of(web: AsyncWebClient, roles: Mapping[str, Role]) -> tuple[Group, ...]:
    """The usergroups that the roles name, and how many members each has. Raises what the SDK raises."""
    named = [(role, name) for role, each in roles.items() for name in each.members if _is_group(name)]
    if not named:
        return ()
    listed = (await web.usergroups_list(include_users=True))["usergroups"]
    active = [group for group in listed if not group.get("date_delete")]
    users = {group["id"]: group.get("users") for group in active}
    handles = {f"@{group['handle']}": group["id"] for group in active}
    found = []
    for role, name in named:
        id_ = handles.get(name, name)
        members = users.get(id_)
        count = None if members is None else len(members)
        found.append(Group(role=role, name=name, exists=id_ in users, members=count))
    return tuple(found)


def _is_group(member: str) -> bool:
    return member.startswith("@") or (member.startswith("S") and "@" not in member)
