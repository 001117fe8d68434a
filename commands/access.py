"""`/maint access explain [USER] ACTION…`: what somebody may do, and which line of maint.yaml says so."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from commands.command import ActorKind, Command, Group, Looked, Progress, Request, Services
from commands.deeds import Deed, is_word, understood
from commands.needs import Needs
from commands.reply import Element, Note, Paragraph, Reply, Span, strong
from commands.whoami import grant_line
from runbooks.access import DIRECT, TERMINAL, Access, Place, Verdict
from runbooks.access.access import holds_at
from runbooks.access.grants import AT_TERMINAL, Grant
from runbooks.errors import Refused, UsageError

EXPLAIN = "explain"
_MENTION = re.compile(r"<@(?P<id>[UW][A-Z0-9]+)(?:\|[^>]*)?>|(?P<bare>[UW][A-Z0-9]{2,})")
#: A channel that maint.yaml does not name.
_OTHER = Place(id="any other channel")
#: Where somebody in Slack is who is asked about at the terminal.
_NOWHERE = Place(id="")


class AccessCommand(Command):
    """Says whether somebody may do something, from where, by which grant, and else what is missing."""

    word = "access"
    summary = "Why you, or somebody else, may do something or may not"
    usage = "explain [USER] ACTION…"
    about = (
        "Says whether an action is allowed or not, by which line of maint.yaml, from which channels, and "
        "what is missing. Without USER it is about you; about somebody else it tells those who were granted "
        "the word `access`. ACTION is what would be typed: a word, a runbook, and `on` the targets. At the "
        "terminal USER is a Slack id or a login name."
    )
    examples = (
        ("access explain run deploy-rollout on app", "whether you may run it there"),
        ("access explain U0123ABCD health", "the same for somebody else, of another word"),
    )
    needs = Needs.NOTHING
    group = Group.ABOUT

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The answer, about who was named or who asks."""
        program = request.program
        usage = f"{program} access explain [USER] ACTION…, as in: access explain run NAME on TARGET"
        if not words or words[0].casefold() != EXPLAIN:
            raise UsageError(usage)
        user, action = _split(request, words[1:], services)
        if not action:
            raise UsageError(usage)
        who = Looked(name=request.actor.name, access=request.access)
        if user and user not in (request.actor.id, request.actor.name):
            if user != request.actor.acts_as and not request.access.may_use(self.word):
                raise Refused(
                    f"You ({request.actor.id}) may ask about yourself. What somebody else may do is told "
                    f"to those who were granted the word {self.word}."
                )
            who = await request.look_up(user)
        deed = await understood(request, action, services)
        return _Explanation(request=request, who=who, deed=deed).reply(services)


def _split(request: Request, words: tuple[str, ...], services: Services) -> tuple[str, tuple[str, ...]]:
    """Whom it is about, empty for who asks, and the action."""
    if not words:
        return "", ()
    if found := _MENTION.fullmatch(words[0]):
        return found["id"] or found["bare"], words[1:]
    if words[0].casefold() == "me":
        return "", words[1:]
    if words[0].startswith("@"):
        raise UsageError(
            f"Slack did not say who {words[0]} is: choose the name from its list while typing, or give the "
            "id in their profile (U…)."
        )
    is_login = request.actor.kind is ActorKind.TERMINAL and not is_word(words[0], services) and len(words) > 1
    return (words[0], words[1:]) if is_login else ("", words)


@dataclass(frozen=True, kw_only=True)
class _Explanation:
    """One person and one deed."""

    request: Request
    who: Looked
    deed: Deed

    def reply(self, services: Services) -> Reply:
        """What is read."""
        here = self._here()
        places = {name: self._at(place) for name, place in self._places(services)}
        allowed = [name for name, verdict in places.items() if verdict.allowed]
        verdict = here or next((each for each in places.values() if each.allowed), None)
        verdict = verdict or next(iter(places.values()))
        yes = verdict.allowed and not self.who.refusal
        elements: list[Element] = [
            Paragraph((strong(self.who.name), Span(f" {self._outcome(verdict, here)}"))),
            *self._from(allowed),
            *map(Paragraph, self._considered()),
            *map(Note, self._missing(verdict, services)),
        ]
        title = "Allowed" if yes else "Not allowed"
        return Reply(
            title=f"{title}: {self.deed.said}",
            fallback=f"{title}: {self.who.name} {self._outcome(verdict, here)}",
            elements=tuple(elements),
            data={
                "who": self.who.name,
                "action": self.deed.said,
                "allowed": yes,
                "by": verdict.grant.place if verdict.grant else "",
                "from": [] if self.who.refusal else allowed,
                "approval": verdict.approval.words() if yes and verdict.approval else "",
                "missing": list(verdict.missing),
                "unknown": list(self.who.unknown),
            },
        )

    @property
    def _access(self) -> Access:
        return self.who.access

    @property
    def _of_terminal(self) -> bool:
        return self._access.place.id == TERMINAL

    def _at(self, place: Place) -> Verdict:
        return self.deed.verdict(self._access.elsewhere(place))

    def _here(self) -> Verdict | None:
        """Of somebody in Slack who is asked about at the terminal, no place is here."""
        return self._at(self._access.place) if self._access.place != _NOWHERE else None

    def _places(self, services: Services) -> Iterator[tuple[str, Place]]:
        if self._of_terminal:
            yield "the terminal", self._access.place
            return
        for name, id_ in services.channels.items():
            yield f"#{name}", Place(id=id_, aliases=frozenset({name}))
        written = {name for grant in self._access.all for name in grant.channels}
        for id_ in sorted(written - {DIRECT, "*", TERMINAL, *services.channels, *services.channels.values()}):
            if "*" not in id_:
                yield id_, Place(id=id_)
        yield "direct messages", Place(id=DIRECT, direct=True)
        yield _OTHER.id, _OTHER

    def _outcome(self, verdict: Verdict, here: Verdict | None) -> str:
        """`may run deploy here: maint.yaml:12 allows it, after 1 of sre approved it.`"""
        if self.who.refusal:
            return f"may do nothing: {self.who.refusal}"
        where = " here" if here is not None else " from some channel" if verdict.allowed else " anywhere"
        if not verdict.allowed:
            why = "; ".join(verdict.missing) or "no grant of theirs is about it"
            return f"may not {self.deed.said}{where}: {why}."
        if verdict.grant is None:
            needs = "it needs no grant; a gate or the run itself says who may"
            shows = "it needs no grant; it shows one's own"
            about = self.deed.command is not None and self.deed.command.group is Group.ABOUT
            return f"may {self.deed.said}{where}: {shows if about else needs}."
        after = f", {verdict.approval.words()}" if verdict.approval else ""
        return f"may {self.deed.said}{where}: {verdict.grant.place} allows it{after}."

    def _from(self, allowed: list[str]) -> tuple[Paragraph, ...]:
        if self.who.refusal:
            return ()
        return (Paragraph((strong("From: "), Span(", ".join(allowed) or "nowhere"))),)

    def _considered(self) -> Iterator[str]:
        """Each grant of theirs that is about it, and what it comes to."""
        for grant in self._access.grants:
            if not self.deed.is_of(grant):
                continue
            yield f"{grant_line(grant)}: {_comes_to(grant, self.deed, self._access)}"

    def _missing(self, verdict: Verdict, services: Services) -> Iterator[str]:
        """What would allow it, and what could not be found out."""
        if not verdict.allowed and not verdict.denied and not self.who.refusal:
            others = [grant for grant in self._access.all if self._would_allow(grant)]
            for grant in others:
                yield f"The role {grant.role} would allow it: {grant.place}."
            if not others:
                yield f"No line of maint.yaml allows it to anybody. One like this would: `{self._line()}`."
        yield from (f"Not looked up: {unknown}." for unknown in self.who.unknown)

    def _line(self) -> str:
        line = self.deed.line()
        return line.replace("role: ROLE", f"users: [{self.who.name}]") if self._of_terminal else line

    def _would_allow(self, grant: Grant) -> bool:
        if grant.deny or grant in self._access.grants or (grant.role == AT_TERMINAL) != self._of_terminal:
            return False
        place = self._access.place
        if place != _NOWHERE and not holds_at(grant, place):
            return False
        place = place if place != _NOWHERE else _channel_of(grant)
        return self.deed.verdict(Access(self._access.roles | {grant.role}, self._access.all, place)).allowed


def _channel_of(grant: Grant) -> Place:
    """A place from which the grant holds."""
    name = grant.channels[0]
    return Place(id=name.removesuffix("*") or _OTHER.id, direct=name == DIRECT)


def _comes_to(grant: Grant, deed: Deed, access: Access) -> str:
    place = access.place
    if place != _NOWHERE and not holds_at(grant, place):
        return f"holds only from {', '.join(grant.channels)}"
    if grant.deny:
        denies = grant.whole or any(grant.denies(touch) for touch in deed.touches)
        return "denies it" if denies else "does not touch it"
    lacking = sorted({lack for touch in deed.touches if (lack := grant.lacks(touch))})
    return "; ".join(lacking) if lacking else "allows it"
