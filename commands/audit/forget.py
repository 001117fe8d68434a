"""`/maint audit forget USER because …`: a person's names leave the log, what they did stays."""

import re

from commands.audit.sub_word import SubWord
from commands.command import Progress, Request, Services
from commands.deciding import reason_in
from commands.needs import Needs
from commands.reply import Note, Paragraph, Reply
from commands.words import counted
from runbooks.errors import UsageError
from runbooks.status import Status

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(\|[^>]*)?>")


class Forget(SubWord):
    """Removes the names of a person."""

    word = "forget"
    summary = "Removes a person's names from the log and from runs; what they did stays, under an id"
    usage = "USER because REASON"
    examples = (("forget U0123ABCD because they asked", "their names are gone for good"),)
    needs = Needs.WORD
    everywhere = True

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """How many names went. The reply does not say which."""
        said = f'{request.program} audit forget U0123ABCD because "the reason"'
        if not words:
            raise UsageError(f"Say: {said}.")
        mention = _MENTION.fullmatch(words[0])
        whom = mention[1] if mention else words[0].removeprefix("@")
        reason = reason_in(words[1:], said)
        found, count = await services.proof.forget(whom, request.by, reason)
        text = f"{counted(count, 'name')} of {found} removed from the audit log and from runs."
        return Reply(
            title="Forgotten",
            fallback=text,
            status=Status.OK,
            elements=(
                Paragraph(text),
                Note("The chain holds. What people typed, and what stands in Slack, is as it was."),
            ),
            data={"id": found, "names": count},
        )
