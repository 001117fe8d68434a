"""`/maint audit prune`: removes what is older than `keep` now; a Maint that serves does it daily."""

from commands.audit.sub_word import SubWord
from commands.command import Progress, Request, Services
from commands.needs import Needs
from commands.reply import Paragraph, Reply
from commands.words import counted
from runbooks.status import Status


class Prune(SubWord):
    """Removes old events, up to an anchor, and leaves a signed checkpoint in their place."""

    word = "prune"
    summary = "Removes events that are older than maint.yaml's `keep`, and signs off up to where"
    usage = ""
    examples = (("prune", "removes what is older than `keep`"),)
    needs = Needs.WORD
    everywhere = True

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """How many went."""
        removal, count = await services.proof.prune(request.by)
        if removal is None and not count:
            text = "Nothing was removed: no anchor is older than what is kept."
        else:
            upto = f", up to event {removal.seq:,}" if removal else ""
            text = f"{counted(count, 'event')} removed{upto}. The chain holds from there on."
        return Reply(
            title="The audit log",
            fallback=text,
            status=Status.OK,
            elements=(Paragraph(text),),
            data={"removed": count, "up_to": removal.seq if removal else None},
        )
