"""Interactive elements: their ids, where they stand, and what a member entered in them."""

import uuid
from collections.abc import Iterator
from typing import Any

from bot.sandbox.workspace import Workspace

Blocks = list[dict[str, Any]]

#: Elements that send a block action, and where each keeps what was chosen.
CHOSEN = {
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "checkboxes": "selected_options",
    "users_select": "selected_user",
    "multi_users_select": "selected_users",
    "channels_select": "selected_channel",
    "multi_channels_select": "selected_channels",
    "conversations_select": "selected_conversation",
    "multi_conversations_select": "selected_conversations",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "plain_text_input": "value",
    "number_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "rich_text_input": "rich_text_value",
    "file_input": "files",
}
INITIAL = (
    "initial_option",
    "initial_options",
    "initial_user",
    "initial_users",
    "initial_channel",
    "initial_channels",
    "initial_conversation",
    "initial_conversations",
    "initial_date",
    "initial_time",
    "initial_date_time",
    "initial_value",
)
WITHOUT_STATE = {"button", "overflow", "image", "icon_button", "feedback_buttons"}


def with_ids(blocks: Blocks) -> Blocks:
    """The blocks as Slack keeps them: a block_id and an action_id where the app gave none."""
    found: Blocks = []
    for block in blocks:
        block = {**block}
        block.setdefault("block_id", uuid.uuid4().hex[:5])
        if block["type"] in {"actions", "context_actions"}:
            block["elements"] = [_with_action_id(item) for item in block["elements"]]
        for name in ("accessory", "element"):
            if name in block:
                block[name] = _with_action_id(block[name])
        found.append(block)
    return found


def _with_action_id(item: dict[str, Any]) -> dict[str, Any]:
    return item if item["type"] == "image" else {"action_id": uuid.uuid4().hex[:5], **item}


def elements(blocks: Blocks) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every interactive element with its block."""
    for block in blocks:
        items = [block.get("accessory"), block.get("element")]
        items += block["elements"] if block["type"] in {"actions", "context_actions"} else []
        for item in items:
            if item is not None and "action_id" in item:
                yield block, item


def find_element(
    blocks: Blocks, wanted: str, block_id: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An element by action_id, else by the text on it, with its block. Raises LookupError.

    An action_id is unique within its block only: `block_id` says which is meant.
    """
    found = [(block, item) for block, item in elements(blocks) if block_id in (None, block["block_id"])]
    for block, item in found:
        if item["action_id"] == wanted:
            return block, item
    for block, item in found:
        if item.get("text", {}).get("text") == wanted:
            return block, item
    offered = ", ".join(
        f"{item['action_id']} ({item.get('text', {}).get('text', item['type'])})" for _, item in found
    )
    raise LookupError(f"nothing to click called {wanted!r}; there are: {offered or 'none'}")


def options(item: dict[str, Any]) -> list[dict[str, Any]]:
    """What a select, a menu or a row of boxes offers."""
    grouped = [option for group in item.get("option_groups", []) for option in group["options"]]
    return [*item.get("options", []), *grouped]


def entered(workspace: Workspace, item: dict[str, Any], value: Any) -> dict[str, Any]:
    """What an element sends when that is entered: an option is named by its value or its text.

    Raises LookupError for an option, a member or a channel that is not there.
    """
    kind, key = item["type"], CHOSEN[item["type"]]
    sent: dict[str, Any] = {"type": kind}
    if value is None:
        return {**sent, key: [] if key.endswith("s") and key != "files" else None}
    if key == "selected_option":
        sent[key] = _option(item, value)
    elif key == "selected_options":
        sent[key] = [_option(item, each) for each in value]
    elif key in {"selected_user", "selected_users"}:
        ids = [workspace.member(name).id for name in ([value] if isinstance(value, str) else value)]
        sent[key] = ids if key.endswith("s") else ids[0]
    elif key.startswith(("selected_channel", "selected_conversation")):
        ids = [workspace.channel(name).id for name in ([value] if isinstance(value, str) else value)]
        sent[key] = ids if key.endswith("s") else ids[0]
    elif kind == "number_input":
        sent[key] = str(value)
    else:
        sent[key] = value
    if kind == "timepicker":
        sent["timezone"] = item.get("timezone", "Europe/Berlin")
    return sent


def _option(item: dict[str, Any], value: Any) -> dict[str, Any]:
    if isinstance(value, dict):  # an option that came from the app, as in an external select
        return value
    for option in options(item):
        if value in (option["value"], option["text"]["text"]):
            return {"text": option["text"], "value": option["value"]}
    raise LookupError(
        f"no option {value!r}; there are {', '.join(o['value'] for o in options(item)) or 'none'}"
    )


def initial(item: dict[str, Any]) -> dict[str, Any]:
    """What an element holds before anybody touched it."""
    key = CHOSEN[item["type"]]
    for name in INITIAL:
        if name in item:
            return {"type": item["type"], key: item[name]}
    empty: Any = [] if key.endswith("s") else None
    return {"type": item["type"], key: empty}


def state(blocks: Blocks, kept: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The state values of a message or a view: what was entered, else what stood there at first."""
    found: dict[str, dict[str, Any]] = {}
    for block, item in elements(blocks):
        if item["type"] not in WITHOUT_STATE:
            values = found.setdefault(block["block_id"], {})
            values[item["action_id"]] = kept.get(block["block_id"], {}).get(item["action_id"]) or initial(
                item
            )
    return found


def missing(blocks: Blocks, values: dict[str, dict[str, Any]]) -> list[str]:
    """The block ids of inputs that must be filled and are not; Slack's client does not send such a form."""
    return [
        block["block_id"]
        for block in blocks
        if block["type"] == "input"
        and not block.get("optional", False)
        and not values[block["block_id"]][block["element"]["action_id"]][CHOSEN[block["element"]["type"]]]
    ]
