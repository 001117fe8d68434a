"""`maint doctor TARGET …`: whether the steps can do there what they are meant to do."""

import asyncio
from collections.abc import Iterable

from bot.doctor import Finding
from bot.settings import Loaded
from commands.words import find_target
from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import EXAMINERS
from runbooks.steps.reach import Connections, Reach
from runbooks.targets import TargetBase

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
        for examine in EXAMINERS.get(type(target), ()):
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


def _unknown(target: TargetBase, why: str) -> Finding:
    return Finding(
        what=target.name,
        status=Status.UNKNOWN,
        found=why,
        do="Nothing more was looked at there: `maint health` says whether it can be reached.",
    )
