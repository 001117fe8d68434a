"""Runs the tests of runbooks, and says what came of each."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from runbooks.errors import Fault, StepError, UsageError
from runbooks.rehearsal.reading import TestFile, demand_fit, read_tests
from runbooks.rehearsal.stage import Stage, World
from runbooks.rehearsal.verdict import Judgement, judge
from runbooks.spec.runbook import Runbook

Told = Callable[[Judgement], None]


def load(runbook: Runbook, path: Path) -> TestFile:
    """The tests of a runbook; raises ConfigError, also when they do not fit it. Blocks."""
    file = read_tests(path)
    demand_fit(file, runbook)
    return file


async def rehearse(
    files: Iterable[tuple[Runbook, TestFile]], world: World, told: Told = lambda _: None
) -> tuple[Judgement, ...]:
    """Carries out every test; `told` hears of each as it is over."""
    done: list[Judgement] = []
    async with Stage(world) as stage:
        for runbook, file in files:
            for index in range(len(file.cases)):
                judgement = await _one(stage, runbook, file, index)
                done.append(judgement)
                told(judgement)
    return tuple(done)


async def _one(stage: Stage, runbook: Runbook, file: TestFile, index: int) -> Judgement:
    case = file.cases[index]
    began = time.perf_counter()
    try:
        view = await stage.play(runbook, case, file.targets)
    except (UsageError, StepError) as error:
        faults = _refused(file, index, str(error))
    else:
        faults = tuple(judge(file, index, runbook, view))
    return Judgement(
        runbook=runbook.name,
        name=case.name,
        where=file.where(index).where,
        faults=faults,
        seconds=time.perf_counter() - began,
    )


def _refused(file: TestFile, index: int, reason: str) -> tuple[Fault, ...]:
    expected = file.cases[index].expect.refused
    if expected is not None and expected.casefold() in reason.casefold():
        return ()
    fault = file.where(index, "expect", "refused") if expected is not None else file.where(index)
    return (replace(fault, message=f"the run was refused: {reason}"),)
