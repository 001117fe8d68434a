"""Soaks: rounds of checks until the time is over, whatever happens to the process in between."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.engine.at import Finished, Undo, Waiting
from runbooks.engine.soak_state import LiveRow, Round, Rules, SoakState, soak_of
from runbooks.engine.soaks import run_soak
from runbooks.errors import StepError
from runbooks.spec.runbook import RunbookStep
from runbooks.status import Status
from runbooks.steps.rollout import Rollout
from runbooks.steps.soak import Soak
from tests.engine.at_double import BEGAN, Verdict, World, drive, look

PROBE = {"http.probe": {"target": "app", "critical": {"above": 2}}}
MINUTE = timedelta(minutes=1)


def soak(**fields: Any) -> Soak:
    return Soak.model_validate({"for": "10m", "every": "1m", "checks": [PROBE], **fields})


def world_of(model: Soak, verdict: Verdict | None = None) -> World:
    step = RunbookStep(id="shift", title="Soak", kind="soak", line=1, fields={}, model=Soak, sample=model)
    world = World(step=step, targets={})
    if verdict:
        world.verdict = verdict
    return world


def scripted(*statuses: Status) -> Verdict:
    """The first round says the first of these, and so on; the last one stays."""
    times: list[datetime] = []

    def verdict(_: str, now: datetime) -> tuple[Status, float | None]:
        if now not in times:
            times.append(now)
        return statuses[min(len(times), len(statuses)) - 1], 1.0

    return verdict


OK, WARNING, CRITICAL, UNKNOWN = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN


async def test_a_soak_measures_at_every_interval_and_passes_at_its_end() -> None:
    """Ten minutes with a round each minute: ten rounds, and it ends at the tenth, not later."""
    world = world_of(soak())

    outcome = await drive(world, run_soak, soak())

    assert isinstance(outcome, Finished)
    assert outcome.outputs == {"rounds": 10, "failed_rounds": 0}
    assert [at for at, _ in world.measured] == [BEGAN + MINUTE * n for n in range(1, 11)]


async def test_a_soak_waits_as_rows_with_the_time_of_its_next_round() -> None:
    """In between, there is only the time of the next look; the countdown is in the data for the card."""
    world = world_of(soak())

    outcome = await look(world, run_soak, soak())

    assert outcome == Waiting(
        on=outcome.on,  # type: ignore[union-attr]
        until=BEGAN + MINUTE,
        progress="first checks at 12:01 UTC, until 12:10 UTC",
    )
    kept = soak_of(world.data)
    assert kept is not None
    assert (kept.ends_at, kept.next_tick) == (BEGAN + 10 * MINUTE, BEGAN + MINUTE)


async def test_an_early_wake_measures_nothing() -> None:
    """A click somewhere on the run wakes it; the next round stays when it was."""
    world = world_of(soak())
    await look(world, run_soak, soak())
    world.now += timedelta(seconds=20)

    outcome = await look(world, run_soak, soak())

    assert isinstance(outcome, Waiting)
    assert outcome.until == BEGAN + MINUTE
    assert world.measured == []


@pytest.mark.parametrize("on_failure", ["ask", "rollback", "continue"])
async def test_a_critical_round_ends_it_as_declared(on_failure: str) -> None:
    """One critical check: people are asked, or it is undone, or the run goes on with a warning."""
    model = soak(on_failure=on_failure)

    outcome = await drive(world_of(model, scripted(OK, CRITICAL)), run_soak, model)

    reason = "the soak failed: http.probe: http.probe is critical"
    match on_failure:
        case "ask":
            assert isinstance(outcome, StepError)
            assert str(outcome) == reason
        case "rollback":
            assert outcome == Undo(reason=reason)
        case _:
            assert isinstance(outcome, Finished)
            assert outcome.warnings == (reason,)


async def test_only_failures_in_a_row_count() -> None:
    """Two failing rounds, a good one, two failing ones: with three allowed it goes on to its end."""
    model = soak(failures=3)

    outcome = await drive(
        world_of(model, scripted(CRITICAL, CRITICAL, OK, CRITICAL, CRITICAL, OK)), run_soak, model
    )

    assert isinstance(outcome, Finished)
    assert outcome.outputs == {"rounds": 10, "failed_rounds": 4}


async def test_the_last_of_the_failures_in_a_row_ends_it() -> None:
    """The third critical round in a row is one too many, and a round without an answer does not hide it."""
    model = soak(failures=3)
    world = world_of(model, scripted(OK, CRITICAL, CRITICAL, UNKNOWN, CRITICAL))

    outcome = await drive(world, run_soak, model)

    assert isinstance(outcome, StepError)
    assert "3 times in a row" in str(outcome)
    assert len(world.measured) == 5


@pytest.mark.parametrize("last", [UNKNOWN, CRITICAL])
async def test_a_soak_does_not_end_with_a_round_that_was_not_well(last: Status) -> None:
    """The time is over, but the last round measured nothing or failed: it is held until one is well."""
    model = soak(failures=9)
    world = world_of(model, scripted(*[OK] * 9, last, last, OK))

    outcome = await drive(world, run_soak, model)

    assert isinstance(outcome, Finished)
    assert world.now == BEGAN + 12 * MINUTE


async def test_people_are_asked_when_nothing_could_be_measured_for_too_long() -> None:
    """Five minutes of only inconclusive rounds, as declared, whatever happens on failure."""
    model = soak(inconclusive="5m", on_failure="rollback")
    world = world_of(model, scripted(OK, UNKNOWN))

    outcome = await drive(world, run_soak, model)

    assert isinstance(outcome, StepError)
    assert "5 rounds in a row measured nothing" in str(outcome)


async def test_one_lapse_alone_asks_nobody() -> None:
    """When a single interval is longer than what may be inconclusive, it still takes two rounds."""
    model = soak(inconclusive="10s")

    outcome = await drive(world_of(model, scripted(UNKNOWN, OK)), run_soak, model)

    assert isinstance(outcome, Finished)


async def test_a_check_that_skips_alone_is_no_success() -> None:
    """Nothing to judge, no traffic say: nobody knows, so it is held."""
    model = soak()
    world = world_of(model, scripted(*[Status.SKIPPED] * 11, OK))

    assert isinstance(await drive(world, run_soak, model), Finished)
    assert world.now == BEGAN + 12 * MINUTE


async def test_a_soak_whose_end_passed_while_nobody_looked_measures_once_before_it_passes() -> None:
    """Maint was down for a day: one round, now, decides; the missed ones are not made up for."""
    world = world_of(soak())
    await look(world, run_soak, soak())
    world.now += timedelta(days=1)

    outcome = await look(world, run_soak, soak())

    assert isinstance(outcome, Finished)
    assert [at for at, _ in world.measured] == [BEGAN + timedelta(days=1)]


async def test_a_soak_whose_end_passed_while_nobody_looked_can_still_fail() -> None:
    """That one round is a real one."""
    model = soak()
    world = world_of(model, scripted(CRITICAL))
    await look(world, run_soak, model)
    world.now += timedelta(days=1)

    assert isinstance(await look(world, run_soak, model), StepError)


async def test_warnings_pass_and_are_told_at_the_end() -> None:
    """A warning is worth a look, once."""
    model = soak()

    outcome = await drive(world_of(model, scripted(OK, WARNING, WARNING, OK)), run_soak, model)

    assert isinstance(outcome, Finished)
    assert outcome.warnings == ("http.probe: http.probe is warning",)


async def test_the_card_has_the_live_numbers() -> None:
    """Each check's value, its threshold and its verdict are in the data."""
    model = soak(checks=[{"as": "health", **PROBE}], failures=2)
    world = world_of(model, scripted(CRITICAL))
    await look(world, run_soak, model)
    world.now += MINUTE
    await look(world, run_soak, model)

    kept = soak_of(world.data)

    assert kept is not None
    assert kept.rows == (
        LiveRow(name="health", value="1 ms", bound="> 2", status="critical", reason="health is critical"),
    )
    assert kept.verdicts == ("critical",)


async def test_a_soak_makes_the_checks_of_a_rollout() -> None:
    """`shift.verify` are the rollout's checks, under names that do not collide."""
    model = soak(checks=["go.verify", PROBE])
    world = world_of(model)
    world.models["go"] = Rollout.model_validate({"target": "app", "to": "2.0.0", "verify": [PROBE]})

    await drive(world, run_soak, model)

    assert world.measured[0][1] == ("http.probe", "http.probe 2")


async def test_checks_of_a_step_that_has_none_are_an_error() -> None:
    """It says which name, and where checks are."""
    model = soak(checks=["go.checks"])
    world = world_of(model)
    world.models["go"] = Rollout.model_validate({"target": "app", "to": "2.0.0", "verify": [PROBE]})

    outcome = await drive(world, run_soak, model)

    assert isinstance(outcome, StepError)
    assert "go.checks names no checks" in str(outcome)


async def test_a_retry_begins_the_countdown_anew() -> None:
    """People said to try again after a failure: the whole time counts."""
    model = soak()
    world = world_of(model, scripted(OK, CRITICAL, OK))
    assert isinstance(await drive(world, run_soak, model), StepError)
    failed_at = world.now
    world.attempt += 1

    outcome = await drive(world, run_soak, model)

    assert isinstance(outcome, Finished)
    assert world.now == failed_at + 10 * MINUTE


@pytest.mark.parametrize("script", [(OK,), (OK, CRITICAL), (UNKNOWN, OK), (UNKNOWN,), (WARNING, OK)])
async def test_a_death_at_any_point_changes_nothing(script: tuple[Status, ...]) -> None:
    """The process dies at each point in turn: the outcome is the same, and so is the time."""
    model = soak(inconclusive="4m")
    alive = world_of(model, scripted(*script))
    expected = await drive(alive, run_soak, model)

    for point in range(1, alive.points + 1):
        world = world_of(model, scripted(*script))
        world.die_at = frozenset({point})
        outcome = await drive(world, run_soak, model)

        assert world.deaths == 1
        assert repr(outcome) == repr(expected)
        assert world.now == alive.now


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from([OK, WARNING, CRITICAL, UNKNOWN]), st.integers(0, 3600)), max_size=40),
    st.integers(1, 4),
)
def test_a_soak_passes_only_after_its_time_with_a_good_last_round(
    rounds: list[tuple[Status, int]], failures: int
) -> None:
    """Whatever comes, however late it is looked at: never early, never on a bad or unknown round; and what
    is written is read again."""
    state = SoakState.begin(BEGAN, timedelta(hours=1), timedelta(minutes=5))
    rules = Rules(every=timedelta(minutes=5), failures=failures, inconclusive=timedelta(minutes=30))
    now = BEGAN
    for status, late in rounds:
        now = state.next_tick + timedelta(seconds=late)
        state = state.after(Round(status=status, rows=()), now, rules)
        assert state.next_tick > now
        assert SoakState.from_data(state.as_data()) == state
        if state.ending:
            break
    if state.ending == "passed":
        assert now >= state.ends_at
        assert state.well
    if state.ending == "failed":
        assert state.failing >= failures
