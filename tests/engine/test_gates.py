"""A gate lets a run pass when enough people approved what they saw, and not otherwise."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.engine.at import Finished, NotApproved, Waiting
from runbooks.engine.decided import Verdict
from runbooks.engine.gates import run_gate
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from runbooks.records.person import Person
from runbooks.records.runs import WaitingOn
from runbooks.steps.gate import Gate
from tests.engine.at_gates_double import Stage, step_of
from tests.records.run_rows import NOON

RITA = Person(kind="slack", id="U1", name="Rita")
ANN = Person(kind="slack", id="U2", name="Ann")
BEN = Person(kind="slack", id="U3", name="Ben")
OTTO = Person(kind="slack", id="U4", name="Otto")


class Gates:
    """Makes gates in one database."""

    def __init__(self, path: Path) -> None:
        self.engine = open_database(f"sqlite:///{path}/maint.db")
        migrate(self.engine)

    def __call__(self, **fields: Any) -> Stage:
        return Stage(self.engine, step_of(Gate, {"approvers": ["sre"], "expires": "4h"} | fields))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gates]:
    gates = Gates(tmp_path)
    yield gates
    gates.engine.dispose()


async def test_a_gate_waits_for_people_and_for_its_end(gate: Gates) -> None:
    """The ask is bound to the plan's digest, has its own channel, and everything that decisions need."""
    stage = gate(quorum=2, channel="sec", message="Version 2")

    outcome = await stage.look(run_gate)

    assert outcome == Waiting(
        on=WaitingOn.GATE, until=NOON + timedelta(hours=4), progress="0 of 2 approved, until 16:00 UTC"
    )
    ask = await stage.ask()
    assert (ask.title, ask.digest, ask.channel, ask.choices) == (
        "Go live?", "d1", "sec", ("approve", "reject")
    )  # fmt: skip
    assert (ask.spec["approvers"], ask.spec["quorum"], ask.spec["message"]) == (["sre"], 2, "Version 2")


async def test_those_who_may_approve_hear_of_it_once(gate: Gates) -> None:
    """However often the run wakes before the next reminder is due."""
    stage = gate(approvers=["sre", "@oncall"])
    for _ in range(3):
        await stage.look(run_gate)

    assert stage.reminders == [("sre @oncall", "Go live?: waits for approval, 0 of 1 approved.")]


async def test_a_gate_that_nobody_can_approve_says_so(gate: Gates) -> None:
    """When one of the only two people asks for the run themselves; the glass can still be broken."""
    stage = gate(approvers=["U1", "U2"], quorum=2)
    await stage.look(run_gate)

    assert "somebody else must ask for it" in stage.reminders[0][1]
    assert (await stage.ask()).spec["stuck"]


async def test_an_approved_gate_is_passed(gate: Gates) -> None:
    """By as many as it takes; who they were is its output."""
    stage = gate(quorum=2)
    await stage.look(run_gate)
    await stage.decide("approve", ANN)
    half = await stage.look(run_gate)
    await stage.decide("approve", BEN)

    assert isinstance(half, Waiting)
    assert half.progress.startswith("1 of 2 approved")
    assert await stage.look(run_gate) == Finished(
        outputs={"approved_by": "Ann, Ben"}, summary="approved by Ann and Ben"
    )
    assert stage.woken == [stage.run] * 2  # the first shows how far it is


async def test_a_gate_that_was_passed_alone_is_worth_a_look(gate: Gates) -> None:
    """Broken glass is a warning of the step."""
    stage = gate(quorum=2)
    await stage.look(run_gate)
    await stage.decide("approve", RITA, break_glass=True, reason="the shop is down")

    outcome = await stage.look(run_gate)

    assert isinstance(outcome, Finished)
    assert outcome.warnings == ("Rita broke the glass: the shop is down",)


async def test_a_rejected_gate_says_who_and_why(gate: Gates) -> None:
    """Every time it is looked at; people may be asked again."""
    stage = gate()
    await stage.look(run_gate)
    await stage.decide("reject", ANN, reason="not on a Friday")

    for _ in range(2):
        with pytest.raises(NotApproved, match="Ann rejected it: not on a Friday") as refused:
            await stage.look(run_gate)
        assert refused.value.again


async def test_a_new_attempt_asks_anew(gate: Gates) -> None:
    """Retry after a rejection opens the next round; nothing that was said before counts."""
    stage = gate(quorum=2)
    await stage.look(run_gate)
    await stage.decide("approve", BEN)
    await stage.decide("reject", ANN, reason="not yet")
    stage.attempt = 2

    assert isinstance(await stage.look(run_gate), Waiting)
    assert (await stage.ask()).round == 2
    assert (await stage.decide("approve", BEN)).outcome == Verdict.COUNTED


async def test_an_ask_that_an_earlier_attempt_left_open_is_void(gate: Gates) -> None:
    """There are never two open gates at one step, nor one whose approvals come from before."""
    stage = gate(quorum=2)
    await stage.look(run_gate)
    await stage.decide("approve", BEN)
    stage.attempt = 2
    await stage.look(run_gate)

    assert [(ask.round, ask.state) for ask in await stage.asks()] == [(1, "void"), (2, "open")]


async def test_gates_of_one_step_are_decided_one_by_one(gate: Gates) -> None:
    """A rollout's gate after the first stage, once approved, does not open the one after the second."""
    stage = gate()
    await stage.look(run_gate, name="10", title="On to 25 %?")
    await stage.decide("approve", ANN)

    assert isinstance(await stage.look(run_gate, name="10"), Finished)
    assert isinstance(await stage.look(run_gate, name="25", title="On to 50 %?"), Waiting)
    assert [(ask.round, ask.title) for ask in await stage.asks()] == [(1, "On to 25 %?"), (2, "On to 50 %?")]


@pytest.mark.parametrize("fields", [{"on_expiry": "hold"}, {"on_expiry": "deny"}, {}])
async def test_time_that_runs_out_never_approves(gate: Gates, fields: dict[str, Any]) -> None:
    """Not even with all but one of the approvals; what happens is as the gate says, to deny by default."""
    stage = gate(quorum=2, **fields)
    await stage.look(run_gate)
    await stage.decide("approve", ANN)
    ask = await stage.ask()
    stage.later(hours=4)

    words = "held" if fields.get("on_expiry") == "hold" else "denied"
    for _ in range(2):
        with pytest.raises(NotApproved, match=f"{words}: 1 of 2 approved within 4h") as refused:
            await stage.look(run_gate)
        assert refused.value.again == (words == "held")
    assert (await stage.decide("approve", BEN, ask)).outcome == Verdict.LATE


async def test_a_gate_that_is_held_is_opened_again_by_asking_again(gate: Gates) -> None:
    """With a time of its own."""
    stage = gate(on_expiry="hold")
    await stage.look(run_gate)
    stage.later(hours=5)
    with pytest.raises(NotApproved):
        await stage.look(run_gate)
    stage.attempt = 2
    await stage.look(run_gate)
    await stage.decide("approve", ANN)

    assert isinstance(await stage.look(run_gate), Finished)


async def test_whoever_decides_while_it_expires_has_decided(gate: Gates) -> None:
    """When the clock comes second, it looks again instead of failing the gate."""
    stage = gate()
    await stage.look(run_gate)
    ask = await stage.ask()
    in_time = stage.clock
    stage.later(hours=4)
    stage.just_before_closing = lambda: stage.decide_now("approve", ANN, ask, now=in_time)

    assert await stage.look(run_gate) == Waiting(on=WaitingOn.GATE, until=stage.clock)
    assert isinstance(await stage.look(run_gate), Finished)


async def test_reminders_come_at_their_times_and_the_last_one_hands_over(gate: Gates) -> None:
    """`then` is told with the last one, and may approve from then on."""
    stage = gate(remind=["30m", "1h"], then="oncall")
    waits = [await stage.look(run_gate)]
    early = await stage.decide("approve", OTTO)
    for _ in range(2):
        stage.later(minutes=30)
        waits.append(await stage.look(run_gate))

    assert early.outcome == Verdict.DENIED
    ends = [wait.until - NOON for wait in waits if isinstance(wait, Waiting) and wait.until]
    assert ends == [timedelta(minutes=30), timedelta(hours=1), timedelta(hours=4)]
    assert [mention for mention, _ in stage.reminders] == ["sre", "sre", "sre oncall"]
    assert stage.reminders[1][1] == "Go live?: still waits for approval, 0 of 1 approved."
    assert stage.reminders[2][1].endswith("oncall may approve from now on as well.")
    assert (await stage.decide("approve", OTTO)).outcome == Verdict.CLOSED


async def test_reminders_that_were_missed_are_sent_as_one(gate: Gates) -> None:
    """After Maint was away for hours nobody is told four times."""
    stage = gate(remind=["30m", "1h", "90m", "3h"], then="oncall")
    await stage.look(run_gate)
    stage.later(hours=2)
    await stage.look(run_gate)

    assert [mention for mention, _ in stage.reminders] == ["sre", "sre"]
    stage.later(hours=1)
    await stage.look(run_gate)
    assert [mention for mention, _ in stage.reminders] == ["sre", "sre", "sre oncall"]


async def test_a_plan_that_changed_after_the_approval_voids_it(gate: Gates) -> None:
    """The difference is shown with the next round, which is bound to the plan as it is now."""
    stage = gate()
    await stage.look(run_gate)
    await stage.decide("approve", ANN)
    stage.digest = "d2"

    assert isinstance(await stage.look(run_gate), Waiting)
    old, new = await stage.asks()
    assert (old.state, new.state, new.digest) == ("void", "open", "d2")
    assert new.spec["changes"] == ["step shift: 10 % became 50 %"]
    assert "10 % became 50 %" in stage.reminders[-1][1]
    assert (await stage.decide("approve", ANN, old)).outcome == Verdict.LATE
    assert (await stage.decide("approve", ANN, new)).outcome == Verdict.CLOSED
    assert isinstance(await stage.look(run_gate), Finished)


async def test_a_plan_that_changes_while_people_decide_voids_what_they_said(gate: Gates) -> None:
    """One of two approved the old plan: the new one needs two."""
    stage = gate(quorum=2)
    await stage.look(run_gate)
    await stage.decide("approve", ANN)
    stage.digest = "d2"
    await stage.look(run_gate)

    assert (await stage.decide("approve", BEN)).text == "Your approval counts: 1 of 2 so far."


async def test_a_plan_that_changes_does_not_undo_a_rejection(gate: Gates) -> None:
    """No stays no."""
    stage = gate()
    await stage.look(run_gate)
    await stage.decide("reject", ANN, reason="no")
    stage.digest = "d2"

    with pytest.raises(NotApproved):
        await stage.look(run_gate)


async def test_whoever_rejects_while_the_plan_changes_has_rejected(gate: Gates) -> None:
    """The clock looks again, and finds the rejection."""
    stage = gate()
    await stage.look(run_gate)
    ask = await stage.ask()
    stage.digest = "d2"
    stage.just_before_closing = lambda: stage.decide_now("reject", ANN, ask, reason="no")

    assert await stage.look(run_gate) == Waiting(on=WaitingOn.GATE, until=stage.clock)
    with pytest.raises(NotApproved, match="Ann rejected it: no"):
        await stage.look(run_gate)


async def test_a_crash_between_void_and_the_next_round_loses_nothing(gate: Gates) -> None:
    """Whoever takes the run over finds the void ask, and opens the next with the difference."""
    stage = gate()
    await stage.look(run_gate)
    ask = await stage.ask()
    stage.digest = "d2"
    await (await stage.at()).close(ask, "", "the plan has changed", void=True)

    await stage.look(run_gate)

    assert (await stage.ask()).spec["changes"] == ["step shift: 10 % became 50 %"]
