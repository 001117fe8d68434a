"""What is exactly as large as Slack allows is posted."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from tests.sandbox.block_kit import Json, actions, button, mrkdwn, option, plain, rich, section, select, table

LARGEST: dict[str, list[Json]] = {
    "50 blocks": [{"type": "divider"}] * 50,
    "text": [section(text=mrkdwn("x" * 3000))],
    "fields": [{"type": "section", "fields": [plain("x" * 1000)] * 10}],
    "a field": [section(fields=[plain("x" * 2000)])],
    "a header": [{"type": "header", "text": plain("x" * 150)}],
    "a context": [{"type": "context", "elements": [mrkdwn()] * 10}],
    "buttons": [
        actions(*(button(action_id=str(i), text=plain("x" * 75), value="x" * 2000) for i in range(25)))
    ],
    "a confirm dialog": [
        actions(
            button(
                confirm={
                    "title": plain("x" * 100),
                    "text": mrkdwn("x" * 300),
                    "confirm": plain("x" * 30),
                    "deny": plain("x" * 30),
                    "style": "danger",
                }
            )
        )
    ],
    "options": [
        section(
            accessory=select(
                options=[{"text": plain("x" * 75), "value": f"{i:0150}"} for i in range(100)],
                placeholder=plain("x" * 150),
            )
        )
    ],
    "a table": [table(100, 20)],
    "markdown": [{"type": "markdown", "text": "x" * 12_000}],
    "all text": [section(text=mrkdwn("x" * 2500))] * 5
    + [section(text=mrkdwn("x" * (13_297 - 12_500 - 5 * 125)))],
    "rich text": [
        rich(
            {
                "type": "rich_text_section",
                "elements": [{"type": "text", "text": "x", "style": {"bold": True}}],
            },
            {
                "type": "rich_text_list",
                "style": "ordered",
                "indent": 8,
                "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U00000SRE1"}]}
                ],
            },
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x"}]},
            {"type": "rich_text_quote", "elements": [{"type": "link", "url": "https://example.com"}]},
        )
    ],
    "every accessory": [
        section(accessory=element)
        for element in (
            button(),
            {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "x"},
            {"type": "overflow", "action_id": "more", "options": [option(i) for i in range(5)]},
            {"type": "checkboxes", "options": [option(i) for i in range(10)]},
            {"type": "radio_buttons", "options": [option(i) for i in range(10)]},
            {"type": "datepicker", "initial_date": "2026-11-21"},
            {"type": "timepicker", "initial_time": "09:00"},
            {"type": "users_select", "initial_user": "U00000SRE1"},
            {"type": "external_select", "min_query_length": 0},
            {"type": "multi_static_select", "options": [option()], "max_selected_items": 1},
            {"type": "conversations_select", "filter": {"include": ["public"]}},
        )
    ],
}


@pytest.mark.parametrize("what", LARGEST)
async def test_a_message_at_its_limits_is_accepted(
    client: AsyncWebClient, sandbox: Sandbox, what: str
) -> None:
    """What is exactly as large as allowed is posted as it was sent."""
    await client.chat_postMessage(channel="C000000OPS", text="x", blocks=LARGEST[what])

    (message,) = sandbox.messages("ops")
    assert [block["type"] for block in message.blocks] == [block["type"] for block in LARGEST[what]]


async def test_one_character_above_the_sum_is_too_much(client: AsyncWebClient) -> None:
    """The sum of all texts has an exact limit too."""
    blocks = [*LARGEST["all text"][:-1], section(text=mrkdwn("x" * (13_297 - 12_500 - 5 * 125 + 1)))]

    with pytest.raises(SlackApiError) as refused:
        await client.chat_postMessage(channel="C000000OPS", text="x", blocks=blocks)

    assert refused.value.response["error"] == "msg_blocks_too_long"
