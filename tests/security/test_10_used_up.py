"""10: what expired, was rejected, void or used approves nothing. Also kept by tests/engine/test_decisions.py,
tests/engine/test_gates.py and tests/scenario/test_gates.py."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update

from runbooks.engine.decided import Verdict
from runbooks.records.run_tables import asks, runs
from tests.engine.test_decisions import ANN, CLEO, LATER, Desk

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


@pytest.mark.parametrize("how", HOSTILE.values(), ids=HOSTILE)
def test_it_approves_nothing(engine: Engine, how: tuple[dict[str, Any], ...]) -> None:
    """And wakes no run."""
    desk, (of_ask, of_run, click) = Desk(engine), how
    ask = desk.ask()
    with engine.begin() as connection:
        if of_ask:
            connection.execute(update(asks).where(asks.c.id == ask.id).values(of_ask))
        if of_run:
            connection.execute(update(runs).where(runs.c.id == ask.run).values(of_run))

    outcomes = {desk.decide(ask, "approve", who, **click).outcome for who in (ANN, CLEO)}

    assert outcomes <= {Verdict.LATE, Verdict.DUPLICATE}
    assert desk.woken == []
    assert desk.view(ask.run).votes == ()
