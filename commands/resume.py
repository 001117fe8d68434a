"""`/maint resume everything`: goes on where everything was stopped."""

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import said
from commands.needs import Needs
from commands.reply import Reply
from commands.rights import check_everywhere
from commands.stop import EVERYTHING
from runbooks.errors import UsageError


class Resume(Command):
    """Goes on after `stop everything`."""

    word = "resume"
    summary = "Go on after stop everything"
    usage = 'everything ["reason"]'
    about = (
        "Ends a stop of everything: runs go on where they stood, in the order in which they came. It is "
        "granted by itself, so that who may pull the brake is not always who may release it."
    )
    examples = (("resume everything", "runs go on where they stood"),)
    needs = Needs.WORD
    group = Group.EMERGENCY

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Goes on."""
        check_everywhere(request, self.word)
        program = request.program
        if not words or words[0].casefold() != EVERYTHING:
            one = f" A rollout that is held goes on with {program} answer {words[0]} resume." if words else ""
            raise UsageError(f"Say: {program} resume everything.{one}")
        decided = await services.runs.resume_everything(request.by, " ".join(words[1:]).strip())
        return said(decided)
