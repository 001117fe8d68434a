"""What may follow `audit`: one word, one file."""

from typing import Protocol

from commands.command import Progress, Request, Services
from commands.needs import Needs
from commands.reply import Reply


class SubWord(Protocol):
    """One word after `audit`. One file, and one line in `commands.audit.SUB_WORDS`."""

    word: str
    summary: str  # one line, for the help of `audit`
    usage: str  # what may follow the word
    examples: tuple[tuple[str, str], ...] = ()  # what to type after `maint audit`, and what it does
    needs: Needs  # WORD: a grant of `audit`; BUSINESS: none, it shows what is the asker's own business
    everywhere: bool = False  # the grant must hold for every environment: it is about the whole log
    terminal_only: bool = False  # it writes files where it runs

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Does it. `words` are those after the sub-word. What it raises is as of a command's."""
        ...
