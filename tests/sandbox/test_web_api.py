"""The Web API, through the unmodified client of slack_sdk: who may call, and messages."""

import json

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Kind, Sandbox
from bot.sandbox.methods import METHODS
from tests.sandbox.conftest import OPS, refused


async def test_a_call_without_a_token_is_not_authed(sandbox: Sandbox) -> None:
    """No token at all has a code of its own."""
    client = AsyncWebClient(base_url=sandbox.api_url, retry_handlers=[])

    assert (await refused(client, "auth.test"))["error"] == "not_authed"


async def test_a_wrong_token_is_invalid(sandbox: Sandbox) -> None:
    """A token that was never given out opens nothing."""
    client = AsyncWebClient("xoxb-wrong", base_url=sandbox.api_url, retry_handlers=[])

    assert (await refused(client, "auth.test"))["error"] == "invalid_auth"


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
async def test_each_method_wants_its_kind_of_token(sandbox: Sandbox, method: str) -> None:
    """The app token opens connections and nothing else; the bot token everything else."""
    wrong = sandbox.bot_token if METHODS[method].app_token else sandbox.app_token
    client = AsyncWebClient(wrong, base_url=sandbox.api_url, retry_handlers=[])

    assert (await refused(client, method))["error"] == "not_allowed_token_type"


async def test_an_unknown_method_is_refused(client: AsyncWebClient) -> None:
    """Not every word is a method."""
    assert (await refused(client, "chat.shout"))["error"] == "unknown_method"


async def test_a_missing_scope_is_named(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """The answer says what is needed and what was granted."""
    sandbox.workspace.scopes = frozenset({"commands"})

    answer = await refused(client, "chat.postMessage", channel=OPS, text="x")

    assert (answer["error"], answer["needed"], answer["provided"]) == (
        "missing_scope",
        "chat:write",
        "commands",
    )


async def test_private_channels_need_a_scope_of_their_own(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """channels:read lists public channels only."""
    sandbox.workspace.scopes = frozenset({"channels:read"})

    answer = await refused(client, "conversations.list", types="public_channel,private_channel")

    assert (answer["error"], answer["needed"]) == ("missing_scope", "groups:read")


async def test_a_name_of_its_own_needs_a_scope(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """username and icons are chat:write.customize."""
    sandbox.workspace.scopes = frozenset({"chat:write"})

    answer = await refused(client, "chat.postMessage", channel=OPS, text="x", username="Boss")

    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write.customize")


async def test_a_scope_lets_the_bot_post_uninvited(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """chat:write.public, in public channels."""
    sandbox.workspace.scopes |= {"chat:write.public"}

    assert (await client.chat_postMessage(channel="C0000RANDOM", text="x"))["ok"]


async def test_the_scopes_that_were_used_are_known(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """So that a manifest can be held against them."""
    await client.chat_postMessage(channel=OPS, text="x")
    await client.conversations_history(channel=OPS)

    assert sandbox.workspace.scopes_used == {"chat:write", "channels:history"}


async def test_auth_test_says_who_the_bot_is(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """And the header says its scopes, which Bolt reads."""
    answer = await client.auth_test()

    assert (answer["user_id"], answer["bot_id"]) == ("U0000MAINT", "B0000MAINT")
    assert set(answer.headers["x-oauth-scopes"].split(",")) == sandbox.workspace.scopes


async def test_calls_are_kept_without_their_token(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """What was asked and answered can be asserted, and holds no secret."""
    await client.chat_postMessage(channel=OPS, text="x")

    (call,) = sandbox.calls
    assert (call.method, call.arguments, call.answer["ok"]) == (
        "chat.postMessage",
        {"channel": OPS, "text": "x"},
        True,
    )
    assert sandbox.bot_token not in repr(sandbox.feed.history)


async def test_a_form_says_the_same_as_json(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """Blocks in a form are JSON text."""
    blocks = [{"type": "divider", "block_id": "a"}]

    await client.api_call(
        "chat.postMessage", data={"channel": OPS, "text": "x", "blocks": json.dumps(blocks)}
    )

    assert sandbox.messages("ops")[0].blocks == blocks


async def test_every_edit_of_a_message_is_kept(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """With its time, so that a rate can be asserted."""
    ts = (await client.chat_postMessage(channel=OPS, text="one"))["ts"]
    await client.chat_update(channel=OPS, ts=ts, text="two")
    await client.chat_update(channel=OPS, ts=ts, text="three")

    (message,) = sandbox.messages("ops")
    assert [content.text for content in message.history] == ["one", "two", "three"]
    assert sorted(times := [content.time for content in message.history]) == times


async def test_an_update_leaves_alone_what_it_does_not_name(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """Blocks stay when only a text is sent, and go when an empty list is."""
    blocks = [{"type": "divider", "block_id": "a"}]
    ts = (await client.chat_postMessage(channel=OPS, text="one", blocks=blocks))["ts"]

    await client.chat_update(channel=OPS, ts=ts, text="two")
    assert sandbox.messages("ops")[0].blocks == blocks
    await client.chat_update(channel=OPS, ts=ts, text="two", blocks=[])

    assert sandbox.messages("ops")[0].blocks == []


async def test_an_updated_text_has_4000_characters_at_most(client: AsyncWebClient) -> None:
    """Unlike that of a new message, which is cut at 40,000."""
    ts = (await client.chat_postMessage(channel=OPS, text="x" * 40_001))["ts"]

    assert (await refused(client, "chat.update", channel=OPS, ts=ts, text="x" * 4001))[
        "error"
    ] == "msg_too_long"


async def test_a_long_text_of_a_new_message_is_cut(client: AsyncWebClient) -> None:
    """Slack keeps 40,000 characters."""
    answer = await client.chat_postMessage(channel=OPS, text="x" * 40_001)

    assert len(answer["message"]["text"]) == 40_000


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [("chat.update", {"text": "x"}, "cant_update_message"), ("chat.delete", {}, "cant_delete_message")],
)
async def test_a_member_s_message_is_not_the_bot_s_to_change(
    client: AsyncWebClient, sandbox: Sandbox, method: str, arguments: dict[str, str], code: str
) -> None:
    """Only its own."""
    await sandbox.say("sre1", "ops", "mine")
    ts = sandbox.messages("ops")[0].ts

    assert (await refused(client, method, channel=OPS, ts=ts, **arguments))["error"] == code


async def test_a_message_that_was_deleted_is_not_found(client: AsyncWebClient) -> None:
    """Neither for an update nor for a second deletion."""
    ts = (await client.chat_postMessage(channel=OPS, text="x"))["ts"]
    await client.chat_delete(channel=OPS, ts=ts)

    assert (await refused(client, "chat.delete", channel=OPS, ts=ts))["error"] == "message_not_found"


async def test_an_ephemeral_message_is_seen_by_one_member(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """And cannot be updated."""
    ts = (await client.chat_postEphemeral(channel=OPS, user="U00000SRE1", text="psst"))["message_ts"]

    assert [m.text for m in sandbox.messages("ops", as_user="sre1")] == ["psst"]
    assert sandbox.messages("ops", as_user="sre2") == sandbox.messages("ops") == []
    assert (await refused(client, "chat.update", channel=OPS, ts=ts, text="x"))[
        "error"
    ] == "message_not_found"


async def test_an_ephemeral_message_needs_its_member_in_the_channel(client: AsyncWebClient) -> None:
    """The stranger is not in #alerts."""
    answer = await refused(client, "chat.postEphemeral", channel="C0000ALERTS", user="U0STRANGER", text="x")

    assert answer["error"] == "user_not_in_channel"


async def test_metadata_is_kept_and_shown_when_asked_for(client: AsyncWebClient) -> None:
    """So that a post whose answer was lost can be found again."""
    metadata = {"event_type": "card", "event_payload": {"id": "7"}}
    await client.chat_postMessage(channel=OPS, text="x", metadata=metadata)

    shown = await client.conversations_history(channel=OPS, include_all_metadata=True)
    hidden = await client.conversations_history(channel=OPS)

    assert shown["messages"][0]["metadata"] == metadata
    assert "metadata" not in hidden["messages"][0]


async def test_history_has_pages(client: AsyncWebClient) -> None:
    """The SDK follows the cursor; newest first, replies not among them."""
    parent = (await client.chat_postMessage(channel=OPS, text="0"))["ts"]
    await client.chat_postMessage(channel=OPS, text="reply", thread_ts=parent)
    for number in range(1, 5):
        await client.chat_postMessage(channel=OPS, text=str(number))

    pages = [page["messages"] async for page in await client.conversations_history(channel=OPS, limit=2)]

    assert [[message["text"] for message in page] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]


async def test_a_reply_to_a_reply_lands_in_the_same_thread(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """Slack's threads are one level deep."""
    parent = (await client.chat_postMessage(channel=OPS, text="0"))["ts"]
    reply = (await client.chat_postMessage(channel=OPS, text="1", thread_ts=parent))["ts"]
    await client.chat_postMessage(channel=OPS, text="2", thread_ts=reply)

    answer = await client.conversations_replies(channel=OPS, ts=parent)

    assert [message["text"] for message in answer["messages"]] == ["0", "1", "2"]
    assert [m.text for m in sandbox.thread(sandbox.messages("ops")[0])] == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "rings"),
    [
        ("<!channel> look", True),
        ("<!here|here>", True),
        ("&lt;!channel&gt; look", False),
        ("@channel", False),
    ],
)
async def test_a_broadcast_that_arrives_unescaped_is_marked(
    client: AsyncWebClient, sandbox: Sandbox, text: str, rings: bool
) -> None:
    """In the text, and in mrkdwn blocks."""
    await client.chat_postMessage(channel=OPS, text=text)
    block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    await client.chat_postMessage(channel=OPS, text="x", blocks=[block])

    assert [message.broadcast for message in sandbox.messages("ops")] == [rings, rings]


async def test_plain_text_rings_for_nobody(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """Marks in plain_text are not read."""
    block = {"type": "section", "text": {"type": "plain_text", "text": "<!channel>"}}
    await client.chat_postMessage(channel=OPS, text="x", blocks=[block])

    assert not sandbox.messages("ops")[0].broadcast


async def test_the_feed_tells_of_changes_in_their_order(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """Post, edit, delete: a subscriber hears all three."""
    with sandbox.feed.subscribe() as changes:
        ts = (await client.chat_postMessage(channel=OPS, text="x"))["ts"]
        await client.chat_update(channel=OPS, ts=ts, text="y")
        await client.chat_delete(channel=OPS, ts=ts)
        heard: list[Kind] = []
        async for change in changes:
            if change.kind is not Kind.PROTOCOL:
                heard.append(change.kind)
            if len(heard) == 3:
                break

    assert heard == [Kind.POSTED, Kind.UPDATED, Kind.DELETED]


async def test_waiting_in_vain_tells_what_was_seen(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """The message of the TimeoutError has the last changes."""
    await client.chat_postMessage(channel=OPS, text="something else")

    with pytest.raises(TimeoutError, match="something else"):
        await sandbox.wait_for(lambda: [m for m in sandbox.messages("ops") if m.text == "x"], timeout=0.05)


async def test_every_method_of_the_registry_is_one_that_the_sdk_calls(sandbox: Sandbox) -> None:
    """A name with a typing error would answer nobody."""
    client = AsyncWebClient()

    assert [name for name in METHODS if not hasattr(client, name.replace(".", "_"))] == []
