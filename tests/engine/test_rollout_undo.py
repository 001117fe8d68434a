"""Undoing a rollout: down only, and to exactly what was recorded before the first stage."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.engine.at import At, Finished, Outcome, Undo, Waiting
from runbooks.engine.rollout_state import recorded_of
from runbooks.engine.rollout_undo import changed_since, undo_rollout, way_down
from runbooks.engine.rollouts import run_rollout
from runbooks.errors import StepError
from runbooks.steps.rollout import Rollout
from tests.engine.at_double import BEGAN, AtDouble, World, drive
from tests.engine.moving import System
from tests.engine.rolling import MINUTE, bad_at, rollout, state_of, world_of

STATIC = {"version": "1.9.0", "weight": 100, "detail": {"secret": "as it was"}}


def undoes(recorded: Mapping[str, Any] | None) -> Any:
    """The runner of the step that undoes it."""

    async def run(at: At, model: Rollout) -> Outcome:
        return await undo_rollout(at, model, recorded)

    return run


async def failed_at(model: Rollout, system: System, weight: float) -> Mapping[str, Any] | None:
    """Rolls out until it fails at that weight; what it had recorded."""
    world = world_of(model, system, bad_at(system, weight))
    assert isinstance(await drive(world, run_rollout, model), Undo)
    system.told.clear()
    return recorded_of(world.data)


@pytest.mark.parametrize(
    "before", [System(), System(version="2.0.0", weight=5), System(weight=0, secret="x")]
)
async def test_what_was_recorded_is_restored_exactly(before: System) -> None:
    """Version, weight and all that only the driver knows: not the stage before, and not a default."""
    was = before.live()
    recorded = await failed_at(rollout(), before, 50)

    outcome = await drive(world_of(rollout(), before), undoes(recorded), rollout())

    assert isinstance(outcome, Finished)
    assert outcome.summary.endswith("again, as before the rollout")
    assert before.live() == was
    assert before.told == [(was.version, was.weight)]


async def test_a_gradual_rollback_goes_down_through_the_stages_below() -> None:
    """From 100: 50, 25, 10, a minute apart, then what was recorded."""
    system = System()
    model = rollout(gradual_rollback=True)
    recorded = await failed_at(model, system, 100)
    world = world_of(model, system)

    outcome = await drive(world, undoes(recorded), model)

    assert isinstance(outcome, Finished)
    assert system.told == [("2.0.0", 50), ("2.0.0", 25), ("2.0.0", 10), ("1.9.0", 100)]
    assert [row.name for row in world.journal] == ["down-50", "down-25", "down-10", "restore"]
    assert world.now == BEGAN + 3 * MINUTE


async def test_a_gradual_rollback_begins_below_what_is_live() -> None:
    """It failed at 25: through 10, and never up to 50 or 100."""
    system = System()
    model = rollout(gradual_rollback=True)
    recorded = await failed_at(model, system, 25)

    await drive(world_of(model, system), undoes(recorded), model)

    assert system.told == [("2.0.0", 10), ("1.9.0", 100)]


async def test_a_gradual_rollback_that_cannot_read_the_weight_restores_at_once() -> None:
    """Going down from an unknown weight might go up: what was recorded is certain. It is told."""
    system = System(version="2.0.0", weight=50)
    model = rollout(gradual_rollback=True)
    world = world_of(model, system)
    system.unreadable = "the console is away"

    def comes_back(_: World, __: Waiting) -> bool:
        system.unreadable = ""
        return False

    outcome = await drive(world, undoes(STATIC), model, comes_back)

    assert isinstance(outcome, Finished)
    assert outcome.warnings == (
        "restored at once, because the weight could not be read: the console is away",
    )
    assert system.told == [("1.9.0", 100)]


async def test_a_gradual_rollback_does_not_touch_a_version_that_is_not_its_own() -> None:
    """Somebody has rolled out 3.0.0 meanwhile: no stage of 2.0.0 is set on the way."""
    system = System(version="3.0.0", weight=60)
    model = rollout(gradual_rollback=True)

    outcome = await drive(world_of(model, system), undoes(STATIC), model)

    assert isinstance(outcome, Finished)
    assert system.told == [("1.9.0", 100)]
    assert "60 % of 3.0.0" in outcome.warnings[0]


@pytest.mark.parametrize("system", [{"deaf_at": 25}, {"refuses_at": 25}])
async def test_a_weight_on_the_way_that_does_not_take_is_not_waited_for(system: dict[str, float]) -> None:
    """The new version is bad: rather than trying on, what was recorded is restored, and it is told."""
    moving = System(version="2.0.0", weight=100, **system)  # type: ignore[arg-type]
    model = rollout(gradual_rollback=True)
    world = world_of(model, moving)

    outcome = await drive(world, undoes(STATIC), model)

    assert isinstance(outcome, Finished)
    assert moving.told == [("2.0.0", 50), ("2.0.0", 25), ("1.9.0", 100)]
    assert outcome.warnings[0].startswith("restored at once, because 25 % of 2.0.0 did not take: ")
    assert world.now <= BEGAN + MINUTE + timedelta(seconds=15)


async def test_a_restore_that_does_not_take_is_an_error() -> None:
    """People are asked: it says what is live, and what should be."""
    system = System(version="2.0.0", weight=50, deaf_at=100)
    world = world_of(rollout(), system)

    outcome = await drive(world, undoes(STATIC), rollout())

    assert isinstance(outcome, StepError)
    assert str(outcome) == "100 % of 1.9.0 did not take on app: it has 50 % of 2.0.0, not 100 %"
    assert world.now == BEGAN + timedelta(minutes=2)


async def test_a_retry_restores_again() -> None:
    """The load balancer listens the second time."""
    system = System(version="2.0.0", weight=50, deaf_at=100)
    world = world_of(rollout(), system)
    await drive(world, undoes(STATIC), rollout())
    system.deaf_at = None
    world.attempt += 1

    assert isinstance(await drive(world, undoes(STATIC), rollout()), Finished)
    assert (system.version, system.weight) == ("1.9.0", 100)


async def test_a_rollout_that_never_began_a_stage_has_nothing_to_restore() -> None:
    """Nothing is touched."""
    system = System()
    world = world_of(rollout(), system)

    outcome = await drive(world, undoes(None), rollout())

    assert isinstance(outcome, Finished)
    assert (system.told, world.journal) == ([], [])


@settings(max_examples=300)
@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=10, unique=True).map(sorted),
    st.floats(0, 100),
    st.floats(0, 100),
)
def test_the_way_down_only_falls(stages: list[float], live: float, floor: float) -> None:
    """Whatever the stages are and wherever it stands: each weight is below the one before, below what is
    live, and above what is restored in the end."""
    down = way_down(tuple(stages), live, floor)

    assert all(later < earlier for earlier, later in pairwise((live, *down)))
    assert all(weight > floor for weight in down)
    assert set(down) <= set(stages)


@pytest.mark.parametrize("at_weight", [10, 25, 100])
async def test_the_weights_of_a_whole_gradual_rollback_only_fall(at_weight: float) -> None:
    """From the first weight that is set to the last, with what was recorded of the same version at the end,
    and with a death at each point."""
    model = rollout(gradual_rollback=True, soak=None)
    point = 0
    while True:
        system = System(version="2.0.0", weight=3)
        recorded = await failed_at(model, system, at_weight)
        world = world_of(model, system)
        world.die_at = frozenset({point})
        outcome = await drive(world, undoes(recorded), model)

        assert isinstance(outcome, Finished)
        weights = [weight for _, weight in system.told]
        assert weights == sorted(weights, reverse=True)
        assert weights[-1] == 3
        assert weights[0] < at_weight
        for row in world.journal:
            weight = float(row.name.removeprefix("down-").replace("restore", "3"))
            assert weights.count(weight) in (row.begun, row.begun - 1)
        if point > world.points:
            break
        point += 1


async def finished(system: System) -> World:
    """A rollout that ended well."""
    world = world_of(rollout(), system)
    assert isinstance(await drive(world, run_rollout, rollout()), Finished)
    return world


async def test_a_finished_rollout_that_nobody_touched_can_be_undone() -> None:
    """Nothing else has changed since."""
    system = System()
    world = await finished(system)

    assert await changed_since(AtDouble(world), rollout(), world.data) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "weight", "words"),
    [
        ("2.0.0", 60, "app: it has 60 % of 2.0.0, not 100 %"),
        ("3.0.0", 100, "app: it has 100 % of 3.0.0, not 2.0.0"),
    ],
)
async def test_what_somebody_changed_since_is_told(version: str, weight: float, words: str) -> None:
    """What is live is not what the rollout left."""
    system = System()
    world = await finished(system)
    system.version, system.weight = version, weight

    assert await changed_since(AtDouble(world), rollout(), world.data) == (words,)  # type: ignore[arg-type]


async def test_what_cannot_be_read_counts_as_changed() -> None:
    """Unknown is not unchanged."""
    system = System()
    world = await finished(system)
    system.unreadable = "the console is away"

    (said,) = await changed_since(AtDouble(world), rollout(), world.data)  # type: ignore[arg-type]

    assert said == "what app has now could not be read: the console is away"
    assert state_of(world).left == {"version": "2.0.0", "weight": 100, "detail": {"secret": "moved"}}
