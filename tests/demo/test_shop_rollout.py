"""The demo's shop rolled out end to end: its own interface moves the traffic, its own pages decide."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import pytest

from bot.demo.settings import TRAFFIC
from runbooks.engine.at import Finished, Outcome, Undo
from runbooks.engine.checks import CheckRunner, Item, Limits, Result
from runbooks.engine.rollout_state import recorded_of
from runbooks.engine.rollout_undo import undo_rollout
from runbooks.engine.rollouts import run_rollout
from runbooks.errors import StepError
from runbooks.records.measurements import Last, Series, StoredResult
from runbooks.scrub import Scrubber
from runbooks.spec.runbook import RunbookStep
from runbooks.steps.rollout import Rollout
from runbooks.steps.step import Check, Step
from runbooks.targets import HttpTarget, TargetBase
from tests.demo.conftest import Open
from tests.engine.at_double import BEGAN, World, drive


class NoHistory:
    """Nothing was measured before, and nothing is kept."""

    async def previous(self, series: Iterable[Series]) -> Mapping[Series, Last]:
        return {}

    async def medians(self, series: Iterable[Series]) -> Mapping[Series, float]:
        return {}

    async def keep(self, results: Sequence[StoredResult], also: object = None) -> None:
        return None


def rollout(version: str) -> Rollout:
    """Two rounds of twenty visits at each stage."""
    probe = {"http.probe": {"target": "shop", "path": "/", "samples": 20}}
    return Rollout.model_validate(
        {"target": "shop", "to": version, "soak": "2m", "every": "1m", "verify": [probe]}
    )


def world_at(shop: Open, model: Rollout) -> World:
    """Where the shop is a target as the demo writes it, and checks are really made."""
    target = HttpTarget.model_validate(
        {"type": "http", "name": "shop", "url": shop.address, "health": "/health", "traffic": TRAFFIC}
    )
    targets: dict[str, TargetBase] = {"shop": target}

    async def measure(checks: Sequence[tuple[str, Step]]) -> tuple[Result, ...]:
        items = []
        for name, check in checks:
            assert isinstance(check, Check)
            key = Series("book", f"shift.{name}", check.target, check.kind)
            items.append(Item(key=key, title=name, check=check, target=targets[check.target]))
        report = await CheckRunner(targets, NoHistory(), Scrubber(), Limits()).run("book", items, "c")
        return report.results

    step = RunbookStep(
        id="shift", title="Shift", kind="rollout", line=1, fields={}, model=Rollout, sample=model
    )
    return World(step=step, targets=targets, measure=measure)


async def switched(shop: Open) -> str:
    """What the shop's interface tells."""
    return (await shop.ask("GET", "/rollout")).body


async def test_a_good_release_goes_through_all_stages(shop: Open) -> None:
    """10, 25, 50, 100, and the shop says so."""
    world = world_at(shop, rollout("2.1.0"))

    outcome = await drive(world, run_rollout, rollout("2.1.0"))

    assert isinstance(outcome, Finished), outcome
    assert world.now == BEGAN + timedelta(minutes=8)
    assert await switched(shop) == '{"version": "2.1.0", "weight": 100}'


@pytest.mark.parametrize("before", [0, 100])
async def test_the_broken_release_is_found_by_its_checks_and_rolled_back(shop: Open, before: int) -> None:
    """Long before it has everybody; then the shop is exactly as it was."""
    await shop.turn(weight_percent=before)
    was = await switched(shop)
    model = rollout("2.0.1")
    world = world_at(shop, model)

    outcome: Outcome | StepError = await drive(world, run_rollout, model)

    assert isinstance(outcome, Undo)
    assert "instead of 2xx" in outcome.reason
    recorded = recorded_of(world.data)
    undone = await drive(world_at(shop, model), lambda at, model: undo_rollout(at, model, recorded), model)
    assert isinstance(undone, Finished), undone
    assert await switched(shop) == was
