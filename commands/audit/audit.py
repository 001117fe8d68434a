"""`/maint audit …`: the log. The word after it says what to do with it; without one it is searched."""

from collections.abc import Iterable

from commands.audit.sub_word import SubWord
from commands.command import ActorKind, Command, Group, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Reply
from commands.rights import check_everywhere
from runbooks.errors import Refused, UsageError


class Audit(Command):
    """Passes on to the word that follows; what is none of them is for the first one."""

    word = "audit"
    summary = "Who asked, decided or changed what, and how it went"
    needs = Needs.BUSINESS  # of what is not theirs people see only what they were granted `audit` for
    group = Group.LOOK

    def __init__(self, search: SubWord, others: Iterable[SubWord]) -> None:
        self._search = search
        self._others = {sub.word: sub for sub in others}
        self.usage = " | ".join(
            [search.usage, *(f"{s.word} {s.usage}".strip() for s in self._others.values())]
        )
        self.about = "\n".join(
            [f"{search.summary}.", *(f"audit {s.word}: {s.summary}." for s in self._others.values())]
        )
        self.examples = tuple(
            (f"audit {typed}".strip(), effect)
            for sub in (search, *self._others.values())
            for typed, effect in sub.examples
        )

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """What the word after it answers. Raises Refused where that needs a grant which is not there."""
        sub = self._others.get(words[0].casefold()) if words else None
        if sub is None:
            return await self._search.answer(request, words, services, progress)
        check_granted(request, sub)
        return await sub.answer(request, words[1:], services, progress)


def check_granted(request: Request, sub: SubWord) -> None:
    """Raises Refused unless the person may use that word here, UsageError where it cannot be used."""
    if sub.needs is not Needs.BUSINESS and not request.access.may_use("audit"):
        raise Refused(
            f"You ({request.actor.id}) have no grant for audit here, and audit {sub.word} needs one. "
            f"{request.program} whoami shows what you may do; who looks after maint.yaml can grant it."
        )
    if sub.everywhere:
        check_everywhere(request, "audit")
    if sub.terminal_only and request.actor.kind is not ActorKind.TERMINAL:
        raise UsageError(f"audit {sub.word} writes files: use it at the terminal, as maint audit {sub.word}.")
