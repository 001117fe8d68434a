"""One fault at a time: each message is refused with Slack's code, at the right place."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from tests.sandbox.block_kit import (
    CONFIRM,
    LINE,
    TEXT_INPUT,
    Json,
    actions,
    button,
    mrkdwn,
    option,
    plain,
    rich,
    section,
    select,
    table,
    told,
)

#: A fault, the message with it, and the pointer and the words with which it is refused.
WRONG_BLOCKS: dict[str, tuple[list[Any], str, str]] = {
    "51 blocks": ([{"type": "divider"}] * 51, "/blocks", "no more than 50 items allowed"),
    "a block that is text": (["x"], "/blocks/0", "must provide an object"),
    "a block without a type": ([{"text": plain()}], "/blocks/0", "missing required field: type"),
    "an unknown block": ([{"type": "sections"}], "/blocks/0/type", "unsupported type: sections"),
    "an alert in a message": (
        [{"type": "alert", "text": plain()}],
        "/blocks/0/type",
        "unsupported type: alert",
    ),
    "an unknown key": ([section(texts=1)], "/blocks/0", "invalid additional property: texts"),
    "a long block_id": (
        [section(block_id="x" * 256)],
        "/blocks/0/block_id",
        "must be less than 256 characters",
    ),
    "an empty block_id": ([section(block_id="")], "/blocks/0/block_id", "must be more than 0 characters"),
    "a block_id twice": (
        [section(block_id="a"), section(block_id="a")],
        "/blocks/1/block_id",
        '`block_id` "a" already exists',
    ),
    "a section of nothing": ([{"type": "section"}], "/blocks/0", "must define either `text` or `fields`"),
    "a section of text": ([{"type": "section", "text": "x"}], "/blocks/0/text", "must provide an object"),
    "empty text": ([section(text=mrkdwn(""))], "/blocks/0/text/text", "must be more than 0 characters"),
    "long text": (
        [section(text=mrkdwn("x" * 3001))],
        "/blocks/0/text/text",
        "must be less than 3001 characters",
    ),
    "text that is a number": ([section(text=mrkdwn(1))], "/blocks/0/text/text", "must provide a string"),  # type: ignore[arg-type]
    "emoji on mrkdwn": (
        [section(text=mrkdwn(emoji=True))],
        "/blocks/0/text",
        "invalid additional property: emoji",
    ),
    "verbatim on plain_text": (
        [section(text=plain(verbatim=True))],
        "/blocks/0/text",
        "invalid additional property: verbatim",
    ),
    "11 fields": ([section(fields=[plain()] * 11)], "/blocks/0/fields", "no more than 10 items allowed"),
    "no fields": ([section(fields=[])], "/blocks/0/fields", "must provide at least 1 items"),
    "a long field": (
        [section(fields=[plain("x" * 2001)])],
        "/blocks/0/fields/0/text",
        "must be less than 2001 characters",
    ),
    "an input as accessory": (
        [section(accessory=TEXT_INPUT)],
        "/blocks/0/accessory/type",
        "unsupported type: plain_text_input",
    ),
    "a long header": (
        [{"type": "header", "text": plain("x" * 151)}],
        "/blocks/0/text/text",
        "must be less than 151 characters",
    ),
    "a header in mrkdwn": (
        [{"type": "header", "text": mrkdwn()}],
        "/blocks/0/text/type",
        "unsupported type: mrkdwn",
    ),
    "11 context elements": (
        [{"type": "context", "elements": [plain()] * 11}],
        "/blocks/0/elements",
        "no more than 10 items allowed",
    ),
    "a button in a context": (
        [{"type": "context", "elements": [button()]}],
        "/blocks/0/elements/0/type",
        "unsupported type: button",
    ),
    "26 buttons": (
        [actions(*(button(action_id=str(i)) for i in range(26)))],
        "/blocks/0/elements",
        "no more than 25 items allowed",
    ),
    "no buttons": ([actions()], "/blocks/0/elements", "must provide at least 1 items"),
    "an action_id twice in a block": (
        [actions(button(), button())],
        "/blocks/0/elements/1/action_id",
        '`action_id` "go" already exists',
    ),
    "a long action_id": (
        [actions(button(action_id="x" * 256))],
        "/blocks/0/elements/0/action_id",
        "must be less than 256 characters",
    ),
    "a long button": (
        [actions(button(text=plain("x" * 76)))],
        "/blocks/0/elements/0/text/text",
        "must be less than 76 characters",
    ),
    "a button in mrkdwn": (
        [actions(button(text=mrkdwn()))],
        "/blocks/0/elements/0/text/type",
        "unsupported type: mrkdwn",
    ),
    "a long button value": (
        [actions(button(value="x" * 2001))],
        "/blocks/0/elements/0/value",
        "must be less than 2001 characters",
    ),
    "a button with an empty url": (
        [actions(button(url=""))],
        "/blocks/0/elements/0/url",
        "must be more than 0 characters",
    ),
    "a button that is disabled": (
        [actions(button(disabled=True))],
        "/blocks/0/elements/0",
        "invalid additional property: disabled",
    ),
    "a green button": (
        [actions(button(style="green"))],
        "/blocks/0/elements/0/style",
        "value must be one of primary, danger",
    ),
    "a long confirm title": (
        [actions(button(confirm={**CONFIRM, "title": plain("x" * 101)}))],
        "/blocks/0/elements/0/confirm/title/text",
        "must be less than 101 characters",
    ),
    "a long confirm text": (
        [actions(button(confirm={**CONFIRM, "text": mrkdwn("x" * 301)}))],
        "/blocks/0/elements/0/confirm/text/text",
        "must be less than 301 characters",
    ),
    "a long confirm button": (
        [actions(button(confirm={**CONFIRM, "confirm": plain("x" * 31)}))],
        "/blocks/0/elements/0/confirm/confirm/text",
        "must be less than 31 characters",
    ),
    "a confirm without deny": (
        [actions(button(confirm={k: v for k, v in CONFIRM.items() if k != "deny"}))],
        "/blocks/0/elements/0/confirm",
        "missing required field: deny",
    ),
    "101 options": (
        [section(accessory=select(options=[option(i) for i in range(101)]))],
        "/blocks/0/accessory/options",
        "no more than 100 items allowed",
    ),
    "a select without options": (
        [section(accessory={"type": "static_select", "action_id": "a"})],
        "/blocks/0/accessory",
        "must define either `options` or `option_groups`",
    ),
    "a long option": (
        [section(accessory=select(options=[option(text=plain("x" * 76))]))],
        "/blocks/0/accessory/options/0/text/text",
        "must be less than 76 characters",
    ),
    "a long option value": (
        [section(accessory=select(options=[{"text": plain(), "value": "x" * 151}]))],
        "/blocks/0/accessory/options/0/value",
        "must be less than 151 characters",
    ),
    "a choice that is not offered": (
        [section(accessory=select(initial_option=option(7)))],
        "/blocks/0/accessory/initial_option",
        "must match exactly one of the provided options",
    ),
    "a long placeholder": (
        [section(accessory=select(placeholder=plain("x" * 151)))],
        "/blocks/0/accessory/placeholder/text",
        "must be less than 151 characters",
    ),
    "6 in an overflow menu": (
        [section(accessory={"type": "overflow", "options": [option(i) for i in range(6)]})],
        "/blocks/0/accessory/options",
        "no more than 5 items allowed",
    ),
    "11 checkboxes": (
        [section(accessory={"type": "checkboxes", "options": [option(i) for i in range(11)]})],
        "/blocks/0/accessory/options",
        "no more than 10 items allowed",
    ),
    "11 radio buttons": (
        [section(accessory={"type": "radio_buttons", "options": [option(i) for i in range(11)]})],
        "/blocks/0/accessory/options",
        "no more than 10 items allowed",
    ),
    "a date that is none": (
        [section(accessory={"type": "datepicker", "initial_date": "tomorrow"})],
        "/blocks/0/accessory/initial_date",
        "must be a valid date in the format YYYY-MM-DD",
    ),
    "an image without alt_text": (
        [{"type": "image", "image_url": "https://example.com/a.png"}],
        "/blocks/0",
        "missing required field: alt_text",
    ),
    "an image from nowhere": (
        [{"type": "image", "alt_text": "x"}],
        "/blocks/0",
        "must define either `image_url` or `slack_file`",
    ),
    "long alt_text": (
        [{"type": "image", "image_url": "https://example.com/a.png", "alt_text": "x" * 2001}],
        "/blocks/0/alt_text",
        "must be less than 2001 characters",
    ),
    "long markdown": (
        [{"type": "markdown", "text": "x" * 12_001}],
        "/blocks/0/text",
        "must be less than 12001 characters",
    ),
    "101 rows": ([table(101, 1)], "/blocks/0/rows", "no more than 100 items allowed"),
    "21 cells": ([table(1, 21)], "/blocks/0/rows/0", "no more than 20 items allowed"),
    "two tables": ([table(1, 1), table(1, 1)], "/blocks/1", "only_one_table_allowed"),
    "a list too deep": (
        [rich({"type": "rich_text_list", "style": "bullet", "indent": 9, "elements": [LINE]})],
        "/blocks/0/elements/0/indent",
        "must be less than or equal to 8",
    ),
    "a style on a section of rich text": (
        [rich({"type": "rich_text_section", "elements": [], "style": {"bold": True}})],
        "/blocks/0/elements/0",
        "invalid additional property: style",
    ),
    "an empty piece of rich text": (
        [rich({"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]})],
        "/blocks/0/elements/0/elements/0/text",
        "must be more than 0 characters",
    ),
}


@pytest.mark.parametrize("fault", WRONG_BLOCKS)
async def test_a_message_with_one_fault_is_refused(
    client: AsyncWebClient, sandbox: Sandbox, fault: str
) -> None:
    """The code is invalid_blocks, the pointer shows the fault, and nothing is posted."""
    blocks, pointer, words = WRONG_BLOCKS[fault]

    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C000000OPS", text="x", blocks=blocks)

    assert refused.value.response["error"] == "invalid_blocks"
    assert f"[ERROR] {words} [json-pointer:{pointer}]" in told(refused.value)
    assert refused.value.response["errors"] == [f"{words} [json-pointer:{pointer}]"]
    assert sandbox.messages("ops") == []


async def test_a_flaw_in_text_names_the_text_object_first(client: AsyncWebClient) -> None:
    """As Slack does: the choice that failed, then why; only the latter in `errors`."""
    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(
            channel="C000000OPS", text="x", blocks=[section(text=mrkdwn("x" * 3001))]
        )

    assert told(refused.value) == [
        "[ERROR] failed to match all allowed schemas [json-pointer:/blocks/0/text]",
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ]


WRONG_MESSAGES: dict[str, tuple[Json, str]] = {
    "nothing at all": ({"text": ""}, "no_text"),
    "blocks that are no list": ({"text": "x", "blocks": "{}"}, "invalid_blocks_format"),
    "blocks that are no JSON": ({"text": "x", "blocks": "[{"}, "invalid_blocks_format"),
    "101 attachments": ({"text": "x", "attachments": [{"fallback": "x"}] * 101}, "too_many_attachments"),
    "an unknown key of an attachment": (
        {"text": "x", "attachments": [{"fallback": "x", "colour": "red"}]},
        "invalid_attachments",
    ),
    "too much text in all": (
        {"text": "x", "blocks": [section(text=mrkdwn("x" * 2700))] * 5},
        "msg_blocks_too_long",
    ),
    "markdown beside text": ({"text": "x", "markdown_text": "x"}, "markdown_text_conflict"),
    "long markdown": ({"markdown_text": "x" * 12_001}, "msg_too_long"),
    "metadata that is too big": (
        {"text": "x", "metadata": {"event_type": "a", "event_payload": {"a": "x" * 20_000}}},
        "metadata_too_large",
    ),
    "metadata without a type": ({"text": "x", "metadata": {"event_payload": {}}}, "invalid_metadata_schema"),
    "metadata that is text": ({"text": "x", "metadata": '"x"'}, "invalid_metadata_format"),
    "an unknown argument": ({"text": "x", "colour": "red"}, "invalid_arguments"),
    "an unknown thread": ({"text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    "an unknown channel": ({"text": "x", "channel": "C0NOWHERE00"}, "channel_not_found"),
    "a name of no channel": ({"text": "x", "channel": "#nowhere"}, "channel_not_found"),
    "a private channel of others": ({"text": "x", "channel": "C0000LEADS"}, "channel_not_found"),
    "a channel without the bot": ({"text": "x", "channel": "C0000RANDOM"}, "not_in_channel"),
    "an archived channel": ({"text": "x", "channel": "C000ARCHIVE"}, "is_archived"),
    "a member who left": ({"text": "x", "channel": "U00000GONE"}, "channel_not_found"),
}


@pytest.mark.parametrize("fault", WRONG_MESSAGES)
async def test_a_message_that_cannot_be_posted_is_refused(client: AsyncWebClient, fault: str) -> None:
    """Each fault of a whole message has its own code."""
    arguments, code = WRONG_MESSAGES[fault]

    with pytest.raises(SlackApiError) as refused:
        await client.api_call("chat.postMessage", json={"channel": "C000000OPS", **arguments})

    assert refused.value.response["error"] == code
