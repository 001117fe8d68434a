"""One member, one bot, the whole way and back, by Socket Mode and by HTTP."""

from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp

from bot.sandbox import Sandbox


@pytest.fixture(params=["connected", "http"])
def delivery(request: pytest.FixtureRequest) -> str:
    """The app, reached in each of the two ways."""
    request.getfixturevalue(request.param)
    return str(request.param)


async def test_a_slash_command_is_answered_to_its_member_alone(
    sandbox: Sandbox, app: AsyncApp, delivery: str
) -> None:
    """The text of the acknowledgement is an ephemeral message of the bot."""

    @app.command("/maint")
    async def maint(ack: Any, body: dict[str, Any]) -> None:
        await ack(f"you said {body['text']}")

    done = await sandbox.slash("sre1", "ops", "/maint health")

    assert done.acked, done
    assert [message.text for message in sandbox.messages("ops", as_user="sre1")] == ["you said health"]
    assert sandbox.messages("ops", as_user="sre2") == []
