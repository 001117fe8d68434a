"""What Slack tells an app of usergroups and accounts that change: over both ways, to the unmodified SDK."""

from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp

from bot.sandbox import Sandbox


@pytest.fixture
def heard(app: AsyncApp, delivery: str) -> list[dict[str, Any]]:
    """The events that the app heard, over either way."""
    events: list[dict[str, Any]] = []

    async def keep(event: dict[str, Any]) -> None:
        events.append(event)

    for name in ("subteam_members_changed", "subteam_updated", "user_change"):
        app.event(name)(keep)
    return events


async def test_who_is_in_a_usergroup_changes(sandbox: Sandbox, heard: list[dict[str, Any]]) -> None:
    """The change, with its counts as texts, and then the group as it is now."""
    deliveries = await sandbox.regroup("sre", ["sre1", "dba"])

    assert [each.acked for each in deliveries] == [True, True]
    changed, updated = heard
    assert (changed["type"], changed["subteam_id"]) == ("subteam_members_changed", "S000000SRE")
    assert (changed["added_users"], changed["added_users_count"]) == (["U000000DBA"], "1")
    assert (changed["removed_users"], changed["removed_users_count"]) == (["U00000SRE2"], "1")
    assert updated["subteam"]["users"] == ["U00000SRE1", "U000000DBA"]


async def test_a_usergroup_is_disabled(sandbox: Sandbox, heard: list[dict[str, Any]]) -> None:
    """It has a date on which it was."""
    await sandbox.change_group("@sre", is_disabled=True)

    assert heard[0]["subteam"]["date_delete"] > 0


async def test_an_account_is_closed(sandbox: Sandbox, heard: list[dict[str, Any]]) -> None:
    """The user object says so; who was not closed is not told of."""
    await sandbox.change_member("sre2", deleted=True)

    (event,) = heard
    assert (event["type"], event["user"]["id"], event["user"]["deleted"]) == (
        "user_change",
        "U00000SRE2",
        True,
    )


async def test_an_app_without_the_scope_or_the_subscription_hears_nothing(
    sandbox: Sandbox, heard: list[dict[str, Any]]
) -> None:
    """As in Slack, silently."""
    sandbox.workspace.scopes -= {"usergroups:read"}
    assert await sandbox.regroup("sre", []) == []
    sandbox.workspace.events -= {"user_change"}
    assert await sandbox.change_member("sre2", deleted=True) == []
    assert heard == []
    with pytest.raises(LookupError, match="no usergroup 'nobody'"):
        await sandbox.regroup("nobody", [])
