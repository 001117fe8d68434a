"""What runs wait for, found by its index, and what changes for all of them at once."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, insert, select

from runbooks.records import cards, run_changes
from runbooks.records.cards import Card
from runbooks.records.run_tables import locks, runs
from runbooks.records.runs import WaitingOn
from tests.records.conftest import plan_of
from tests.records.run_rows import NOON, add_run


def _no_queue(_connection: Connection, _run: str, _segment: int) -> None:
    return None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_due_is_found_by_its_time(engine: Engine) -> None:
    """However many runs wait, only those are looked at whose time has come."""
    assert "ix_runs_due" in plan_of(engine, lambda connection: run_changes.due(connection, NOON))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_the_queue_lost_is_found_by_its_state(engine: Engine) -> None:
    """However many runs are over, they are not looked at."""
    plan = plan_of(engine, run_changes.stranded)

    assert "ix_runs_state" in plan
    assert "ix_runs_waiting" not in plan


def test_the_first_in_line_for_a_free_lock_is_woken(engine: Engine) -> None:
    """Of those that wait for a free target the oldest looks again, and nobody whose target is held."""
    with engine.begin() as connection:
        holder = add_run(connection, state="running")
        connection.execute(insert(locks).values(target="held", run=holder, since=NOON, reason="r"))
        line = (["free"], ["free", "other"], ["other"], ["held"])
        waiting = [
            add_run(
                connection,
                locks=wanted,
                waiting_on="lock",
                state="queued",
                started_at=None,
                created_at=NOON + timedelta(seconds=number),
            )
            for number, wanted in enumerate(line)
        ]

        run_changes.wake_held_up(connection, WaitingOn.LOCK, NOON, _no_queue)

        segments = {row.id: row.segment for row in connection.execute(select(runs.c.id, runs.c.segment))}
    assert [segments[run] for run in waiting] == [2, 1, 1, 1]


def test_all_open_runs_are_redrawn_and_no_other(engine: Engine) -> None:
    """The cards of runs that are not over should show them anew; a gate that said its last is left alone."""
    with engine.begin() as connection:
        still_open = add_run(connection, version=4)
        over = add_run(connection, version=9, state="succeeded")
        for run in (still_open, over):
            cards.add(connection, Card(kind="run", correlation=run, channel="C1", id=run, drawn=4, wanted=4))
        gate = Card(kind="gate", correlation=still_open, channel="C1", id="gate", drawn=4, wanted=4)
        cards.add(connection, gate)
        cards.finished(connection, gate.id)

        run_changes.redraw_open(connection)

        found = select(cards.cards.c.id, cards.cards.c.wanted, cards.cards.c.priority)
        shown = {row.id: (row.wanted, row.priority) for row in connection.execute(found)}
        version = connection.execute(select(runs.c.version).where(runs.c.id == still_open)).scalar_one()
    assert version == 5
    assert shown == {still_open: (5, 2), over: (4, 0), "gate": (4, 0)}
