"""What the tests of rollouts share: a world with a system whose traffic moves, and people who click."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from runbooks.engine.at import Waiting
from runbooks.engine.rollout_state import RolloutState, rollout_of
from runbooks.spec.runbook import RunbookStep
from runbooks.status import Status
from runbooks.steps.rollout import Rollout
from runbooks.targets import HttpTarget
from tests.engine.at_double import BEGAN, Verdict, World
from tests.engine.moving import MemoryTraffic, System

MINUTE = timedelta(minutes=1)
OK, WARNING, CRITICAL, UNKNOWN = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN
PROBE = {"http.probe": {"target": "app", "critical": {"above": 2}}}
GATE = {"gate": {"approvers": ["sre"], "requester_may_approve": True}}


def rollout(**fields: Any) -> Rollout:
    """A rollout of 2.0.0 in the usual stages, ten minutes each."""
    usual = {"target": "app", "to": "2.0.0", "soak": "10m", "every": "1m", "verify": [PROBE]}
    return Rollout.model_validate({**usual, **fields})


def world_of(model: Rollout, system: System, verdict: Verdict | None = None, **driver: Any) -> World:
    """Where that rollout runs."""
    step = RunbookStep(
        id="shift", title="Shift", kind="rollout", line=1, fields={}, model=Rollout, sample=model
    )
    traffic = MemoryTraffic(system=system, **driver)
    world = World(
        step=step,
        targets={"app": HttpTarget(type="http", name="app", url="http://localhost", traffic=traffic)},
    )
    if verdict:
        world.verdict = verdict
    return world


def bad_at(system: System, weight: float, status: Status = CRITICAL) -> Verdict:
    """Checks that are well until the new version has that much."""
    return lambda _name, _now: (
        status if system.version == "2.0.0" and system.weight >= weight else OK,
        1.0,
    )


def state_of(world: World) -> RolloutState:
    """What the rollout keeps."""
    state = rollout_of(world.data)
    assert state is not None
    return state


def approve(world: World, _waiting: Waiting) -> bool:
    """Approves every gate, the moment it is open."""
    if any(kind == "gate" for kind, _ in world.open_asks):
        world.answer("gate", "approve")
        return True
    return False


def says_once(
    choice: str, when: Callable[[World], bool], reason: str = ""
) -> Callable[[World, Waiting], bool]:
    """Answers the rollout's ask once, when it is time."""
    said: list[str] = []

    def on_wait(world: World, _waiting: Waiting) -> bool:
        if said or not when(world):
            return False
        world.answer("rollout", choice, reason=reason)
        said.append(choice)
        return True

    return on_wait


def after_minutes(minutes: float) -> Callable[[World], bool]:
    """When so much time has passed."""
    return lambda world: world.now >= BEGAN + minutes * MINUTE
