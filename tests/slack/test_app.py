"""Making the Bolt app."""

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.app import Bot, make_app


async def test_the_token_in_the_environment_is_no_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the token is a variable, as the README has it, Bolt finds it too, and is silent."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-of-the-environment")
    bot = Bot(team="T1", team_name="Team", user="U1", id="B1", missing_scopes=())

    make_app(AsyncWebClient(token="xoxb-of-ours"), bot, "")

    assert caplog.messages == []
