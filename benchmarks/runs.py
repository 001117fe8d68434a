"""Steps of a run, with their journal and audit log, beside bare steps of DBOS: in turn, in one process, on
one database. A step of either kind does nothing, and is known to be done when the next one begins."""

import asyncio
import statistics
import time
from typing import Any

from benchmarks.databases import KINDS, fresh
from benchmarks.figure import Figure
from benchmarks.house import House, house, steps

#: Steps of the one long run; runs that are under way at once, and the steps of each.
STEPS, AT_ONCE, STEPS_EACH = 100, 20, 10
ROUNDS = 5
#: What bare DBOS does in a second, we do at least half of.
LEAST = 0.5


def _bare() -> Any:
    """A workflow of that many steps, as one writes it with DBOS alone."""
    from dbos import DBOS

    @DBOS.step(name="bench.nothing")
    def nothing() -> None:
        return None

    @DBOS.workflow(name="bench")
    def bench(number: int) -> None:
        for _ in range(number):
            nothing()

    return bench


def _start_bare(workflow: Any, runs: int, number: int) -> None:
    from dbos import DBOS

    handles = [DBOS.start_workflow(workflow, number) for _ in range(runs)]
    for handle in handles:
        handle.get_result()


async def _ours(where: House, runs: int, number: int) -> float:
    begun = time.perf_counter()
    started = [await where.start(f"steps-{number}") for _ in range(runs)]
    for run in started:
        await where.over(run)
    return runs * number / (time.perf_counter() - begun)


async def _theirs(workflow: Any, runs: int, number: int) -> float:
    begun = time.perf_counter()
    await asyncio.to_thread(_start_bare, workflow, runs, number)
    return runs * number / (time.perf_counter() - begun)


async def _on(kind: str) -> list[Figure]:
    figures = []
    with fresh(kind) as url:
        async with house(url, steps(STEPS), steps(STEPS_EACH)) as where:
            workflow = _bare()
            for what, runs, number in (
                (f"{STEPS} steps of one run", 1, STEPS),
                (f"{AT_ONCE} runs at once", AT_ONCE, STEPS_EACH),
            ):
                ours, theirs = [], []
                for _ in range(ROUNDS + 1):  # the first is not counted
                    theirs.append(await _theirs(workflow, runs, number))
                    ours.append(await _ours(where, runs, number))
                figures.append(
                    Figure(
                        what=f"steps, {what}, {kind}",
                        value=statistics.median(ours[1:]),
                        unit="/s",
                        beside=statistics.median(theirs[1:]),
                        limit=LEAST,
                        least=True,
                    )
                )
    return figures


async def measure() -> list[Figure]:
    """Medians of several rounds in turn, after one that is not counted."""
    return [figure for kind in KINDS for figure in await _on(kind)]
