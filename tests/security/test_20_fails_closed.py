"""20: what cannot be written into the audit log does not happen. Also kept by
tests/runs/test_audit_completeness.py, tests/commands/test_dispatch.py, tests/slack/test_people.py,
tests/scenario/test_audit.py (exports) and tests/security/test_matrix.py (every request is an event)."""

from dataclasses import replace

import pytest

from commands import COMMANDS
from commands.press import BUTTONS, Press
from commands.reply import Reply
from runbooks.access import Access
from runbooks.errors import RecordsError
from runbooks.records.audit import Event
from tests.commands.world import GRANTS, OPS, RUN, Engine, World, ask, in_slack, read, view
from tests.security.things import Thing, things

#: What a database says that takes no event.
HOSTILE = ("the disk is full", "the server is away", "permission denied for function maint_append_event")
WORDS = [thing for thing in things() if thing.kind == "word"]


def broken(world: World, why: str) -> None:
    """The audit log takes nothing any more."""

    async def record(event: Event, delivery_key: str | None = None) -> bool:
        raise RecordsError(why)

    world.dispatcher._recorder.record = record  # type: ignore[method-assign]


@pytest.mark.parametrize("why", HOSTILE)
@pytest.mark.parametrize("thing", WORDS, ids=str)
async def test_no_word_does_anything_without_the_log(thing: Thing, why: str) -> None:
    """Not even for who may do everything."""
    world = World(Engine().put(view(None, ask())))
    broken(world, why)
    text = thing.line.format(run=RUN[-8:], name="app")
    asked = replace(in_slack("dana", text), access=Access(frozenset({"admin"}), GRANTS, OPS))

    reply = await world.ask(asked)

    assert "Nothing was done" in read(reply)
    assert why not in read(reply)
    assert world.engine.done == []


@pytest.mark.parametrize("choice", BUTTONS)
async def test_no_button_does_anything_without_the_log(choice: str) -> None:
    """The same."""
    world = World(Engine().put(view(None, ask())))
    broken(world, HOSTILE[0])

    answer = await world.dispatcher.admit_command(
        in_slack("dana", "press"), Press(), (choice, f"{RUN}.ask-go", "why"), "slack:1"
    )

    assert isinstance(answer, Reply)
    assert world.engine.done == []


async def test_with_the_log_they_are_carried_out() -> None:
    """What is refused above is refused for the log."""
    world = World(Engine().put(view(None, ask())))

    await world.ask(in_slack("dana", "stop everything mischief"))

    assert world.engine.done == [("stop", "UDANA", "mischief")]
    assert [each.action for each in world.audit.events] == ["command.stop", "command.stop.finished"]
    assert set(COMMANDS) >= {"stop"}
