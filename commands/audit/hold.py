"""`/maint audit hold on because …`: nothing is removed from the log until somebody lets it go."""

from commands.audit.sub_word import SubWord
from commands.command import Progress, Request, Services
from commands.deciding import reason_in
from commands.needs import Needs
from commands.reply import Paragraph, Reply
from runbooks.errors import UsageError
from runbooks.status import Status


class Hold(SubWord):
    """A legal hold."""

    word = "hold"
    summary = "Stops every removal from the log, or allows it again"
    usage = "on|off because REASON"
    examples = (('hold on because "the case of May"', "events stay, however old they get"),)
    needs = Needs.WORD
    everywhere = True

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Holds it, or lets it go."""
        said = f'{request.program} audit hold on|off because "the reason"'
        if not words or words[0].casefold() not in ("on", "off"):
            raise UsageError(f"Say: {said}.")
        on = words[0].casefold() == "on"
        reason = reason_in(words[1:], said)
        changed = await services.proof.hold(on, request.by, reason)
        now = "held: nothing is removed from it" if on else "not held: events may go when they are old enough"
        text = f"The audit log is {now}." if changed else f"The audit log was {now} already."
        return Reply(
            title="The audit log",
            fallback=text,
            status=Status.OK,
            elements=(Paragraph(text),),
            data={"held": on, "changed": changed},
        )
