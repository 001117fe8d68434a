"""10: what expired, was rejected, void or used approves nothing. Also kept by tests/engine/test_decisions.py,
tests/engine/test_gates.py and tests/scenario/test_gates.py."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, update

from runbooks.engine.decided import Verdict
from runbooks.records.run_tables import asks, runs
from tests.engine.test_decisions import ANN, CLEO, LATER, Desk

TOO_LATE = {Verdict.LATE, Verdict.DUPLICATE}
#: How a gate stands when the approval comes: what is true of it, of its run, and of the click.
HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "it expired, and nobody closed it yet": ({"deadline": LATER - timedelta(microseconds=1)}, {}, {}),
    "it expires at this very moment": ({"deadline": LATER}, {}, {}),
    "the clock of who clicks is behind": (
        {"deadline": LATER - timedelta(hours=1)}, {}, {"now": LATER},
    ),
    "it was rejected": ({"state": "closed", "answer": "reject", "answered_name": "Cleo"}, {}, {}),
    "it was approved and used": ({"state": "closed", "answer": "approve", "answered_name": "Cleo"}, {}, {}),
    "it is void": ({"state": "void", "reason": "the plan changed"}, {}, {}),
    "the run was cancelled": ({}, {"state": "cancelled"}, {}),
    "the run is over": ({}, {"state": "succeeded"}, {}),
}  # fmt: skip


def test_it_approves_nothing(engine: Engine) -> None:
    """And wakes no run."""
    desk, outcomes = Desk(engine), {}
    for how, (of_ask, of_run, click) in HOSTILE.items():
        ask = desk.ask()
        with engine.begin() as connection:
            if of_ask:
                connection.execute(update(asks).where(asks.c.id == ask.id).values(of_ask))
            if of_run:
                connection.execute(update(runs).where(runs.c.id == ask.run).values(of_run))
        outcomes[how] = {desk.decide(ask, "approve", who, **click).outcome for who in (ANN, CLEO)}
        assert desk.view(ask.run).votes == ()

    assert {how: taken for how, taken in outcomes.items() if not taken <= TOO_LATE} == {}
    assert desk.woken == []
