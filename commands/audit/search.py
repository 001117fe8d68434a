"""`/maint audit [FILTERS]`: events, newest first."""

from commands.audit.sub_word import SubWord
from commands.command import Progress, Request, Services
from commands.reply import Reply
from runbooks.errors import UsageError


class Search(SubWord):
    """Reads filters like words, and shows a page of the events that fit."""

    word = "search"
    summary = "Lists events, newest first, of those that you may see"
    usage = "[by WHO] [runbook NAME] [on TARGET] [denied|failed|…] [since WHEN]"
    everyone = True

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """A page."""
        raise UsageError("Not built yet.")
