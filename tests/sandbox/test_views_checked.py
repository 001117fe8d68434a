"""One fault at a time: each view is refused with Slack's code, at the right place."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from tests.sandbox.block_kit import (
    TEXT_INPUT,
    Json,
    asked,
    button,
    modal,
    mrkdwn,
    plain,
    section,
    table,
    told,
)

#: A fault, the view with it, and the pointer and the words with which it is refused.
WRONG_VIEWS: dict[str, tuple[Json, str, str]] = {
    "a long title": (modal(title=plain("x" * 25)), "/view/title/text", "must be less than 25 characters"),
    "a long submit": (modal(submit=plain("x" * 25)), "/view/submit/text", "must be less than 25 characters"),
    "a long close": (modal(close=plain("x" * 25)), "/view/close/text", "must be less than 25 characters"),
    "no title": ({"type": "modal", "blocks": []}, "/view", "missing required field: title"),
    "an unknown key": (
        modal(submit_disabled=False),
        "/view",
        "invalid additional property: submit_disabled",
    ),
    "101 blocks": (modal(*[{"type": "divider"}] * 101), "/view/blocks", "no more than 100 items allowed"),
    "long private_metadata": (
        modal(private_metadata="x" * 3001),
        "/view/private_metadata",
        "must be less than 3001 characters",
    ),
    "a long callback_id": (
        modal(callback_id="x" * 256),
        "/view/callback_id",
        "must be less than 256 characters",
    ),
    "an input without submit": (
        {"type": "modal", "title": plain(), "blocks": [asked(TEXT_INPUT)]},
        "/view/blocks/0/input",
        "must define `submit` to use an `input` block in modals",
    ),
    "a long label": (
        modal(asked(TEXT_INPUT, label=plain("x" * 2001))),
        "/view/blocks/0/label/text",
        "must be less than 2001 characters",
    ),
    "a button as input": (
        modal(asked(button())),
        "/view/blocks/0/element/type",
        "unsupported type: button",
    ),
    "an input too long": (
        modal(asked({**TEXT_INPUT, "max_length": 3001})),
        "/view/blocks/0/element/max_length",
        "must be less than or equal to 3000",
    ),
    "a minimum above the maximum": (
        modal(asked({**TEXT_INPUT, "min_length": 9, "max_length": 8})),
        "/view/blocks/0/element/min_length",
        "must be less than or equal to `max_length`",
    ),
    "11 files": (
        modal(asked({"type": "file_input", "max_files": 11})),
        "/view/blocks/0/element/max_files",
        "must be less than or equal to 10",
    ),
    "a table": (modal(table(1, 1)), "/view/blocks/0/type", "unsupported type: table"),
    "markdown": (
        modal({"type": "markdown", "text": "x"}),
        "/view/blocks/0/type",
        "unsupported type: markdown",
    ),
    "a block_id twice": (
        modal(section(block_id="a"), section(block_id="a")),
        "/view/blocks/1/block_id",
        '`block_id` "a" already exists',
    ),
}


@pytest.mark.parametrize("fault", WRONG_VIEWS)
async def test_a_modal_with_one_fault_is_refused(
    client: AsyncWebClient, sandbox: Sandbox, fault: str
) -> None:
    """The code is invalid_arguments, the pointer shows the fault, and the trigger is not used up."""
    view, pointer, words = WRONG_VIEWS[fault]
    trigger_id = sandbox.triggers.give("U00000SRE1")

    with pytest.raises(SlackApiError) as refused:
        await client.views_open(trigger_id=trigger_id, view=view)

    assert refused.value.response["error"] == "invalid_arguments"
    assert told(refused.value) == [
        "[ERROR] failed to match all allowed schemas [json-pointer:/view]",
        f"[ERROR] {words} [json-pointer:{pointer}]",
    ]
    assert (await client.views_open(trigger_id=trigger_id, view=modal()))["ok"]


async def test_a_modal_at_its_limits_is_accepted(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """A hundred inputs under titles of 24 characters."""
    view = modal(
        *(asked({**TEXT_INPUT, "min_length": 0, "max_length": 3000}) for _ in range(100)),
        title=plain("x" * 24),
        submit=plain("x" * 24),
        close=plain("x" * 24),
        private_metadata="x" * 3000,
        callback_id="x" * 255,
        external_id="x" * 255,
    )

    await client.views_open(trigger_id=sandbox.triggers.give("U00000SRE1"), view=view)

    (shown,) = sandbox.views("sre1")
    assert len(shown.definition["blocks"]) == 100


async def test_a_view_above_250_kilobytes_is_refused(client: AsyncWebClient, sandbox: Sandbox) -> None:
    """It has a code of its own."""
    view = modal(*(section(text=mrkdwn("x" * 3000)) for _ in range(84)))

    with pytest.raises(SlackApiError) as refused:
        await client.views_open(trigger_id=sandbox.triggers.give("U00000SRE1"), view=view)

    assert refused.value.response["error"] == "view_too_large"


async def test_a_modal_is_not_published_as_home(client: AsyncWebClient) -> None:
    """A view of the other kind is refused at its type."""
    with pytest.raises(SlackApiError) as refused:
        await client.views_publish(user_id="U00000SRE1", view=modal())

    assert "[ERROR] unsupported type: modal [json-pointer:/view/type]" in told(refused.value)
