"""Is this a message or a view that Slack would take? Raises SlackError with Slack's code if not."""

import json
from collections.abc import Iterator
from typing import Any

from bot.sandbox.blocks import ATTACHMENT, MESSAGE_BLOCKS, VIEW, unique_block_ids
from bot.sandbox.errors import SlackError
from bot.sandbox.shapes import Anything, Flaw, Many, Obj, Shape, Str

#: Characters of a whole message's blocks, and what each block after the first costs besides its text.
#: Undocumented; as measured by those who ran into it (slackapi/bolt-js issues 2509 and 2867).
MESSAGE_TEXT, BLOCK_COST = 13_297, 125
MARKDOWN_TEXT = 12_000  # characters, over all markdown blocks of a message
ATTACHMENTS = 100
VIEW_BYTES = 250_000
METADATA_BYTES = 16_384  # unverified: Slack names no number

METADATA = Obj({"event_type": Str(255), "event_payload": Anything()})
TEXT_KEYS = ("text", "alt_text", "title", "description", "label", "hint", "placeholder")


def message_blocks(blocks: Any, *, summed: bool = True) -> list[dict[str, Any]]:
    """The blocks of a message, as they came or as JSON text. A response_url knows no sum of texts."""
    found = _parsed(blocks, "invalid_blocks_format")
    if not isinstance(found, list):
        raise SlackError("invalid_blocks_format")
    _check(
        MESSAGE_BLOCKS,
        found,
        "/blocks",
        "invalid_blocks",
        [*unique_block_ids(found, "/blocks"), *_tables(found)],
    )
    markdown = sum(len(block["text"]) for block in found if block["type"] == "markdown")
    length = sum(text_length(block) for block in found) + BLOCK_COST * max(0, len(found) - 1)
    if summed and (length > MESSAGE_TEXT or markdown > MARKDOWN_TEXT):
        raise SlackError("msg_blocks_too_long")
    return found


def attachments(value: Any) -> list[dict[str, Any]]:
    """The attachments of a message, as they came or as JSON text."""
    found = _parsed(value, "invalid_attachments")
    if not isinstance(found, list):
        raise SlackError("invalid_attachments")
    if len(found) > ATTACHMENTS:
        raise SlackError("too_many_attachments")
    _check(Many(ATTACHMENT, ATTACHMENTS, least=0), found, "/attachments", "invalid_attachments", [])
    return found


def metadata(value: Any) -> dict[str, Any]:
    """A message's metadata, as it came or as JSON text."""
    found = _parsed(value, "invalid_metadata_format")
    if not isinstance(found, dict):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(found).encode()) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    _check(METADATA, found, "/metadata", "invalid_metadata_schema", [])
    if not isinstance(found["event_payload"], dict):
        raise SlackError("invalid_metadata_schema")
    return found


def view(value: Any, kind: str | None = None) -> dict[str, Any]:
    """A view definition, as it came or as JSON text. `kind`: the one type that will do here."""
    found = _parsed(value, "invalid_arguments")
    if isinstance(found, dict) and len(json.dumps(found).encode()) > VIEW_BYTES:
        raise SlackError("view_too_large")
    _check(VIEW, found, "/view", "invalid_arguments", [])
    assert isinstance(found, dict)
    if kind is not None and found["type"] != kind:
        raise SlackError(
            "invalid_arguments", **_explained([Flaw("/view/type", f"unsupported type: {found['type']}")])
        )
    return found


def text_length(value: Any) -> int:
    """Characters of everything in a block that somebody reads."""
    if isinstance(value, list):
        return sum(text_length(item) for item in value)
    if not isinstance(value, dict):
        return 0
    own = sum(len(value[key]) for key in TEXT_KEYS if isinstance(value.get(key), str))
    return own + sum(text_length(item) for item in value.values() if isinstance(item, dict | list))


def _parsed(value: Any, code: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise SlackError(code) from None


def _check(shape: Shape, value: Any, at: str, code: str, more: list[Flaw]) -> None:
    flaws = [*shape.flaws(value, at), *more]
    if flaws:
        raise SlackError(code, **_explained(flaws))


def _explained(flaws: list[Flaw]) -> dict[str, Any]:
    return {
        "errors": [str(flaw) for flaw in flaws if not flaw.outline],
        "response_metadata": {"messages": [f"[ERROR] {flaw}" for flaw in flaws]},
    }


def _tables(blocks: list[Any]) -> Iterator[Flaw]:
    tables = [i for i, block in enumerate(blocks) if isinstance(block, dict) and block.get("type") == "table"]
    for index in tables[1:]:
        yield Flaw(f"/blocks/{index}", "only_one_table_allowed")
