"""A target that is left out is filled in when nothing else fits, and never where it could be another."""

import pytest

from tests.commands.world import World, at_terminal, in_slack, read


async def test_what_is_not_felt_begins_with_the_only_target() -> None:
    """And says which that is."""
    world = World()

    reply = await world.ask(in_slack("dana", "run tidy"))

    (start,) = world.engine.done
    assert start[1:3] == ("tidy", {"host": "web-1"})
    assert "With host=web-1: nothing else fits." in read(reply)


@pytest.mark.parametrize("typed", ["run tidy risky=true", "run tidy risky=true host="])
async def test_what_is_felt_asks_with_the_target_filled_in(typed: str) -> None:
    """In Slack the form has it; at the terminal the command does."""
    world = World()

    slack, terminal = await world.ask(in_slack("dana", typed)), await world.ask(at_terminal(typed))

    assert slack.form is not None
    assert slack.form.given == {"host": "web-1", "risky": "true"}
    assert "Complete it: maint run tidy host=web-1 risky=true" in read(terminal)
    assert "Say which target" in read(terminal)
    assert "Nothing else fits than host=web-1" in read(terminal)
    assert world.engine.done == []


async def test_where_two_fit_people_say_which() -> None:
    """The form has the one that is beyond doubt in it."""
    world = World()

    reply = await world.ask(in_slack("dana", "run compare"))

    assert reply.form is not None
    assert reply.form.given == {"host": "web-1"}
    assert list(reply.form.faults) == ["site"]
    assert world.engine.done == []


async def test_a_target_that_was_named_is_never_another() -> None:
    """What does not fit is said, not mended."""
    world = World()

    reply = await world.ask(in_slack("dana", "run tidy host=web-2"))

    assert reply.form is not None
    assert reply.form.given == {"host": "web-2"}
    assert world.engine.done == []


async def test_a_target_that_the_person_may_not_use_is_none() -> None:
    """Who may run it in production only has one site; what is said names no other."""
    world = World()

    reply = await world.ask(in_slack("lena", "run compare"))

    (start,) = world.engine.done
    assert start[1:3] == ("compare", {"host": "web-1", "site": "app"})
    assert "preview" not in read(reply)


async def test_a_plan_has_the_target_filled_in() -> None:
    """It touches nothing, so nothing is asked first."""
    world = World()

    reply = await world.ask(in_slack("dana", "plan tidy risky=true"))

    assert "host: web-1" in read(reply)
    assert "Scrub" in read(reply) or "scrub" in read(reply)
