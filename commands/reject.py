"""`/maint reject RUN "reason"`: says no at a gate."""

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import choose, decide, named_run, reason_in
from commands.needs import Needs
from commands.reply import Reply
from runbooks.errors import UsageError


class Reject(Command):
    """Rejects what a run waits for."""

    word = "reject"
    summary = "Reject what a run waits for, and say why"
    usage = 'RUN "reason"'
    about = (
        "Rejects the plan that a run's card shows: the run does not go on. Whom the gate names may do so. "
        "The reason is shown on the card, and kept."
    )
    examples = (('reject 3f9kq2ab "not before the backup"', "the run does not go on, and its card says why"),)
    needs = Needs.BUSINESS
    group = Group.DECIDE

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Rejects."""
        usage = f'{request.program} reject {words[0] if words else "RUN"} "reason"'
        if not words:
            raise UsageError(f"Name the run: {usage}")
        reason = reason_in(words[1:], usage)
        view, step = await named_run(request, services, words[0])
        ask = choose(request, view, "reject", step)
        return await decide(request, services, view, ask, "reject", words=reason)
