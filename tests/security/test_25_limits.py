"""25: nobody can ask for more than Maint can do. Also kept by tests/slack/test_throttle.py,
tests/scenario/test_commands.py (a flood), tests/engine/test_checks.py (at once),
tests/steps/test_command.py and tests/steps/test_printed.py (output, time), tests/commands/test_run.py
(length) and tests/scenario/test_http_edge.py (a body)."""

import pytest

from bot.slack.gateway import LONGEST_QUEUE, Envelope, Gateway
from bot.slack.throttle import Throttle
from commands.dispatch import Admission
from commands.words import LONGEST
from tests.commands.world import World, in_slack, read

#: Who asks, each time: the person of request number so-and-so.
HOSTILE = {
    "one person": lambda _: ("T1", "U1"),
    "one person of many workspaces": lambda number: (f"T{number % 200}", "U1"),
    "a crowd": lambda number: ("T1", f"U{number}"),
    "nobody in particular": lambda _: ("", ""),
}


@pytest.mark.parametrize("attack", HOSTILE.values(), ids=HOSTILE)
def test_a_flood_fills_no_memory(attack: object, caplog: pytest.LogCaptureFixture) -> None:
    """What waits is bounded, whoever sends it; the rest is told at once, and the log says it once."""
    assert callable(attack)
    gateway = Gateway(
        dispatcher=None,
        people=None,
        publisher=None,
        throttle=Throttle(30, now=lambda: 0.0),
        grants=(),  # type: ignore[arg-type]
        channels={},
    )
    refused = 0
    for number in range(LONGEST_QUEUE * 3):
        team, user = attack(number)
        refused += bool(
            gateway.enqueue(Envelope({"team_id": team, "user_id": user, "n": number}, str(number)))
        )

    assert refused >= LONGEST_QUEUE * 3 - LONGEST_QUEUE - 1
    assert gateway._queue.qsize() <= LONGEST_QUEUE
    assert len([each for each in caplog.records if "slack.flood" in each.getMessage()]) <= 1


@pytest.mark.parametrize(
    "text", ["run deploy " + "x" * LONGEST, "'" * 100_000, "a " * 50_000, "help " + "\\" * 99_999]
)
async def test_a_text_that_is_too_long_is_not_looked_into(text: str) -> None:
    """Nothing of it is done."""
    world = World()
    answer = await world.dispatcher.admit(in_slack("dana", text))

    assert not isinstance(answer, Admission)
    assert answer is not None
    assert "longer than" in read(answer)
    assert world.engine.done == []
