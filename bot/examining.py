"""`maint doctor TARGET …`: whether the steps can do there what they are meant to do."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

from bot.doctor import Finding
from bot.settings import Loaded
from commands.words import find_target
from runbooks.errors import StepError
from runbooks.spec.placeholders import names_in
from runbooks.status import Status
from runbooks.steps import EXAMINERS
from runbooks.steps.examined import Examine, Examined
from runbooks.steps.log_sweep import Sweep
from runbooks.steps.logs_examine import examine_folders
from runbooks.steps.reach import Connections, Reach
from runbooks.targets import HostTarget, TargetBase

#: Seconds that all that is looked at on one target may take.
LONGEST_LOOK = 60.0


async def examine_targets(loaded: Loaded, names: Iterable[str]) -> tuple[Finding, ...]:
    """What is found on each of them. Raises UsageError for a name that is none."""
    targets = [find_target(name, loaded.settings.targets) for name in names]
    return tuple([finding for target in targets for finding in await _examine(loaded, target)])


async def _examine(loaded: Loaded, target: TargetBase) -> list[Finding]:
    found: list[Finding] = []
    async with Connections() as connections:
        reach = Reach(targets=loaded.settings.targets, connections=connections)
        named: list[Examine] = []
        if isinstance(target, HostTarget):
            named.append(partial(_examine_folders, sorted(_log_folders(loaded, target.name))))
        for examine in (*EXAMINERS.get(type(target), ()), *named):
            try:
                async with asyncio.timeout(LONGEST_LOOK):
                    looked = await examine(target, reach)
            except TimeoutError:
                found.append(_unknown(target, f"it did not answer within {LONGEST_LOOK:.0f} s"))
            except StepError as error:
                found.append(_unknown(target, str(error)))
            else:
                found += [
                    Finding(
                        what=f"{target.name}: {each.what}", status=each.status, found=each.found, do=each.do
                    )
                    for each in looked
                ]
    if not found:
        found.append(
            Finding(
                what=target.name,
                status=Status.SKIPPED,
                found="nothing more is known to be needed there than what its checks say",
            )
        )
    return found


async def _examine_folders(folders: Sequence[str], target: HostTarget, reach: Reach) -> tuple[Examined, ...]:
    return await examine_folders(target, folders, reach)


def _log_folders(loaded: Loaded, target: str) -> set[str]:
    """Folders of that target, as runbooks name them outright, in which something is deleted or packed."""
    todo = [step for runbook in loaded.runbooks.values() for step in (*runbook.steps, *runbook.rollback)]
    found: set[str] = set()
    while todo:
        step = todo.pop()
        todo += [*step.steps, *([step.rollback] if step.rollback else [])]
        fields = step.fields
        if not (isinstance(step.sample, Sweep) and fields.get("target") == target) or step.sample.show_only:
            continue
        if isinstance(folder := fields.get("folder"), str) and not names_in(folder):
            found.add(step.sample.folder)
    return found


def _unknown(target: TargetBase, why: str) -> Finding:
    return Finding(
        what=target.name,
        status=Status.UNKNOWN,
        found=why,
        do="Nothing more was looked at there: `maint health` says whether it can be reached.",
    )
