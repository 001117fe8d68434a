"""05: nothing is believed of a button or a form but an id that is looked up. Also kept by
tests/security/test_matrix.py (forged values at every button and form) and tests/slack/test_actions.py."""

import pytest

from bot.slack.modals import kept_in
from commands.press import CANCEL, DETAILS, UNDO, Press
from commands.reply import Reply
from runbooks.errors import MaintError, Refused, UsageError
from tests.commands.world import RUN, Engine, World, ask, in_slack, read, view

#: What stands where the ids of a run and of a question stand.
HOSTILE = (
    "", ".", ".ask-go", f"{RUN}.ask-other", f"{RUN}.ask-go.ask-go", f"{RUN.upper()}.ask-go",
    f"{RUN}\x00.ask-go", f"{RUN}%.ask-go", "' OR 1=1 --", "../../etc/passwd", "<@UKIM>", "\u202e" + RUN,
    "x" * 2000,
)  # fmt: skip
#: The private_metadata of a form.
METADATA = (
    "",
    "{",
    "[]",
    "5",
    "null",
    '"x"',
    '{"choice": ["approve"], "value": {"a": 1}}',
    "[" * 5000,
    "\ud800",
)


@pytest.mark.parametrize("value", HOSTILE, ids=[str(at) for at in range(len(HOSTILE))])
@pytest.mark.parametrize("choice", ["approve", CANCEL, UNDO, "promote", "__class__"])
async def test_a_forged_id_answers_nothing(choice: str, value: str) -> None:
    """Not even for who could answer the question that is there."""
    world = World(Engine().put(view(None, ask())))
    request = in_slack("kim", f"press {choice}", "admin")
    try:
        reply: Reply | None = await Press().answer(
            request, (choice, value, "mischief"), world.dispatcher._services, lambda _: None
        )
    except (UsageError, Refused):
        reply = None

    assert world.engine.done == []
    assert reply is None or "Say" in read(reply)


@pytest.mark.parametrize("value", [RUN, f"{RUN}.ask-go"])
async def test_who_may_not_see_a_run_sees_nothing_of_it_by_its_id(value: str) -> None:
    """A right id is no right."""
    world = World(Engine().put(view(None, ask())))
    request = in_slack("nobody", "press")

    with pytest.raises(MaintError) as caught:
        await Press().answer(request, (DETAILS, value), world.dispatcher._services, lambda _: None)

    assert "Deploy the shop" not in str(caught.value)


@pytest.mark.parametrize("metadata", METADATA, ids=[str(at) for at in range(len(METADATA))])
def test_what_is_kept_with_a_form_is_texts_or_nothing(metadata: str) -> None:
    """Whatever stands there."""
    kept = kept_in({"private_metadata": metadata})

    assert all(isinstance(text, str) for pair in kept.items() for text in pair)
