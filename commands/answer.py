"""`/maint answer RUN CHOICE`: answers what a run asks."""

from commands.asked import asked
from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import choose, decide, named_run
from commands.needs import Needs
from commands.reply import Reply
from runbooks.errors import UsageError
from runbooks.records.runs import AskKind

#: What a run may ask beside its gates and reviews, which have words of their own.
QUESTIONS = (AskKind.FAILED, AskKind.IN_DOUBT, AskKind.CANCELLED, AskKind.MANUAL, AskKind.ROLLOUT)


class Answer(Command):
    """Answers a question of a run: how to go on after a failure, how a manual step went."""

    word = "answer"
    summary = "Answer what a run asks"
    usage = '[RUN CHOICE] ["reason or evidence"]'
    about = (
        "A step that failed: retry, skip, rollback, abandon. One that may have half happened: retry, done, "
        "rollback, abandon. A manual step: done, failed, cannot. A rollout: promote, hold, resume, rollback. "
        "A run's card shows which of them fit. Skip, done and what a runbook wants explained need a reason. "
        "RUN/STEP names one of several questions. Without RUN it lists the open ones."
    )
    examples = (
        ("answer", "what is asked"),
        ("answer 3f9kq2ab retry", "does the failed step again"),
        ('answer 3f9kq2ab skip "done by hand"', "goes on behind it"),
        ('answer 3f9kq2ab/restore done "snapshot 4711 is there"', "the manual step restore is done"),
        ("answer 3f9kq2ab promote", "the rollout goes to its next stage now"),
    )
    needs = Needs.BUSINESS
    group = Group.DECIDE

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Answers, or lists what is asked."""
        if not words:
            return await asked(request, services, QUESTIONS, "Questions")
        view, step = await named_run(request, services, words[0])
        if len(words) == 1:
            offered = sorted({choice for ask in view.open_asks for choice in ask.choices})
            choices = "|".join(offered) or "CHOICE"
            raise UsageError(f"Say what: {request.program} answer {words[0]} {choices}")
        choice = words[1].casefold()
        ask = choose(request, view, choice, step)
        return await decide(request, services, view, ask, choice, words=" ".join(words[2:]).strip())
