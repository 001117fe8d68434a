"""`/maint oncall`: who is on call now and next, and who stands in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from commands.command import ActorKind, Command, Group, Progress, Request, Services
from commands.moments import moment_to_come
from commands.needs import Needs
from commands.reply import Element, Note, Paragraph, Reply, Span, moment, strong
from commands.rights import check_everywhere
from commands.words import quoted
from runbooks.errors import MaintError, Refused, UsageError
from runbooks.nearest import nearest
from runbooks.records import overrides
from runbooks.steps.holders import is_person
from runbooks.watch.rotations import Override, Rotation, Shift, on_call, shifts
from runbooks.watch.stand_ins import stand_down, stand_in

OVERRIDE, OFF, UNTIL, FROM = "override", "off", "until", "from"
_MENTION = re.compile(r"<@(?P<id>[UW][A-Z0-9]+)(?:\|[^>]*)?>")


class OnCall(Command):
    """Shows the rotations of maint.yaml, and lets people stand in."""

    word = "oncall"
    summary = "Who is on call now and next"
    usage = "[ROTATION | override ROTATION USER until WHEN [from WHEN] | override ROTATION off]"
    about = (
        "Shows who is on call in each rotation of maint.yaml, until when, and who comes next. With override "
        "somebody stands in until then (18:00, tomorrow 9:00, Monday 8:00, 2026-12-27 9:00, 8h, 3d, on the "
        "clocks of the rotation's zone); with off the last one who was to stand in does not. Seeing it takes "
        "any grant; changing it one of the word oncall for every environment: an escalation may ask who is "
        "on call for approvals as well."
    )
    examples = (
        ("oncall", "every rotation"),
        ("oncall override ops U0123ABCD until Monday 8:00", "that person stands in until then"),
        ("oncall override ops off", "and does not any more"),
    )
    needs = Needs.BUSINESS  # changing who is on call asks for the word
    group = Group.LOOK

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or what was changed."""
        if not request.access.grants:
            raise Refused(f"{request.actor.name} has no grant here, and so may not see who is on call.")
        if not services.rotations:
            raise UsageError("maint.yaml has no rotation yet: docs/escalation.md shows how.")
        if words and words[0].casefold() == OVERRIDE:
            return await self._override(request, words[1:], services)
        names = [_found(word, services.rotations) for word in words] or sorted(services.rotations)
        return await self._listed(request, names, services)

    async def _listed(self, request: Request, names: Sequence[str], services: Services) -> Reply:
        now = services.now()
        coming = await services.records.read(partial(overrides.coming, now=now))
        elements: list[Element] = []
        called = await _names(request, services, names, coming)
        data: list[dict[str, object]] = []
        now_there: list[str] = []
        for name in names:
            rotation, said = services.rotations[name], coming.get(name, ())
            first, then = shifts(rotation, now, said, count=2)
            elements.append(Paragraph((strong(name), *_now(first, called), *_then(then, called))))
            elements += [
                Note(_stand_in(each, called)) for each in (*rotation.stand_ins(), *said) if each.until > now
            ]
            data.append({"rotation": name, "now": _data(first), "next": _data(then)})
            now_there.append(f"{name}: {_called(first.person, called)}")
        fallback = f"On call: {', '.join(now_there)}"
        return Reply(title="On call", fallback=fallback, elements=tuple(elements), data={"rotations": data})

    async def _override(self, request: Request, words: Sequence[str], services: Services) -> Reply:
        check_everywhere(request, self.word)
        usage = f"{request.program} oncall override ROTATION USER until WHEN [from WHEN]"
        if len(words) < 2:
            raise UsageError(usage)
        name = _found(words[0], services.rotations)
        rotation, now = services.rotations[name], services.now()
        coming = (await services.records.read(partial(overrides.coming, now=now))).get(name, ())
        if len(words) == 2 and words[1].casefold() == OFF:
            return await self._stand_down(request, name, coming, services)
        person = await _person(request, words[1])
        since, until = _span(words[2:], rotation, now, usage)
        whose = on_call(rotation, since, coming).person
        work = partial(
            stand_in,
            rotation=name,
            person=person,
            since=since,
            until=until,
            by=request.by,
            at=now,
            instead_of=whose,
        )
        await services.records.write(work)
        reply = await self._listed(request, [name], services)
        return _with(reply, f"{person} stands in for {whose}, until {moment(until).text}.")

    async def _stand_down(
        self, request: Request, name: str, coming: Sequence[Override], services: Services
    ) -> Reply:
        if not coming:
            raise UsageError(f"Nobody stands in in {name}; what maint.yaml says is changed there.")
        last = coming[-1]
        work = partial(stand_down, rotation=name, override=last, by=request.by, at=services.now())
        if not await services.records.write(work):
            raise UsageError(f"Somebody else just said that {last.person} does not stand in.")
        reply = await self._listed(request, [name], services)
        return _with(reply, f"{last.person} does not stand in any more.")


def _found(word: str, rotations: Mapping[str, Rotation]) -> str:
    if word.casefold() in rotations:
        return word.casefold()
    meant = nearest(word, rotations)
    hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(sorted(rotations))}."
    raise UsageError(f"There is no rotation {quoted(word)}. {hint}")


async def _person(request: Request, word: str) -> str:
    found = _MENTION.fullmatch(word)
    person = found["id"] if found else word
    if not is_person(person):
        raise UsageError(
            f"{quoted(word)} is nobody: choose the name from Slack's list while typing, or give the id in "
            "their profile (U…)."
        )
    if request.actor.kind is ActorKind.SLACK and "@" not in person:
        looked = await request.look_up(person)
        if looked.refusal:
            raise UsageError(f"{person} cannot be on call: {looked.refusal}")
    return person


def _span(words: Sequence[str], rotation: Rotation, now: datetime, usage: str) -> tuple[datetime, datetime]:
    """From when until when. Raises UsageError."""
    folded = [word.casefold() for word in words]
    if not folded or folded[0] != UNTIL:
        raise UsageError(f"Say until when: {usage}")
    cut = folded.index(FROM) if FROM in folded else len(folded)
    since = moment_to_come(" ".join(words[cut + 1 :]), now, rotation.timezone) if cut < len(words) else now
    until = moment_to_come(" ".join(words[1:cut]), since, rotation.timezone)
    return since, until


async def _names(
    request: Request,
    services: Services,
    names: Sequence[str],
    coming: Mapping[str, Sequence[Override]],
) -> dict[str, str]:
    """What people are called who are on call now, or come next; an id where nobody can tell."""
    now = services.now()
    people: dict[str, str] = {}
    for name in names:
        for shift in shifts(services.rotations[name], now, coming.get(name, ()), count=2):
            people.setdefault(shift.person, shift.person)
    for person in people:
        if "@" not in person:
            try:
                people[person] = (await request.look_up(person)).name or person
            except MaintError:
                continue  # the id is as good
    return people


def _called(person: str, names: Mapping[str, str]) -> str:
    name = names.get(person, person)
    return name if name == person else f"{name} ({person})"


def _now(shift: Shift, names: Mapping[str, str]) -> Iterator[Span]:
    yield Span(f"  {_called(shift.person, names)}")
    if shift.instead_of:
        yield Span(f", in place of {shift.instead_of}{f' as {shift.by} said' if shift.by else ''},")
    yield Span(" until ")
    yield moment(shift.until)


def _then(shift: Shift, names: Mapping[str, str]) -> Iterator[Span]:
    yield Span(f"; then {_called(shift.person, names)} until ")
    yield moment(shift.until)


def _stand_in(each: Override, names: Mapping[str, str]) -> tuple[Span, ...]:
    by = f", as {each.by} said" if each.by else ", as maint.yaml says"
    who = _called(each.person, names)
    return (Span(f"{who} stands in from "), moment(each.since), Span(" until "), moment(each.until), Span(by))


def _data(shift: Shift) -> dict[str, str]:
    return {
        "person": shift.person,
        "since": shift.since.isoformat(),
        "until": shift.until.isoformat(),
        "instead_of": shift.instead_of,
    }


def _with(reply: Reply, said: str) -> Reply:
    return Reply(
        title=reply.title,
        fallback=said,
        elements=(Paragraph(said), *reply.elements),
        data=reply.data,
    )
