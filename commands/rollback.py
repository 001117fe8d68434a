"""`/maint rollback RUN "reason"`: undoes a run."""

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import reason_in
from commands.needs import Needs
from commands.reply import Note, Paragraph, Reply, Span, code, strong
from commands.rights import find_run, may_run, short
from commands.run import waits
from runbooks.errors import Refused, UsageError


class Rollback(Command):
    """Undoes what a run did."""

    word = "rollback"
    summary = "Undo what a run did"
    usage = 'RUN "reason"'
    about = (
        "Puts back the state that was recorded before the run. One that is over is undone by a run of its "
        "own, if nothing else has changed since; otherwise you are told what did. One that is under way is "
        "asked to stop and rolls back then. It needs a grant for the runbook."
    )
    examples = (('rollback 3f9kq2ab "error rate doubled"', "puts back what was there before"),)
    needs = Needs.RUNBOOK
    starts_runs = True
    group = Group.RUN

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Starts the rollback, or asks for it."""
        usage = f'{request.program} rollback {words[0] if words else "RUN"} "reason"'
        if not words:
            raise UsageError(f"Name the run: {usage}")
        reason = reason_in(words[1:], usage)
        view = await find_run(request, services, words[0])
        if not may_run(request, services, view.run):
            raise Refused(f"You may not roll back {view.run.runbook}: that needs a grant for it.")
        run = await services.runs.rollback(view.run.id, request.by, reason)
        same = run.id == view.run.id
        what = "It is asked to stop, and rolls back then." if same else "It is undone by a run of its own."
        begun = await services.runs.view(run.id)
        return Reply(
            title=f"Rolling back: {view.run.title}",
            fallback=f"Rolling back {view.run.title}, run {short(run.id)}",
            elements=(
                Paragraph((strong(run.title), Span("  run "), code(short(run.id)), Span(f"  {what}"))),
                *(Paragraph(text) for text in waits(request.program, begun, services.now())),
                Note(f"{request.program} runs {short(run.id)} shows it."),
            ),
            data={"run": run.id, "state": run.state, "rollback_of": view.run.id},
            run=run.id,
        )
