"""`slack.message`, as the engine carries it out."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from runbooks.engine.at import At, Finished
from runbooks.engine.messages import say
from runbooks.steps.slack_message import SlackMessage


class Outbox:
    """Stands in for a run under way: the whole engine would say nothing more about this step than which rows
    it puts into the outbox. Like the outbox, it keeps one row for each key."""

    def __init__(self, attempt: int = 1) -> None:
        self.row = SimpleNamespace(attempt=attempt)
        self.rows: dict[str, tuple[str, Mapping[str, Any], str]] = {}

    async def post(
        self, kind: str, body: Mapping[str, Any], *, channel: str = "", priority: int = 1, key: str = ""
    ) -> None:
        self.rows.setdefault(key, (kind, body, channel))


async def carry_out(outbox: Outbox, **fields: Any) -> Finished:
    return await say(cast(At, outbox), SlackMessage.model_validate(fields))


async def test_a_message_goes_into_the_thread_of_the_card() -> None:
    """Without a channel the message is for the thread, as it is written."""
    outbox = Outbox()

    done = await carry_out(outbox, text="on <!channel> *now*")

    assert list(outbox.rows.values()) == [("message", {"text": "on <!channel> *now*"}, "")]
    assert done.summary == "on <!channel> *now*"


async def test_a_message_goes_into_a_channel() -> None:
    """A channel is named with or without its #."""
    outbox = Outbox()

    await carry_out(outbox, text="a", channel="#ops")

    assert list(outbox.rows.values()) == [("message", {"text": "a"}, "ops")]


async def test_a_message_is_said_once_however_often_the_run_wakes() -> None:
    """A step that is carried out again after a crash says nothing twice; a new attempt speaks again."""
    outbox = Outbox()

    await carry_out(outbox, text="a")
    await carry_out(outbox, text="a")
    outbox.row.attempt = 2
    await carry_out(outbox, text="a")

    assert len(outbox.rows) == 2


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": "x" * 3001}, {"text": "a", "to": "x"}])
def test_a_message_that_cannot_be_said_is_refused(fields: dict[str, Any]) -> None:
    """A message has some text, and not more than a message holds."""
    with pytest.raises(ValidationError):
        SlackMessage.model_validate(fields)


def test_a_plan_shows_the_message_and_where() -> None:
    """A plan has the text in one line."""
    model = SlackMessage.model_validate({"text": "a\nb", "channel": "ops"})

    assert model.plan_lines({}) == ("says in #ops: a\\nb",)
    assert SlackMessage.model_validate({"text": 5}).plan_lines({}) == ("says in this run's thread: 5",)
