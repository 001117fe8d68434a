"""A manual step waits until a person says how it went."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.engine.at import Finished, Waiting
from runbooks.engine.decided import Verdict
from runbooks.engine.manuals import run_manual
from runbooks.errors import StepError
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from runbooks.records.person import Person
from runbooks.records.runs import WaitingOn
from runbooks.steps.manual import Manual
from tests.engine.at_gates_double import Stage, step_of
from tests.records.run_rows import NOON

ANN = Person(kind="slack", id="U2", name="Ann")
BEN = Person(kind="slack", id="U3", name="Ben")


class Manuals:
    """Makes manual steps in one database."""

    def __init__(self, path: Path) -> None:
        self.engine = open_database(f"sqlite:///{path}/maint.db")
        migrate(self.engine)

    def __call__(self, **fields: Any) -> Stage:
        return Stage(self.engine, step_of(Manual, {"instructions": "Swap the disk"} | fields))


@pytest.fixture
def manual(tmp_path: Path) -> Iterator[Manuals]:
    manuals = Manuals(tmp_path)
    yield manuals
    manuals.engine.dispose()


async def test_a_manual_step_waits_for_a_person_without_end(manual: Manuals) -> None:
    """Nobody is mentioned, nothing wakes it: it is asked once, with its instructions."""
    stage = manual(evidence="required", who=["sre"])

    for _ in range(2):
        outcome = await stage.look(run_manual)
        assert outcome == Waiting(on=WaitingOn.MANUAL, until=None, progress="waits for a person")
    ask = await stage.ask()
    assert ask.choices == ("done", "failed", "cannot", "assign")
    assert ask.spec["instructions"] == "Swap the disk"
    assert (ask.spec["evidence"], ask.spec["approvers"]) == ("required", ["sre"])
    assert stage.reminders == []


async def test_done_passes_the_step_with_its_evidence(manual: Manuals) -> None:
    """Who did it, how long it took and what shows it are kept."""
    stage = manual()
    await stage.look(run_manual)
    stage.later(minutes=12, seconds=40)
    await stage.decide("done", ANN, evidence="ticket 7")

    assert await stage.look(run_manual) == Finished(
        outputs={"done_by": "Ann", "evidence": "ticket 7"}, summary="done by Ann after 12m", output="ticket 7"
    )


@pytest.mark.parametrize(
    ("choice", "words"),
    [("failed", "Ann says that it failed: it smokes"), ("cannot", "Ann cannot do it: it smokes")],
)
async def test_what_failed_or_cannot_be_done_fails_the_step(manual: Manuals, choice: str, words: str) -> None:
    """With who said so and why; another attempt asks anew."""
    stage = manual()
    await stage.look(run_manual)
    await stage.decide(choice, ANN, reason="it smokes")

    for _ in range(2):
        with pytest.raises(StepError, match=words):
            await stage.look(run_manual)
    stage.attempt = 2
    assert isinstance(await stage.look(run_manual), Waiting)
    assert (await stage.ask()).round == 2


async def test_whom_the_runbook_names_is_told_once_and_reminded(manual: Manuals) -> None:
    """At once, and then at the given times."""
    stage = manual(assign="dba", remind=["1h"])
    for _ in range(2):
        await stage.look(run_manual)
    stage.later(hours=1)
    outcome = await stage.look(run_manual)

    assert [mention for mention, _ in stage.reminders] == ["dba", "dba"]
    assert stage.reminders[1][1] == "Go live?: is to be done by hand, for 1h now."
    assert outcome == Waiting(on=WaitingOn.MANUAL, until=None, progress="waits for a person")


async def test_reminders_without_a_name_go_to_those_who_may(manual: Manuals) -> None:
    """Whoever is in `who` hears of it, when the runbook asks for reminders."""
    stage = manual(who=["sre", "U7"], remind=["1h"])
    first = await stage.look(run_manual)
    stage.later(hours=1)
    await stage.look(run_manual)

    assert first == Waiting(
        on=WaitingOn.MANUAL, until=NOON + timedelta(hours=1), progress="waits for a person"
    )
    assert [mention for mention, _ in stage.reminders] == ["sre U7"]


async def test_whom_it_is_handed_to_is_told_at_once(manual: Manuals) -> None:
    """The card says who is expected, and later reminders go there as well."""
    stage = manual(assign="dba", remind=["1h"])
    await stage.look(run_manual)
    stage.later(minutes=10)
    await stage.decide("assign", ANN, to=BEN)

    outcome = await stage.look(run_manual)
    assert outcome == Waiting(on=WaitingOn.MANUAL, until=NOON + timedelta(hours=1), progress="waits for Ben")
    assert stage.reminders[1] == (
        "U3", "Go live?: is to be done by hand, for 10m now. Ann handed it over to Ben."
    )  # fmt: skip
    stage.later(minutes=50)
    await stage.look(run_manual)
    assert [mention for mention, _ in stage.reminders] == ["dba", "U3", "U3"]


async def test_a_step_that_nobody_does_fails_at_its_end(manual: Manuals) -> None:
    """It is not taken for done, and who comes later is late."""
    stage = manual(expires="2h")
    waits = await stage.look(run_manual)
    ask = await stage.ask()
    stage.later(hours=2)

    assert isinstance(waits, Waiting)
    assert waits.until == NOON + timedelta(hours=2)
    for _ in range(2):
        with pytest.raises(StepError, match="nobody said within 2h that it is done"):
            await stage.look(run_manual)
    assert (await stage.decide("done", ANN, ask)).outcome == Verdict.LATE


async def test_whoever_is_done_while_it_expires_is_done(manual: Manuals) -> None:
    """When the clock comes second, it looks again."""
    stage = manual(expires="2h")
    await stage.look(run_manual)
    ask = await stage.ask()
    stage.later(hours=2)
    stage.just_before_closing = lambda: stage.decide_now("done", ANN, ask, now=NOON)

    assert await stage.look(run_manual) == Waiting(on=WaitingOn.MANUAL, until=stage.clock)
    assert isinstance(await stage.look(run_manual), Finished)
