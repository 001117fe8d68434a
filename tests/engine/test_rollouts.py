"""Rollouts: stages set, seen to have taken, soaked and gated; failures; and what people say meanwhile."""

from datetime import timedelta
from typing import Any

import pytest

from runbooks.engine.at import Finished, NotApproved, Undo, Waiting
from runbooks.engine.authority import NotAllowed
from runbooks.engine.rollout_state import StageState, recorded_of
from runbooks.engine.rollouts import run_rollout
from runbooks.errors import StepError
from runbooks.steps.rollout import Rollout
from tests.engine.at_double import BEGAN, AtDouble, World, drive, look
from tests.engine.moving import MemoryTraffic, System
from tests.engine.rolling import (
    CRITICAL,
    GATE,
    MINUTE,
    OK,
    PROBE,
    UNKNOWN,
    after_minutes,
    approve,
    bad_at,
    rollout,
    says_once,
    state_of,
    world_of,
)

ALL = [("2.0.0", 10), ("2.0.0", 25), ("2.0.0", 50), ("2.0.0", 100)]


async def test_stages_are_set_in_order_each_after_the_soak_of_the_one_before() -> None:
    """10, 25, 50, 100, with ten rounds of checks at each, and 40 minutes in all."""
    system = System()
    world = world_of(rollout(), system)

    outcome = await drive(world, run_rollout, rollout())

    assert isinstance(outcome, Finished)
    assert outcome.outputs == {"weight": 100, "version": "2.0.0"}
    assert system.told == ALL
    assert len(world.measured) == 40
    assert world.now == BEGAN + 40 * MINUTE
    assert world.open_asks == []


async def test_what_was_there_is_recorded_before_anything_is_changed() -> None:
    """The first entry in the journal is what was live, in full, and it stays what it was."""
    system = System(weight=40, secret="deep")
    world = world_of(rollout(), system)

    await drive(world, run_rollout, rollout())

    assert [row.name for row in world.journal] == ["record", "stage-10", "stage-25", "stage-50", "stage-100"]
    recorded = {"version": "1.9.0", "weight": 40, "detail": {"secret": "deep"}}
    assert recorded_of(world.data) == recorded
    assert world.audit[0] == "rollout.recorded"


async def test_without_a_soak_each_stage_is_measured_once() -> None:
    """No waiting, but no stage passes unseen."""
    model = rollout(soak=None)
    world = world_of(model, System())

    outcome = await drive(world, run_rollout, model)

    assert isinstance(outcome, Finished)
    assert [at for at, _ in world.measured] == [BEGAN] * 4


async def test_a_stage_that_takes_its_time_is_waited_for() -> None:
    """What is live is the old weight for a while: the soak begins when the new one took."""
    model = rollout(stages=[10], soak="1m")
    world = world_of(model, System(lag=4))

    outcome = await drive(world, run_rollout, model)

    assert isinstance(outcome, Finished)
    assert world.now == BEGAN + MINUTE + timedelta(seconds=20)


async def test_a_stage_that_does_not_take_fails() -> None:
    """The call was taken, but nothing changed: after `settle` it is a failure, said in words."""
    world = world_of(rollout(), System(deaf_at=25))

    outcome = await drive(world, run_rollout, rollout())

    assert outcome == Undo(reason="25 % did not take on app: it has 10 % of 2.0.0, not 25 %")


async def test_a_weight_that_cannot_be_set_is_a_failure() -> None:
    """The driver's own words are in the reason."""
    world = world_of(rollout(), System(refuses_at=50))

    outcome = await drive(world, run_rollout, rollout())

    assert outcome == Undo(reason="50 % could not be set: the load balancer says no")


async def test_weights_that_the_driver_cannot_set_are_refused_before_anything_is_changed() -> None:
    """Nothing is half-started."""
    system = System()
    world = world_of(rollout(), system, impossible=(25.0,))

    outcome = await drive(world, run_rollout, rollout())

    assert isinstance(outcome, StepError)
    assert "25 % is impossible" in str(outcome)
    assert (system.told, world.journal) == ([], [])


@pytest.mark.parametrize("on_failure", ["rollback", "ask"])
async def test_a_failing_check_rolls_back_or_asks(on_failure: str) -> None:
    """Version 2 fails at half of the traffic: at the first round, with the weight in the reason."""
    system = System()
    model = rollout(on_failure=on_failure)
    world = world_of(model, system, bad_at(system, 50))

    outcome = await drive(world, run_rollout, model)

    reason = "at 50 % it failed: http.probe: http.probe is critical"
    assert repr(outcome) == repr(Undo(reason=reason) if on_failure == "rollback" else StepError(reason))
    assert system.told == ALL[:3]
    assert world.open_asks == []
    assert state_of(world).bar()[2] == (50, StageState.FAILED)


async def test_failures_that_are_allowed_in_a_row_do_not_end_it() -> None:
    """Two bad rounds of three that would be too many."""
    model = rollout(failures=3)
    bad = {BEGAN + 3 * MINUTE, BEGAN + 4 * MINUTE}
    world = world_of(model, System(), lambda _name, now: (CRITICAL if now in bad else OK, 1.0))

    assert isinstance(await drive(world, run_rollout, model), Finished)


async def test_inconclusive_rounds_hold_a_stage() -> None:
    """Prometheus is away when the soak should end: the stage waits for a verdict."""
    away = {BEGAN + n * MINUTE for n in range(8, 15)}
    system = System()
    world = world_of(rollout(), system, lambda _name, now: (UNKNOWN if now in away else OK, 1.0))

    assert isinstance(await drive(world, run_rollout, rollout()), Finished)
    assert world.now == BEGAN + 45 * MINUTE


async def test_people_are_asked_when_nothing_is_measured_for_too_long() -> None:
    """Also where a failure would roll back: nobody knows whether there is one."""
    model = rollout(inconclusive="5m")
    system = System()
    world = world_of(model, system, bad_at(system, 25, UNKNOWN))

    outcome = await drive(world, run_rollout, model)

    assert isinstance(outcome, StepError)
    assert "at 25 % 5 rounds in a row measured nothing" in str(outcome)


async def test_a_gate_stands_between_two_stages_and_none_after_the_last() -> None:
    """Three gates for four stages, each asked anew."""
    model = rollout(between=GATE)
    world = world_of(model, System())

    assert isinstance(await drive(world, run_rollout, model, approve), Finished)
    gates = [ask for ask in world.asks if ask.kind == "gate"]
    assert [ask.title for ask in gates] == [
        "Shift: from 10 % to 25 %",
        "Shift: from 25 % to 50 %",
        "Shift: from 50 % to 100 %",
    ]


async def test_the_next_stage_waits_for_its_gate_while_the_checks_go_on() -> None:
    """Nobody approves for an hour: version 2 keeps its 10 %, and is measured every minute."""
    model = rollout(between=GATE)
    system = System()
    world = world_of(model, system)

    await drive(world, run_rollout, model, lambda world, _: _approve_late(world))

    assert system.told == ALL
    assert len(world.measured) >= 3 * 60 + 40 - 3


def _approve_late(world: World) -> bool:
    gates = [ask for ask in world.asks if ask.kind == "gate" and ask.state == "open"]
    if gates and world.now >= gates[0].opened_at + timedelta(hours=1):
        world.answer("gate", "approve")
        return True
    return False


async def test_a_check_that_fails_at_a_gate_fails_the_stage_and_closes_the_gate() -> None:
    """Nobody is left with an Approve button for what is being rolled back."""
    model = rollout(between=GATE)
    late = BEGAN + 30 * MINUTE
    world = world_of(model, System(), lambda _name, now: (CRITICAL if now >= late else OK, 1.0))

    outcome = await drive(world, run_rollout, model)

    assert isinstance(outcome, Undo)
    assert [ask.state for ask in world.asks if ask.kind == "gate"] == ["void"]
    assert world.open_asks == []


@pytest.mark.parametrize("on_failure", ["rollback", "ask"])
async def test_a_gate_that_is_rejected_is_a_failure(on_failure: str) -> None:
    """The reason is the person's."""
    model = rollout(between=GATE, on_failure=on_failure)
    world = world_of(model, System())

    def reject(world: World, _waiting: Waiting) -> bool:
        if any(kind == "gate" for kind, _ in world.open_asks):
            world.answer("gate", "reject", reason="not on a Friday")
            return True
        return False

    outcome = await drive(world, run_rollout, model, reject)

    assert "Ann rejected it: not on a Friday" in str(outcome)
    assert isinstance(outcome, Undo if on_failure == "rollback" else NotApproved)
    assert world.open_asks == []


@pytest.mark.parametrize("on_failure", ["rollback", "ask"])
async def test_a_stage_that_nobody_may_have_set_any_more_is_asked_about(
    monkeypatch: pytest.MonkeyPatch, on_failure: str
) -> None:
    """Neither set nor rolled back by itself: people are asked, and the rollout's own buttons are gone."""
    effect = AtDouble.effect

    async def asked(self: AtDouble, name: str, act: Any, **how: Any) -> Any:
        if name == "stage-25" and self.row.attempt == 1:
            raise NotAllowed("Rita may not run deploy any more")
        return await effect(self, name, act, **how)

    monkeypatch.setattr(AtDouble, "effect", asked)
    model, system = rollout(on_failure=on_failure), System()
    world = world_of(model, system)

    with pytest.raises(NotAllowed, match="Rita may not"):
        await drive(world, run_rollout, model)
    assert system.told == [("2.0.0", 10)]
    assert world.open_asks == []

    world.attempt = 2
    assert isinstance(await drive(world, run_rollout, model), Finished)
    assert system.told == ALL


async def test_promote_ends_the_soak_of_the_stage_that_was_seen() -> None:
    """After three minutes of the first stage: the others soak as long as ever."""
    world = world_of(rollout(), System())

    outcome = await drive(world, run_rollout, rollout(), says_once("promote", after_minutes(3)))

    assert isinstance(outcome, Finished)
    assert world.now == BEGAN + 33 * MINUTE


async def test_promote_does_not_pass_a_gate() -> None:
    """The soak is over, people still decide."""
    model = rollout(between=GATE)
    system = System()
    world = world_of(model, system)
    promote = says_once("promote", after_minutes(3))

    await look(world, run_rollout, model)
    for _ in range(8):
        outcome = await look(world, run_rollout, model)
        assert isinstance(outcome, Waiting)
        assert outcome.until is not None
        if not promote(world, outcome):
            world.now = outcome.until

    assert system.told == ALL[:1]
    assert ("gate", ("approve", "reject")) in world.open_asks


async def test_hold_keeps_a_stage_beyond_its_soak_until_resume() -> None:
    """Held for an hour: measured all the time, and then it goes on at once."""
    system = System()
    world = world_of(rollout(), system)
    hold = says_once("hold", after_minutes(2))
    resume = says_once("resume", after_minutes(60))

    outcome = await drive(
        world, run_rollout, rollout(), lambda world, waiting: hold(world, waiting) or resume(world, waiting)
    )

    assert isinstance(outcome, Finished)
    assert world.now == BEGAN + 90 * MINUTE
    assert len([at for at, _ in world.measured if at <= BEGAN + 60 * MINUTE]) >= 60


async def test_a_check_that_fails_while_held_still_fails_it() -> None:
    """Holding is no exemption."""
    late = BEGAN + 30 * MINUTE
    world = world_of(rollout(), System(), lambda _name, now: (CRITICAL if now >= late else OK, 1.0))

    outcome = await drive(world, run_rollout, rollout(), says_once("hold", after_minutes(2)))

    assert isinstance(outcome, Undo)
    assert world.now == late


@pytest.mark.parametrize("on_failure", ["rollback", "ask"])
async def test_a_person_rolls_back_at_once(on_failure: str) -> None:
    """Whatever a failure would lead to: they said so, and the reason has their name."""
    model = rollout(on_failure=on_failure)
    world = world_of(model, System())

    outcome = await drive(
        world, run_rollout, model, says_once("rollback", after_minutes(15), "customers complain")
    )

    assert outcome == Undo(reason="Ann rolled it back: customers complain")
    assert world.now == BEGAN + 15 * MINUTE
    assert world.open_asks == []


async def test_the_buttons_fit_the_moment() -> None:
    """Promote, hold and roll back in a soak; resume when it is held; no promote at a gate."""
    model = rollout(between=GATE)
    world = world_of(model, System())

    await look(world, run_rollout, model)
    assert world.open_asks == [("rollout", ("promote", "hold", "rollback"))]
    world.answer("rollout", "hold")
    await look(world, run_rollout, model)
    assert world.open_asks == [("rollout", ("promote", "resume", "rollback"))]
    world.answer("rollout", "promote")
    await look(world, run_rollout, model)
    assert world.open_asks == [("gate", ("approve", "reject")), ("rollout", ("hold", "rollback"))]


async def test_a_word_about_an_earlier_stage_promotes_no_later_one() -> None:
    """Somebody promotes the first stage in the moment in which it ends by itself."""
    system = System()
    world = world_of(rollout(), system)
    await look(world, run_rollout, rollout())
    state = state_of(world)
    assert state.soak is not None
    stale = state.next_stage()
    world.data = {"rollout": stale.as_data()}
    world.answer("rollout", "promote")

    outcome = await look(world, run_rollout, rollout())

    assert isinstance(outcome, Waiting)
    assert system.told == ALL[:2]
    assert state_of(world).weight == 25


async def test_traffic_that_somebody_else_moved_is_not_moved_on() -> None:
    """It went back to nothing by hand in the night: people are asked, also where a failure rolls back."""
    system = System()
    world = world_of(rollout(), system)

    def interfere(world: World, _waiting: Waiting) -> bool:
        if world.now >= BEGAN + 5 * MINUTE:
            system.weight = 0
        return False

    outcome = await drive(world, run_rollout, rollout(), interfere)

    assert isinstance(outcome, StepError)
    assert "somebody has changed the traffic of app meanwhile: it has 0 % of 2.0.0, not 10 %" in str(outcome)
    assert system.told == ALL[:1]


async def test_a_retry_sets_the_same_stage_again_and_keeps_what_was_recorded() -> None:
    """Never an earlier stage, and the state to go back to is still the one before the first."""
    system = System()
    model = rollout(on_failure="ask")
    world = world_of(model, system, bad_at(system, 50))
    assert isinstance(await drive(world, run_rollout, model), StepError)
    recorded = recorded_of(world.data)
    world.attempt += 1
    world.verdict = lambda _name, _now: (OK, 1.0)

    outcome = await drive(world, run_rollout, model)

    assert isinstance(outcome, Finished)
    assert system.told == [*ALL[:3], *ALL[2:]]
    assert recorded_of(world.data) == recorded
    assert [(row.name, row.attempt) for row in world.journal][-2:] == [("stage-50", 2), ("stage-100", 2)]


async def test_a_stage_whose_soak_ended_while_nobody_looked_is_measured_before_the_next() -> None:
    """Maint was down over the night: one round decides, and the bad version goes no further."""
    system = System()
    world = world_of(rollout(), system, bad_at(system, 10))
    await look(world, run_rollout, rollout())
    world.now += timedelta(hours=9)

    outcome = await look(world, run_rollout, rollout())

    assert isinstance(outcome, Undo)
    assert len(world.measured) == 1
    assert system.told == ALL[:1]


async def test_the_card_has_the_bar_the_countdown_and_the_numbers() -> None:
    """In the middle of the second stage."""
    world = world_of(rollout(), System())
    await look(world, run_rollout, rollout())
    for _ in range(13):
        world.now += MINUTE
        await look(world, run_rollout, rollout())

    state = state_of(world)

    done, now, pending = StageState.DONE, StageState.NOW, StageState.PENDING
    assert state.bar() == ((10, done), (25, now), (50, pending), (100, pending))
    assert state.soak is not None
    assert state.soak.ends_at == BEGAN + 20 * MINUTE
    assert [(row.name, row.value, row.status) for row in state.soak.rows] == [("http.probe", "1 ms", "ok")]
    assert world.progress == "25 %: round 3 ok, until 12:20 UTC"


COMPARE = {
    "as": "errors",
    "stable": {"http.probe": {"target": "app"}},
    "canary": {"http.probe": {"target": "new"}},
    "critical": {"ratio": {"above": 1.5}},
}


@pytest.mark.parametrize(
    ("stable", "canary", "ends"),
    [
        ((OK, 10.0), (OK, 15.0), Finished),
        ((OK, 10.0), (OK, 16.0), Undo),
        ((OK, 0.0), (OK, 0.0), Finished),
        ((OK, 0.0), (OK, 1.0), Undo),
        ((OK, 10.0), (CRITICAL, None), Undo),
        ((CRITICAL, None), (OK, 10.0), StepError),
        ((OK, 10.0), (UNKNOWN, None), StepError),
        ((OK, None), (OK, 10.0), StepError),
    ],
)
async def test_the_new_version_is_held_against_the_stable_one(
    stable: tuple[object, float | None], canary: tuple[object, float | None], ends: type
) -> None:
    """More than half as much again is too much; what cannot be compared is not well."""
    model = rollout(compare=COMPARE, verify=[], inconclusive="3m")
    world = world_of(model, System(), lambda name, _now: stable if "stable" in name else canary)  # type: ignore[arg-type, return-value]

    assert isinstance(await drive(world, run_rollout, model), ends)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stages": [25, 10]}, "rise"),
        ({"stages": [10, 10]}, "rise"),
        ({"stages": [50, 101]}, "less than or equal to 100"),
        ({"stages": [0, 50]}, "greater than 0"),
        ({"verify": []}, "at least one is needed"),
        ({"every": "11m"}, "soaks only for 10m"),
        ({"verify": [{"http.prob": {}}]}, "did you mean `http.probe`?"),
        ({"verify": [{"http.probe": {"path": "health"}}]}, "http.probe.path"),
        ({"verify": [{"http.probe": {}, "redis.ping": {}}]}, "a check has one kind"),
        ({"verify": ["go"]}, "should match pattern"),
        ({"compare": {**COMPARE, "critical": {}}}, "needs `warning:` or `critical:`"),
        ({"compare": {**COMPARE, "stable": {"http.probe": {}}}}, "names its target"),
        ({"compare": {**COMPARE, "output": "p99_ms"}}, "no number 'p99_ms'"),
        ({"compare": {**COMPARE, "critical": {"ration": {"above": 1}}}}, "no output 'ration'"),
        ({"compare": [COMPARE, COMPARE]}, "a name of its own"),
    ],
)
def test_a_rollout_that_makes_no_sense_is_refused(fields: dict[str, object], words: str) -> None:
    """With what is wrong, in words."""
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        rollout(**fields)


def test_the_plan_says_every_weight_and_what_decides() -> None:
    """Nothing is touched."""
    system = System()
    model = rollout(stages=[10, 100], compare=COMPARE, gradual_rollback=True, between=GATE)
    targets = dict(world_of(model, system).targets)

    lines = model.plan_lines(targets | {"new": targets["app"]})

    assert lines[:3] == (
        "notes what app has now: that is what a rollback restores",
        "10 %: gives 2.0.0 10 %, then soaks 10m",
        "100 %: gives 2.0.0 100 %, then soaks 10m",
    )
    assert "checks http.probe of app: critical: response time > 2 ms" in lines
    assert any(line.startswith("compares errors") and "ratio to stable > 1.5" in line for line in lines)
    assert any(line.startswith("between two stages: 1 person of sre") for line in lines)
    assert (
        model.undo_lines()[0] == "down only, every 1m, through those of 100 %, 10 % below the weight it has"
    )
    assert system.told == []


def test_the_plan_refuses_what_cannot_be_moved() -> None:
    """A target without `traffic:`, one that is not there, and weights that its driver cannot set."""
    model = rollout()
    world = world_of(model, System(), impossible=(10.0,))
    app = world.targets["app"]

    for targets, words in (
        ({}, "there is no target app"),
        ({"app": app.model_copy(update={"traffic": None})}, "has no `traffic:`"),
        ({"app": app}, "10 % is impossible"),
    ):
        with pytest.raises(StepError, match=words):
            model.plan_lines(targets)


def test_a_check_that_has_nothing_to_look_at_is_told_in_the_plan() -> None:
    """It would hold the first stage for half an hour, and then ask."""
    for fields in ({"verify": [{"redis.ping": {}}]}, {"verify": [], "compare": COMPARE}):
        model = rollout(**fields)
        with pytest.raises(StepError, match=r"that the check (redis.ping|http.probe) can look at"):
            model.plan_lines(world_of(model, System()).targets)


def test_the_plan_warns_of_a_flag_that_restarts_pods() -> None:
    """The seeds' way: every stage restarts all pods, and nothing is a share of the traffic."""
    model = rollout()

    class FlagTraffic(MemoryTraffic):
        restarts_pods = True
        is_flag = True

    app = world_of(model, System()).targets["app"]
    flagged = app.model_copy(update={"traffic": FlagTraffic(system=System())})

    assert model.plan_warnings({"app": app}) == ()
    assert model.plan_warnings({"app": flagged}) == (
        "app: every stage restarts all pods",
        "app: the weight is a flag that the program reads, not a share of the traffic",
    )


async def _with_gates(world: World, model: Rollout) -> object:
    return await drive(world, run_rollout, model, approve)


@pytest.mark.parametrize("bad", [None, 25, 100])
async def test_a_death_at_any_point_changes_nothing(bad: float | None) -> None:
    """The process dies at each point in turn, in a rollout with gates that ends well or is rolled back: the
    outcome, the time and the stages are the same, and each weight is set as often as the journal says."""
    model = rollout(between=GATE, soak="3m", stages=[10, 25, 100])

    async def run(die_at: frozenset[int]) -> tuple[World, System, object]:
        system = System(lag=1)
        world = world_of(model, system, bad_at(system, bad) if bad else None)
        world.die_at = die_at
        return world, system, await _with_gates(world, model)

    alive, moved, expected = await run(frozenset())
    assert isinstance(expected, Finished if bad is None else Undo)
    for point in range(1, alive.points + 1):
        world, system, outcome = await run(frozenset({point}))

        assert world.deaths == 1
        assert repr(outcome) == repr(expected)
        assert list(dict.fromkeys(system.told)) == moved.told
        for row in world.journal[1:]:
            weight = float(row.name.removeprefix("stage-"))
            assert system.told.count(("2.0.0", weight)) in (row.begun, row.begun - 1)
        assert len(system.told) <= len(moved.told) + 1
        assert recorded_of(world.data) == recorded_of(alive.data)
        assert world.open_asks == []


async def test_many_deaths_in_one_rollout_change_nothing() -> None:
    """It dies at every seventh point."""
    model = rollout(between=GATE, soak="3m")
    system = System()
    world = world_of(model, system)
    world.die_at = frozenset(range(7, 2000, 7))

    outcome = await _with_gates(world, model)

    assert isinstance(outcome, Finished)
    assert world.deaths > 20
    assert list(dict.fromkeys(system.told)) == ALL


def test_a_rollout_can_use_checks_of_another_step() -> None:
    """The names of the steps are there for whoever checks that they come first."""
    assert rollout(verify=["before.verify", PROBE]).refers_to() == ("before",)
