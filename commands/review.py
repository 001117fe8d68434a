"""`/maint review`: looks after those who broke the glass."""

from commands.asked import asked
from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import choose, decide, named_run, reason_in
from commands.needs import Needs
from commands.reply import Reply
from runbooks.records.runs import AskKind


class Review(Command):
    """Lists the gates that somebody opened alone, and closes such a review."""

    word = "review"
    summary = "Review gates that somebody opened alone"
    usage = '[RUN "what you found"]'
    about = (
        "Lists the runs whose gate somebody opened with --break-glass, and that nobody else has looked at "
        "yet. With RUN a second person says what they found, and the review is closed."
    )
    examples = (
        ("review", "what is to be reviewed"),
        ('review 3f9kq2ab "right thing to do, added Kim to sre"', "closes that review"),
    )
    needs = Needs.BUSINESS
    group = Group.DECIDE

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Closes a review, or lists the open ones."""
        if not words:
            return await asked(request, services, (AskKind.REVIEW,), "Reviews")
        found = reason_in(words[1:], f'{request.program} review {words[0]} "what you found"')
        view, step = await named_run(request, services, words[0])
        ask = choose(request, view, "reviewed", step)
        return await decide(request, services, view, ask, "reviewed", words=found)
