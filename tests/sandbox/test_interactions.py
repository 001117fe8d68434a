"""What members type, click and say, as the app hears of it, by both ways of delivery."""

import asyncio
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Message, Sandbox
from tests.sandbox.block_kit import Json
from tests.sandbox.conftest import CARD


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


async def test_names_in_a_command_arrive_as_ids(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """As with should_escape in the manifest; what looks like a tag is escaped."""
    texts: list[str] = []

    @app.command("/maint")
    async def maint(ack: Any, command: Json) -> None:
        texts.append(command["text"])
        await ack()

    await sandbox.slash("sre1", "ops", "/maint ask @sre2 and @sre in #ops <b>")

    assert texts == ["ask <@U00000SRE2|sre2> and <!subteam^S000000SRE|@sre> in <#C000000OPS|ops> &lt;b&gt;"]


async def test_a_command_can_be_answered_to_all(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """With response_type in_channel, and with blocks."""

    @app.command("/maint")
    async def maint(ack: Any) -> None:
        await ack(text="ok", blocks=[{"type": "divider"}], response_type="in_channel")

    done = await sandbox.slash("sre1", "ops", "/maint")

    assert done.message is not None
    assert sandbox.messages("ops") == [done.message]
    assert done.message.blocks[0]["type"] == "divider"


async def test_a_click_says_who_what_and_where(
    sandbox: Sandbox, app: AsyncApp, delivery: str, card: Message
) -> None:
    """The member, the button's value, the message, and ids to answer with."""
    bodies: list[Json] = []

    @app.action("approve")
    async def approve(ack: Any, body: Json) -> None:
        bodies.append(body)
        await ack()

    done = await sandbox.click("sre1", card, "Approve")

    (body,) = bodies
    assert done.acked
    assert body["user"]["id"] == "U00000SRE1"
    assert (body["actions"][0]["action_id"], body["actions"][0]["value"]) == ("approve", "run-7")
    assert (body["channel"]["id"], body["message"]["ts"]) == ("C000000OPS", card.ts)
    assert body["container"]["is_ephemeral"] is False
    assert body["trigger_id"]
    assert body["response_url"].startswith(sandbox.workspace.base_url)


async def test_a_choice_is_sent_with_its_option(
    sandbox: Sandbox, app: AsyncApp, delivery: str, card: Message
) -> None:
    """Named by its text or its value."""
    chosen: list[str] = []

    @app.action("pick")
    async def pick(ack: Any, action: Json) -> None:
        chosen.append(action["selected_option"]["value"])
        await ack()

    await sandbox.click("sre1", card, "pick", "Cache")

    assert chosen == ["cache"]


async def test_a_click_on_what_is_gone_needs_an_old_screen(
    sandbox: Sandbox, app: AsyncApp, delivery: str, card: Message, client: AsyncWebClient
) -> None:
    """A removed button can be pressed only by somebody who has not seen the update."""
    clicks: list[str] = []

    @app.action("approve")
    async def approve(ack: Any, action: Json) -> None:
        clicks.append(action["value"])
        await ack()

    await client.chat_update(channel=card.channel, ts=card.ts, text="done", blocks=[])
    with pytest.raises(LookupError, match="nothing to click"):
        await sandbox.click("sre1", card, "approve")
    await sandbox.click("sre1", card, "approve", stale=True)

    assert clicks == ["run-7"]


async def test_an_ephemeral_message_is_clicked_by_its_member_only(
    sandbox: Sandbox, app: AsyncApp, delivery: str, client: AsyncWebClient
) -> None:
    """And its content is not in the payload."""
    bodies: list[Json] = []

    @app.action("approve")
    async def approve(ack: Any, body: Json) -> None:
        bodies.append(body)
        await ack()

    await client.chat_postEphemeral(channel="C000000OPS", user="U00000SRE1", text="go?", blocks=CARD)
    (message,) = sandbox.messages("ops", as_user="sre1")
    with pytest.raises(LookupError, match="does not see"):
        await sandbox.click("sre2", message, "approve")
    await sandbox.click("sre1", message, "approve")

    assert (bodies[0]["container"]["is_ephemeral"], "message" in bodies[0]) == (True, False)


async def test_an_opened_home_is_published_and_seen(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """app_home_opened, views.publish."""

    @app.event("app_home_opened")
    async def opened(client: AsyncWebClient, event: Json) -> None:
        await client.views_publish(
            user_id=event["user"], view={"type": "home", "blocks": [{"type": "divider"}]}
        )

    await sandbox.open_home("sre1")

    home = await sandbox.wait_for(lambda: sandbox.home("sre1"))
    assert home.definition["blocks"][0]["type"] == "divider"


async def test_a_mention_is_answered_in_its_thread(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """The event carries the id of the bot and the ts to answer to."""

    @app.event("app_mention")
    async def mentioned(say: Any, event: Json) -> None:
        await say(text=event["text"], thread_ts=event["ts"])

    await sandbox.mention("sre1", "ops", "hello")

    replies = await sandbox.wait_for(lambda: sandbox.thread(sandbox.messages("ops")[0]))
    assert [reply.text for reply in replies] == ["<@U0000MAINT> hello"]


async def test_a_direct_message_is_an_event_of_its_own(
    sandbox: Sandbox, app: AsyncApp, delivery: str
) -> None:
    """message with channel_type im."""
    events: list[Json] = []

    @app.event("message")
    async def direct(event: Json) -> None:
        events.append(event)

    await sandbox.direct_message("sre1", "hello")

    await sandbox.wait_for(lambda: events, timeout=1)
    assert (events[0]["channel_type"], events[0]["text"]) == ("im", "hello")


async def test_talk_among_members_is_not_delivered(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """The app did not subscribe to message.channels; a test can let it."""
    assert await sandbox.say("sre1", "ops", "lunch?") == []

    sandbox.workspace.events |= {"message.channels"}
    sandbox.deliverer.retries = ()
    assert [each.kind for each in await sandbox.say("sre1", "ops", "lunch?")] == ["events_api"]


async def test_an_installed_app_has_what_its_manifest_says(sandbox: Sandbox) -> None:
    """Its commands, its events and its scopes, and what was used of them is known."""
    sandbox.workspace.install(
        {
            "features": {"slash_commands": [{"command": "/maint", "should_escape": False}]},
            "oauth_config": {"scopes": {"bot": ["commands", "chat:write"]}},
            "settings": {"event_subscriptions": {"bot_events": ["app_mention"]}},
        }
    )

    delivery = await sandbox.slash("sre1", "ops", "/maint ask @sre2")
    assert delivery.payload["text"] == "ask @sre2"
    with pytest.raises(LookupError, match="no command /other"):
        await sandbox.slash("sre1", "ops", "/other")
    with pytest.raises(LookupError, match="no app_mention"):  # the scope is missing
        await sandbox.mention("sre1", "ops", "hello")
    assert sandbox.workspace.scopes_used == {"commands"}


async def test_a_member_who_left_does_nothing(sandbox: Sandbox) -> None:
    """The test that tries has an error in it."""
    with pytest.raises(LookupError, match="deactivated"):
        await sandbox.slash("gone", "ops", "/maint")


async def test_many_members_at_once_are_all_answered(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """Twenty commands, each acknowledged with its own text."""

    @app.command("/maint")
    async def maint(ack: Any, command: Json) -> None:
        await ack(command["text"])

    done = await asyncio.gather(*(sandbox.slash("sre1", "ops", f"/maint {n}") for n in range(20)))

    assert [each.answer["text"] for each in done] == [str(n) for n in range(20)]
