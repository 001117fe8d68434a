"""Block Kit's blocks, which surface takes which, and views."""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.sandbox.elements import (
    DISPATCH,
    IN_ACTIONS,
    IN_CONTEXT,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
    SLACK_FILE,
    URL,
    element,
    plain,
    words,
)
from bot.sandbox.shapes import (
    Anything,
    Bool,
    Either,
    Flaw,
    Many,
    Num,
    Obj,
    OneOf,
    Rule,
    Shape,
    Str,
    Word,
    at_least_one,
    exactly_one,
)

TEXT_STYLE = Obj(may={name: Bool() for name in ("bold", "italic", "strike", "code", "underline")})
MENTION_STYLE = Obj(
    may={name: Bool() for name in ("bold", "italic", "strike", "highlight", "client_highlight", "unlink")}
)
#: The pieces of a rich text line. Slack refuses a style on a list or a section: only pieces have one.
PIECES = OneOf(
    {
        "text": Obj({"text": Str()}, {"style": TEXT_STYLE}),
        "link": Obj({"url": URL}, {"text": Str(), "unsafe": Bool(), "style": TEXT_STYLE}),
        "emoji": Obj({"name": Str()}, {"unicode": Str(), "skin_tone": Num(1, 6)}),
        "user": Obj({"user_id": Str()}, {"style": MENTION_STYLE}),
        "usergroup": Obj({"usergroup_id": Str()}, {"style": MENTION_STYLE}),
        "channel": Obj({"channel_id": Str()}, {"style": MENTION_STYLE}),
        "broadcast": Obj({"range": Word(("here", "channel", "everyone"))}),
        "date": Obj({"timestamp": Num(0), "format": Str()}, {"url": URL, "fallback": Str()}),
        "color": Obj({"value": Str()}),
    }
)
SECTION_OF_TEXT = Obj({"elements": Many(PIECES, 1000, least=0)})
RICH_TEXT = OneOf(
    {
        "rich_text_section": SECTION_OF_TEXT,
        "rich_text_list": Obj(
            {
                "style": Word(("bullet", "ordered")),
                "elements": Many(OneOf({"rich_text_section": SECTION_OF_TEXT}), 1000),
            },
            {"indent": Num(0, 8), "offset": Num(0), "border": Num(0, 1)},
        ),
        "rich_text_preformatted": Obj(
            {"elements": Many(PIECES, 1000, least=0)}, {"border": Num(0, 1), "language": Str()}
        ),
        "rich_text_quote": Obj({"elements": Many(PIECES, 1000, least=0)}, {"border": Num(0, 1)}),
    }
)
CELL = OneOf(
    {
        "raw_text": Obj({"text": Str()}),
        "raw_number": Obj({"value": Num(float("-inf"), decimal=True)}, {"text": Str()}),
        "rich_text": Obj({"elements": Many(RICH_TEXT, 1000)}, {"block_id": Str(255)}),
    }
)
COLUMN = Either(
    lambda value: value is None,
    Anything(),
    Obj(may={"align": Word(("left", "center", "right")), "is_wrapped": Bool()}),
)


def block(must: dict[str, Shape] | None = None, may: dict[str, Shape] | None = None, *rules: Rule) -> Obj:
    """A block: what it adds to the block_id."""
    return Obj(must or {}, {"block_id": Str(255), **(may or {})}, rules)


def unique_action_ids(value: dict[str, Any], at: str) -> Iterator[Flaw]:
    """Within one block every action_id is there once."""
    seen: set[str] = set()
    elements = value.get("elements")
    for index, item in enumerate(elements if isinstance(elements, list) else []):
        action_id = item.get("action_id") if isinstance(item, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                yield Flaw(f"{at}/elements/{index}/action_id", f'`action_id` "{action_id}" already exists')
            seen.add(action_id)


INPUT_ELEMENTS: Mapping[str, Shape] = {
    **IN_INPUT.shapes,
    "rich_text_input": element(
        {},
        {
            "initial_value": OneOf({"rich_text": Obj({"elements": Many(RICH_TEXT, 1000, least=0)})}),
            "placeholder": plain(150),
            "dispatch_action_config": DISPATCH,
        },
    ),
}

EVERYWHERE: dict[str, Shape] = {
    "actions": block({"elements": Many(IN_ACTIONS, 25)}, {}, unique_action_ids),
    "context": block({"elements": Many(IN_CONTEXT, 10)}),
    "divider": block(),
    "header": block({"text": plain(150)}, {"level": Num(1, 6)}),
    "image": block(
        {"alt_text": Str(2000)},
        {"image_url": URL, "slack_file": SLACK_FILE, "title": plain(2000)},
        exactly_one("image_url", "slack_file"),
    ),
    "input": block(
        {"label": plain(2000), "element": OneOf(INPUT_ELEMENTS)},
        {"hint": plain(2000), "optional": Bool(), "dispatch_action": Bool()},
    ),
    "rich_text": block({"elements": Many(RICH_TEXT, 1000)}),
    "section": block(
        {},
        {"text": words(3000), "fields": Many(words(2000), 10), "accessory": IN_SECTION, "expand": Bool()},
        at_least_one("text", "fields"),
    ),
    "video": block(
        {"alt_text": Str(), "title": plain(200), "thumbnail_url": URL, "video_url": URL},
        {
            "author_name": Str(50),
            "description": plain(200),
            "provider_icon_url": URL,
            "provider_name": Str(),
            "title_url": URL,
        },
    ),
}
IN_MESSAGES: dict[str, Shape] = {
    **EVERYWHERE,
    "context_actions": block({"elements": Many(IN_CONTEXT_ACTIONS, 5)}, {}, unique_action_ids),
    "file": block({"external_id": Str(), "source": Word(("remote",))}),
    "markdown": block({"text": Str(12_000)}),
    "table": block({"rows": Many(Many(CELL, 20), 100)}, {"column_settings": Many(COLUMN, 20, least=0)}),
}

MESSAGE_BLOCKS = Many(OneOf(IN_MESSAGES), 50, least=0)

#: Both kinds of view have these.
COMMON: dict[str, Shape] = {
    "private_metadata": Str(3000, least=0),
    "callback_id": Str(255, least=0),
    "external_id": Str(255, least=0),
}


def unique_block_ids(blocks: list[Any], at: str) -> Iterator[Flaw]:
    """Within a message or a view every block_id is there once."""
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        block_id = block.get("block_id") if isinstance(block, dict) else None
        if isinstance(block_id, str):
            if block_id in seen:
                yield Flaw(f"{at}/{index}/block_id", f'`block_id` "{block_id}" already exists')
            seen.add(block_id)


def _blocks(value: dict[str, Any]) -> list[Any]:
    blocks = value.get("blocks")
    return blocks if isinstance(blocks, list) else []


def view_block_ids(value: dict[str, Any], at: str) -> Iterator[Flaw]:
    """As unique_block_ids, for a view."""
    return unique_block_ids(_blocks(value), f"{at}/blocks")


def one_focus(value: dict[str, Any], at: str) -> Iterator[Flaw]:
    """Only one element of a view can have the cursor at first."""
    inputs = [block.get("element") if isinstance(block, dict) else None for block in _blocks(value)]
    focused = [
        i for i, item in enumerate(inputs) if isinstance(item, dict) and item.get("focus_on_load") is True
    ]
    for index in focused[1:]:
        yield Flaw(f"{at}/blocks/{index}/element", "only one element may have `focus_on_load`")


def submit_for_inputs(value: dict[str, Any], at: str) -> Iterator[Flaw]:
    """A modal that asks for something has a button that sends it."""
    for index, item in enumerate(_blocks(value)):
        if isinstance(item, dict) and item.get("type") == "input" and "submit" not in value:
            yield Flaw(f"{at}/blocks/{index}/input", "must define `submit` to use an `input` block in modals")


VIEW = OneOf(
    {
        "modal": Obj(
            {"title": plain(24), "blocks": Many(OneOf(EVERYWHERE), 100, least=0)},
            {
                **COMMON,
                "close": plain(24),
                "submit": plain(24),
                "clear_on_close": Bool(),
                "notify_on_close": Bool(),
            },
            (submit_for_inputs, view_block_ids, one_focus),
        ),
        "home": Obj({"blocks": Many(OneOf(EVERYWHERE), 100, least=0)}, COMMON, (view_block_ids, one_focus)),
    },
    outlined=True,
)
ATTACHMENT = Obj(
    may={
        **{
            name: Str(least=0)
            for name in (
                "fallback",
                "color",
                "pretext",
                "author_name",
                "author_link",
                "author_icon",
                "author_subname",
                "title",
                "title_link",
                "text",
                "image_url",
                "thumb_url",
                "footer",
                "footer_icon",
                "callback_id",
            )
        },
        "ts": Either(lambda value: isinstance(value, str), Str(), Num(0)),
        "fields": Many(
            Obj(may={"title": Str(least=0), "value": Str(least=0), "short": Bool()}), 100, least=0
        ),
        "mrkdwn_in": Many(Str(), 10, least=0),
        "blocks": MESSAGE_BLOCKS,
    }
)
