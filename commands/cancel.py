"""`/maint cancel RUN "reason"`: stops one run."""

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import check_may_stop, nothing_asked, reason_in, said
from commands.needs import Needs
from commands.reply import Reply
from commands.rights import find_run
from runbooks.errors import UsageError


class Cancel(Command):
    """Asks a run to stop."""

    word = "cancel"
    summary = "Stop a run"
    usage = 'RUN "reason"'
    about = (
        "What runs is asked to stop, and killed after its grace; then the run's rollback is offered on its "
        "card. Whoever asked for the run may do so, and whoever may run its runbook."
    )
    examples = (('cancel 3f9kq2ab "wrong version"', "stops that run"),)
    needs = Needs.BUSINESS
    group = Group.RUN

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Asks it to stop."""
        usage = f'{request.program} cancel {words[0] if words else "RUN"} "reason"'
        if not words:
            raise UsageError(f"Name the run: {usage}")
        reason = reason_in(words[1:], usage)
        view = await find_run(request, services, words[0])
        check_may_stop(request, services, view)
        if view.run.over:
            raise UsageError(nothing_asked(request.program, view))
        decided = await services.runs.cancel(view.run.id, request.by, reason)
        return said(decided, view.run.id)
