"""`baseline.compare` and `baseline.set`: what is worse, by how much, and since when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.records.step_memory import Remembered
from runbooks.steps import ACTIONS
from runbooks.steps.action import Call, Done
from runbooks.steps.baseline import AGREED, KIND, SEEN, Metric, has_regressed, percent_worse
from runbooks.steps.reach import Connections
from tests.steps.acting import HERE, a_call
from tests.steps.maintaining import Notebook

MONDAY = datetime(2026, 11, 2, 10, tzinfo=UTC)


async def do(kind: str, memory: Notebook, metrics: dict[str, Any], **call: Any) -> Done:
    action = ACTIONS[kind].model_validate({"baseline": "shop", "metrics": metrics})
    async with Connections() as connections:
        return await action.act(None, a_call_of(connections, memory, **call))


def a_call_of(connections: Connections, memory: Notebook, **changes: Any) -> Call:
    return replace(a_call(connections, HERE), memory=memory, **changes)


def p95(value: float) -> dict[str, Any]:
    return {"p95": {"value": value, "unit": "ms", "least": 10}}


def seen_weekly(memory: Notebook, *values: float) -> None:
    """What each Monday saw, the oldest first."""
    memory.kept[KIND, "shop", SEEN] = [
        Remembered(MONDAY + timedelta(weeks=week), {"run": f"r{week}", "values": {"p95": value}})
        for week, value in enumerate(values)
    ][::-1]


async def test_without_a_baseline_nothing_is_judged() -> None:
    """And the numbers are remembered all the same."""
    memory = Notebook()

    done = await do("baseline.compare", memory, p95(300))

    assert done.summary == "nobody has agreed on a baseline yet"
    assert done.values == {"regressions": 0, "compared": 0, "worst_percent": 0.0, "worst": "none"}
    assert memory.kept[KIND, "shop", SEEN][0].value["values"] == {"p95": 300}


async def test_a_regression_is_told_with_its_size_and_since_when() -> None:
    """The first of the weeks in a row that were as bad; the good one in between counts."""
    memory = Notebook()
    await do("baseline.set", memory, p95(300))
    seen_weekly(memory, 500, 310, 420, 450)

    done = await do("baseline.compare", memory, p95(480))

    assert done.warnings == ("p95: 480 ms, agreed 300 ms, 60 % worse, since 2026-11-16",)
    assert done.values["regressions"] == 1
    assert done.values["worst_percent"] == 60
    (drawn,) = done.drawn
    assert {line["name"]: [value for _, value in line["points"]] for line in drawn["lines"]} == {
        "measured": [500, 310, 420, 450, 480],
        "agreed": [300] * 5,
    }


async def test_a_regression_of_today_began_today() -> None:
    """And a repetition after a crash has not seen itself."""
    memory = Notebook()
    await do("baseline.set", memory, p95(300))
    now = MONDAY + timedelta(weeks=9)

    await do("baseline.compare", memory, p95(480), now=lambda: now)
    again = await do("baseline.compare", memory, p95(480), now=lambda: now)

    assert again.warnings[0].endswith("since 2027-01-04")


@pytest.mark.parametrize(
    ("metric", "agreed", "expected"),
    [
        ({"value": 119}, 100, False),
        ({"value": 121}, 100, True),
        ({"value": 121, "least": 50}, 100, False),
        ({"value": 79, "worse": "below"}, 100, True),
        ({"value": 121, "worse": "below"}, 100, False),
        ({"value": 1}, 0, True),
        ({"value": 0}, 0, False),
        ({"value": 1, "worse": "below"}, 0, False),
        ({"value": -50}, -100, True),
    ],
)
def test_worse_is_beyond_the_tolerance_and_what_matters(
    metric: dict[str, Any], agreed: float, *, expected: bool
) -> None:
    """In the direction that is worse for the metric."""
    assert has_regressed(Metric.model_validate(metric), agreed, 20) is expected


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_what_is_worse_one_way_is_better_the_other(value: float, agreed: float) -> None:
    """And nothing else."""
    above = percent_worse(Metric(value=value), agreed)

    assert above == -percent_worse(Metric(value=value, worse="below"), agreed)
    assert (above > 0) == (value > agreed) or above == 0


async def test_undoing_an_update_agrees_on_what_was_agreed_before() -> None:
    """Metrics that the update did not name were never touched."""
    memory = Notebook()
    await do("baseline.set", memory, {"p95": {"value": 300}, "hits": {"value": 90}})
    action = ACTIONS["baseline.set"].model_validate({"baseline": "shop", "metrics": p95(480)})
    async with Connections() as connections:
        call = a_call_of(connections, memory)
        before = await action.record(None, call)
        await action.act(None, replace(call, before=before))
        during = await action.record(None, call)
        unchanged = await action.changed_since(None, call, during)
        await action.undo(None, replace(call, before=before))
        changed = await action.changed_since(None, call, during)

    assert before == {"agreed": {"p95": 300, "hits": 90}}
    assert during == {"agreed": {"p95": 480, "hits": 90}}
    assert memory.kept[KIND, "shop", AGREED][0].value == before["agreed"]
    assert unchanged == ()
    assert changed == ("the baseline shop was changed since",)
