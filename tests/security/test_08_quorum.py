"""08: so many approvals are so many people, each given by itself. Also kept by tests/engine/test_quorum.py,
tests/engine/test_decisions.py, tests/slack/test_throttle.py and tests/scenario/test_gates.py."""

import pytest
from sqlalchemy import Engine

from bot.slack.throttle import Throttle
from runbooks.engine.decided import Verdict
from runbooks.records.person import Person
from tests.commands.world import OTHER, RUN, World, ask, in_slack, run_row, view
from tests.commands.world import Engine as Double
from tests.engine.test_decisions import Desk
from tests.records.run_rows import gate_spec

#: One person, again and again.
HOSTILE = {
    "with two clicks": Person(kind="slack", id="U2", name="Ann"),
    "under another name": Person(kind="slack", id="U2", name="Anna"),
    "at the terminal": Person(kind="terminal", id="U2", name="ann"),
    "through another workspace": Person(kind="slack", id="U2", name="Ann", team="T2"),
}
#: How somebody might approve more than one thing at once.
ALL = (
    "approve *",
    "approve all",
    "approve --all",
    f"approve {RUN[-8:]} {OTHER[-8:]}",
    'approve ""',
    "approve %",
)


def test_one_person_is_one_approval(engine: Engine) -> None:
    """However they come back, and however often."""
    desk = Desk(engine)
    ask = desk.ask(spec=gate_spec(quorum=2))
    desk.decide(ask, "approve", Person(kind="slack", id="U2", name="Ann", team="T1"))

    outcomes = {how: desk.decide(ask, "approve", again).outcome for how, again in HOSTILE.items()}

    assert Verdict.CLOSED not in outcomes.values()
    assert len(desk.view(ask.run).votes) == 1
    assert desk.view(ask.run).asks[0].state == "open"


@pytest.mark.parametrize("typed", ALL)
async def test_there_is_no_approval_of_everything(typed: str) -> None:
    """An approval names one run."""
    world = World(Double().put(view(None, ask()), view(run_row(OTHER), ask(run=OTHER))))

    await world.ask(in_slack("kim", typed))

    assert world.engine.done == []


def test_approvals_come_no_faster_than_a_person_reads() -> None:
    """A script that clicks is held up after a few."""
    throttle = Throttle(30, now=lambda: 0.0)

    assert [throttle.admit("T1/U2") for _ in range(100)].count(None) == 10
