"""`maint doctor TARGET`: whether Maint may do on a target what the runbooks do on targets of its type."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bot.settings import Loaded
from runbooks.errors import StepError, UsageError
from runbooks.nearest import did_you_mean
from runbooks.spec.runbook_step import RunbookStep
from runbooks.status import Status
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Step
from runbooks.targets import TargetBase

#: Seconds that one kind of step may look at one target.
LONGEST_LOOK = 15.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at, what was found, and what to do about it."""

    what: str
    status: Status
    found: str
    do: str = ""

    def __str__(self) -> str:
        line = f"{self.status:<8}  {self.what}: {self.found}"
        return f"{line}\n{'':10}{self.do}" if self.do else line


async def target_findings(loaded: Loaded, names: Iterable[str]) -> tuple[Finding, ...]:
    """What is to say of these targets. Raises UsageError for one that is not there."""
    targets = loaded.settings.targets
    for name in names:
        if name not in targets:
            hint = did_you_mean(name, targets) or f"there are: {', '.join(sorted(targets)) or 'none'}"
            raise UsageError(f"There is no target {name[:60]!r} ({hint}).")
    found: list[Finding] = []
    async with Connections() as connections:
        reach = Reach(targets=targets, connections=connections)
        for name in dict.fromkeys(names):
            found += await _of_target(loaded, targets[name], reach)
    return tuple(found)


async def _of_target(loaded: Loaded, target: TargetBase, reach: Reach) -> list[Finding]:
    kinds = [kind for kind in used_kinds(loaded) if _acts_on(kind, target)]
    found = [finding for kind in kinds for finding in await _of_kind(kind, target, reach)]
    if found:
        return found
    said = "no step that the runbooks have there needs a privilege of its own"
    return [Finding(what=target.name, status=Status.SKIPPED, found=said)]


async def _of_kind(kind: type[Step], target: Any, reach: Reach) -> list[Finding]:
    what = f"{target.name}, {kind.kind}"
    try:
        async with asyncio.timeout(LONGEST_LOOK):
            lacking = await kind.lacks(target, reach)
    except TimeoutError:
        said = f"no answer within {LONGEST_LOOK:.0f} s"
        return [
            Finding(what=what, status=Status.UNKNOWN, found=said, do="Try again when the target answers.")
        ]
    except StepError as error:
        do = f"`maint health {target.name}` says how the target is."
        return [Finding(what=what, status=Status.UNKNOWN, found=str(error), do=do)]
    if lacking is None:
        return []
    if not lacking:
        return [Finding(what=what, status=Status.OK, found="the login may do it")]
    do = "Grant that; until then runs with such a step stop there, and say the same."
    return [Finding(what=what, status=Status.WARNING, found=each, do=do) for each in lacking]


def used_kinds(loaded: Loaded) -> list[type[Step]]:
    """The kinds of steps that any of the runbooks has, by name."""
    steps = (
        step for runbook in loaded.runbooks.values() for step in _flat((*runbook.steps, *runbook.rollback))
    )
    return sorted({step.model for step in steps}, key=lambda kind: kind.kind)


def _flat(steps: Iterable[RunbookStep]) -> Iterator[RunbookStep]:
    for step in steps:
        yield step
        yield from _flat((*step.steps, *([step.rollback] if step.rollback else [])))


def _acts_on(kind: type[Step], target: TargetBase) -> bool:
    needs = getattr(kind, "needs", None)
    return needs is not None and isinstance(target, needs)
