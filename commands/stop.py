"""`/maint stop everything "reason"`: nothing new begins until somebody resumes."""

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import reason_in, said
from commands.needs import Needs
from commands.reply import Reply
from commands.rights import check_everywhere
from runbooks.errors import UsageError

EVERYTHING = "everything"


class Stop(Command):
    """Stops everything."""

    word = "stop"
    summary = "Stop everything"
    usage = 'everything "reason"'
    about = (
        "Nothing new starts, in any run: steps that are under way come to their end, gates hold, and what "
        "waits goes on waiting, until somebody types resume everything. To stop a single run, cancel it."
    )
    examples = (('stop everything "data centre on fire"', "no run goes on until it is resumed"),)
    needs = Needs.WORD
    group = Group.EMERGENCY

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Stops everything."""
        check_everywhere(request, self.word)
        program = request.program
        if not words or words[0].casefold() != EVERYTHING:
            one = f' One run stops with {program} cancel {words[0]} "reason".' if words else ""
            raise UsageError(f'Say: {program} stop everything "reason".{one}')
        reason = reason_in(words[1:], f'{program} stop everything "reason"')
        decided = await services.runs.stop_everything(request.by, reason)
        return said(decided)
