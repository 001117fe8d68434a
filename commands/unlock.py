"""`/maint unlock TARGET "reason"`: takes a lock away from a run."""

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import reason_in, said
from commands.needs import Needs
from commands.reply import Reply
from commands.words import quoted
from runbooks.access import NOWHERE
from runbooks.errors import Refused, UsageError
from runbooks.nearest import nearest
from runbooks.targets import TargetBase


class Unlock(Command):
    """Takes a lock away."""

    word = "unlock"
    summary = "Take a target's lock away from the run that holds it"
    usage = 'TARGET "reason"'
    about = (
        "One disruptive run at a time has a target. Its lock is released when the run is over; this word is "
        "for the day when that does not come. The run that held it is not stopped: cancel does that."
    )
    examples = (('unlock app "that run hangs since Monday"', "the next run may have app"),)
    needs = Needs.WORD
    group = Group.EMERGENCY

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """The target, if the lock is one's: a runbook may lock other names."""
        found = services.targets.get(words[0]) if words else None
        return (found,) if found else ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Releases it."""
        usage = f'{request.program} unlock {words[0] if words else "TARGET"} "reason"'
        if not words:
            raise UsageError(f"Name the target: {usage}")
        name, reason = words[0], reason_in(words[1:], usage)
        held = sorted(
            lock.target for lock in await services.runs.locks() if _may(request, services, lock.target)
        )
        if name not in held:
            if name not in services.targets and not _may(request, services, name):
                raise Refused(
                    f"{name} is no target of maint.yaml: only a grant for all environments unlocks it."
                )
            meant = nearest(name, held)
            hint = f"Did you mean {meant}?" if meant else f"Locked are: {', '.join(held) or 'none'}."
            raise UsageError(f"Nobody holds a lock on {quoted(name)}. {hint}")
        decided = await services.runs.unlock(name, request.by, reason)
        return said(decided)


def _may(request: Request, services: Services, name: str) -> bool:
    target = services.targets.get(name)
    environment = target.environment if target else NOWHERE
    return request.access.may_touch(Unlock.word, environment, name if target else "")
