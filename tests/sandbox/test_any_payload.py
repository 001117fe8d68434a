"""Whatever arrives is taken or refused: the checks themselves never fail."""

import contextlib
import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox import validate
from bot.sandbox.errors import SlackError
from bot.sandbox.payloads import escaped
from bot.sandbox.workspace import Workspace
from tests.sandbox.block_kit import CONFIRM, TEXT_INPUT, asked, button, modal, section, select
from tests.sandbox.test_largest_messages import LARGEST

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
VALID: list[list[dict[str, Any]]] = [
    LARGEST["rich text"],
    LARGEST["every accessory"],
    [section(accessory=select(initial_option={"text": {"type": "plain_text", "text": "x"}, "value": "0"}))],
    [{"type": "actions", "elements": [button(confirm=CONFIRM), select()]}],
    [
        {
            "type": "table",
            "rows": [[{"type": "raw_text", "text": "x"}]],
            "column_settings": [None, {"align": "left"}],
        }
    ],
    [asked({**TEXT_INPUT, "min_length": 1, "max_length": 2})],
]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    items = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [at, *(place for key, item in items for place in places(item, (*at, key)))]


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A valid list of blocks in which one thing was replaced by anything."""
    blocks = copy.deepcopy(draw(st.sampled_from(VALID)))
    *way, last = draw(st.sampled_from([place for place in places(blocks) if place]))
    parent: Any = blocks
    for step in way:
        parent = parent[step]
    parent[last] = draw(JSON)
    return blocks


@given(blocks=spoilt() | JSON)
@settings(max_examples=300, deadline=None)
def test_any_blocks_are_taken_or_refused(blocks: Any) -> None:
    """In a message and in a modal; what is taken can be posted again as it is."""
    with contextlib.suppress(SlackError):
        assert validate.message_blocks(blocks) == blocks or isinstance(blocks, str)
    with contextlib.suppress(SlackError):
        validate.view({**modal(), "blocks": blocks})


@given(value=JSON)
@settings(max_examples=100, deadline=None)
def test_any_attachments_metadata_or_view_are_taken_or_refused(value: Any) -> None:
    """As they are, and as JSON text."""
    for each in (value, json.dumps(value)):
        for check in (validate.attachments, validate.metadata, validate.view):
            with contextlib.suppress(SlackError):
                check(each)


@given(text=st.text(st.sampled_from("@#<>&!| sreopchanl1.-")))
def test_no_tag_is_made_of_what_a_member_types(text: str) -> None:
    """Only names that exist become tags; an angle bracket that was typed never begins one."""
    workspace = Workspace()
    found = escaped(workspace, text, labelled=True)
    known = ["<@", "<#C", "<!subteam^S", "<!channel>", "<!here>", "<!everyone>"]

    assert all(any(found[i:].startswith(tag) for tag in known) for i, sign in enumerate(found) if sign == "<")
