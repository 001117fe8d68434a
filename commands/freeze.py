"""`/maint freeze on prod until Monday 8:00 because launch`: nothing risky begins there until then."""

from collections.abc import Iterable

from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import said
from commands.moments import local, moment_to_come
from commands.needs import Needs
from commands.reply import Element, Note, Paragraph, Reply, Span, code, moment, strong
from commands.rights import check_everywhere, check_word
from commands.words import counted, quoted
from runbooks.access import Touch
from runbooks.errors import Refused, UsageError
from runbooks.ids import new_id
from runbooks.nearest import nearest
from runbooks.records.freezes import EVERYTHING, Freeze
from runbooks.targets import TargetBase

_USAGE = "[on TARGET|ENVIRONMENT|everything until WHEN because …] | off [ID]"
#: Letters of a freeze's id that people type.
SHORT = 6


class FreezeCommand(Command):
    """Keeps changes from beginning for a while."""

    word = "freeze"
    summary = "Let nothing risky begin for a while"
    usage = _USAGE
    about = (
        "While something is frozen, no run with a step of risk medium or high begins on it, a run under way "
        "waits before such a step, and nothing that changes it begins on a schedule. Checks go on, and what "
        "was done can always be rolled back. It ends by itself, or with off, and shows on every card that it "
        "touches."
    )
    examples = (
        ("freeze", "what is frozen"),
        ("freeze on production until Monday 8:00 because launch", "everything in that environment"),
        ("freeze on app until 2h because we look for the leak", "one target"),
        ("freeze off", "ends the one that there is; else name it, as the list does"),
    )
    needs = Needs.BUSINESS  # changing asks for a grant of the word
    group = Group.RUN

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or the change."""
        seen = [each for each in await services.runs.freezes() if _is_seen(request, services, each)]
        if not words or words[0].casefold() == "list":
            return _listed(request, seen)
        check_word(request, self.word)
        if words[0].casefold() == "off":
            freeze = _named(request, seen, words[1:])
            _check(request, services, freeze)
            return said(await services.runs.unfreeze(freeze.id, request.by, " ".join(words[2:])))
        if words[0].casefold() != "on":
            raise UsageError(f"{request.program} freeze {_USAGE}")
        what, when, reason = _parts(request, words[1:])
        freeze = _understood(request, services, what, when)
        _check(request, services, freeze)
        return said(await services.runs.freeze(freeze, request.by, reason))


def _parts(request: Request, words: tuple[str, ...]) -> tuple[list[str], str, str]:
    """What is to be frozen, until when, and why. Raises UsageError."""
    folded = [word.casefold() for word in words]
    usage = f"{request.program} freeze on TARGET|ENVIRONMENT|everything until Monday 8:00 because launch"
    if "until" not in folded:
        raise UsageError(f"Say until when: {usage}")
    until = folded.index("until")
    because = folded.index("because") if "because" in folded else len(words)
    what = [name for word in words[:until] for name in word.split(",") if name and name.casefold() != "and"]
    reason = " ".join(words[because + 1 :]).strip()
    if not what or because < until:
        raise UsageError(f"Say what: {usage}")
    if not reason:
        raise UsageError(f"Say why: {usage}")
    return what, " ".join(words[until + 1 : because]), reason


def _understood(request: Request, services: Services, what: list[str], when: str) -> Freeze:
    places = {target.environment for target in services.targets.values()}
    targets: list[str] = []
    environments: list[str] = []
    for word in what:
        name = word.casefold()
        if name in ("everything", "all", EVERYTHING):
            targets.append(EVERYTHING)
        elif found := next((each for each in services.targets if each.casefold() == name), None):
            targets.append(found)
        elif found := _environment(name, places):
            environments.append(found)
        else:
            seen = [
                name for name, each in services.targets.items() if request.access.sees(each.environment, name)
            ]
            meant = nearest(name, [*seen, *(services.targets[each].environment for each in seen)])
            hint = f"Did you mean {meant}?" if meant else "Name targets, environments, or everything."
            raise UsageError(f"There is no target and no environment {quoted(word)}. {hint}")
    now = services.now()
    return Freeze(
        id=new_id(),
        targets=tuple(dict.fromkeys(targets)),
        environments=tuple(dict.fromkeys(environments)),
        since=now,
        until=moment_to_come(when, now, request.timezone),
        reason="",
        by_id=request.by.id,
        by_name=request.by.name,
    )


def _environment(name: str, places: Iterable[str]) -> str | None:
    """The environment of that name; `prod` is production where only that begins so."""
    exact = [place for place in places if place.casefold() == name]
    begins = [place for place in places if len(name) >= 3 and place.casefold().startswith(name)]
    return exact[0] if exact else begins[0] if len(begins) == 1 else None


def _check(request: Request, services: Services, freeze: Freeze) -> None:
    """Raises Refused unless the word is granted for all that it is about."""
    if EVERYTHING in freeze.targets:
        check_everywhere(request, "freeze")
        return
    touches = {
        Touch(target=each.name, environment=each.environment)
        for each in _about(services.targets.values(), freeze)
    }
    touches |= {Touch(environment=place) for place in freeze.environments}
    if not request.access.judge_command("freeze", touches).allowed:
        raise Refused(
            f"You may not freeze {freeze.where} here, nor end that: it needs a grant of "
            f"freeze for all of it. {request.program} whoami shows yours."
        )


def _about(targets: Iterable[TargetBase], freeze: Freeze) -> list[TargetBase]:
    return [
        each for each in targets if each.name in freeze.targets or each.environment in freeze.environments
    ]


def _is_seen(request: Request, services: Services, freeze: Freeze) -> bool:
    if EVERYTHING in freeze.targets:
        return True
    sees = request.access.sees
    return any(sees(each.environment, each.name) for each in _about(services.targets.values(), freeze))


def _named(request: Request, seen: list[Freeze], words: tuple[str, ...]) -> Freeze:
    if not seen:
        raise UsageError("Nothing is frozen.")
    if not words and len(seen) == 1:
        return seen[0]
    found = [each for each in seen if words and len(words[0]) >= 4 and each.id.endswith(words[0].casefold())]
    if len(found) != 1:
        listed = ", ".join(f"{each.id[-SHORT:]} ({each.where})" for each in seen)
        raise UsageError(f"Which one? {request.program} freeze off ID. There are: {listed}.")
    return found[0]


def _listed(request: Request, seen: list[Freeze]) -> Reply:
    elements: list[Element] = [
        Paragraph(
            (
                strong(each.where),
                Span("  until "),
                moment(each.until),
                Span(f"  ·  {each.by_name}: {each.reason}  ·  "),
                code(each.id[-SHORT:]),
            )
        )
        for each in seen
    ]
    if not seen:
        elements.append(Paragraph("Nothing is frozen."))
    else:
        elements.append(Note(f"{request.program} freeze off {seen[0].id[-SHORT:]} ends the first."))
    return Reply(
        title="Freezes",
        fallback=f"{counted(len(seen), 'freeze')}",
        elements=tuple(elements),
        data={
            "freezes": [
                {
                    "id": each.id,
                    "targets": list(each.targets),
                    "environments": list(each.environments),
                    "until": each.until.isoformat(),
                    "until_local": local(each.until, request.timezone),
                    "reason": each.reason,
                    "by": each.by_name,
                }
                for each in seen
            ]
        },
    )
