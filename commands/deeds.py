"""What `access explain` is asked about (`run vacuum on db`), understood, and held against grants."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from commands.command import Command, Request, Services
from commands.given import parse_given
from commands.needs import Needs
from commands.refusals import refusal
from commands.rights import runnable
from commands.words import find_target, quoted
from runbooks.access import BREAK_GLASS, Access, Touch, Verdict, touched
from runbooks.access.grants import Grant
from runbooks.access.touch import touch_of
from runbooks.errors import MaintError, UsageError
from runbooks.nearest import nearest
from runbooks.spec.placeholders import mentioned
from runbooks.spec.planned import targets_in
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.steps.action import Risk
from runbooks.targets import TargetBase

#: Words about all that runs: their grant must be for every environment.
_EVERYWHERE = ("stop", "resume")


@dataclass(frozen=True, kw_only=True)
class Deed:
    """A word with what it is used on. `said`: in words; `command` is none for breaking the glass."""

    word: str
    said: str
    command: Command | None = None
    runbook: str = ""
    touches: frozenset[Touch] = field(default=frozenset())

    @property
    def free(self) -> bool:
        """Whether it needs no grant of its word: it shows one's own, or a gate names who may."""
        return self.command is not None and self.command.everyone

    def is_of(self, grant: Grant) -> bool:
        """Whether a grant is about it, as what allows or as what denies."""
        if self.runbook and grant.names_runbook(self.runbook):
            return True
        # What is granted with runbooks can be denied as a word, and not granted as one.
        return grant.names_command(self.word) and (grant.deny or not (self.runbook or self.free))

    def verdict(self, access: Access) -> Verdict:
        """Whether it is allowed to somebody with that access, where that is."""
        if self.command is not None and self.command.needs is Needs.NOTHING:
            return Verdict(allowed=True)
        if denial := access.denial(self.word):
            return Verdict(allowed=False, grant=denial, missing=(f"{denial.place} denies it",))
        if self.free:
            return Verdict(allowed=True)
        if self.runbook:
            return access.may_run(self.runbook, self.touches)
        return access.judge_command(self.word, self.touches)

    def line(self) -> str:
        """A grant of it, as it is written in maint.yaml."""
        what = f"runbooks: [{self.runbook}]" if self.runbook else f"commands: [{self.word}]"
        return f"- {{role: ROLE, {what}}}"


def is_word(word: str, services: Services) -> bool:
    """Whether it can be asked about."""
    return word.casefold() in services.commands or word.casefold() == BREAK_GLASS


async def understood(request: Request, words: tuple[str, ...], services: Services) -> Deed:
    """What the words mean. Raises UsageError with the nearest that who asks may see."""
    word, rest = words[0].casefold(), words[1:]
    command = services.commands.get(word)
    if command is None and word != BREAK_GLASS:
        usable = [name for name, each in services.commands.items() if not refusal(request, each)]
        meant = nearest(word, usable)
        hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(usable)}."
        raise UsageError(f"There is no command {quoted(words[0])} to explain. {hint}")
    if command is not None and command.by_runbook:
        return await _of_runbook(request, command, rest, services)
    if command is not None and command.everyone:
        return Deed(word=word, said=word, command=command)
    if word in _EVERYWHERE:
        return Deed(word=word, said=f"{word} everything", command=command, touches=frozenset({Touch()}))
    named = [_target(request, services, each) for each in rest if each.casefold() != "on"]
    where = f" on {', '.join(target.name for target in named)}" if named else ""
    touches = frozenset(touch_of(target.name, Risk.READ, services.targets) for target in named)
    return Deed(word=word, said=f"{word}{where}", command=command, touches=touches)


async def _of_runbook(request: Request, command: Command, rest: tuple[str, ...], services: Services) -> Deed:
    if not rest:
        raise UsageError(f"Name the runbook: access explain {command.word} RUNBOOK [on TARGET …]")
    found = services.runbooks.get(rest[0].casefold())
    if found is None:
        meant = nearest(rest[0], runnable(request, services))
        hint = f" Did you mean {meant}?" if meant else ""
        raise UsageError(f"There is no runbook {quoted(rest[0])}.{hint}")
    given = tuple(each for each in rest[1:] if "=" in each)
    named = [
        _target(request, services, each).name
        for each in rest[1:]
        if "=" not in each and each.casefold() != "on"
    ]
    touches = await _planned(services, found, given) if given else None
    if touches is None:
        touches = frozenset(_by_file(found, services.targets, named))
    where = f" on {', '.join(named)}" if named else ""
    return Deed(
        word=command.word,
        said=f"{command.word} {found.name}{where}",
        command=command,
        runbook=found.name,
        touches=touches,
    )


def _target(request: Request, services: Services, word: str) -> TargetBase:
    """The target of that name. Raises UsageError with the names that who asks may see."""
    try:
        return find_target(word, services.targets)
    except UsageError:
        sees = request.access.sees
        find_target(word, {n: each for n, each in services.targets.items() if sees(each.environment, n)})
        raise


async def _planned(services: Services, runbook: Runbook, given: tuple[str, ...]) -> frozenset[Touch] | None:
    """What it touches with those parameters; None when it cannot be planned with them."""
    try:
        plan = await services.runs.plan(runbook.name, parse_given(given))
    except MaintError:
        return None
    return touched(plan.as_json(), services.targets)


def _by_file(runbook: Runbook, targets: Mapping[str, TargetBase], named: list[str]) -> Iterator[Touch]:
    """What it touches as far as its file says; where that depends on parameters, what was named."""
    for step in _all([*runbook.steps, *runbook.rollback]):
        risk = getattr(step.sample, "risk", Risk.READ)
        target = step.fields.get("target")
        if mentioned(target):
            yield from (touch_of(name, risk, targets) for name in named)
            if not named:
                yield Touch(risk=risk)
        else:
            yield touch_of(str(target or ""), risk, targets)
        for name in targets_in(step.model, dict(step.fields), targets):
            yield touch_of(name, Risk.READ, targets)
    for lock in runbook.locks:
        if mentioned(lock):
            yield from (touch_of(name, Risk.READ, targets) for name in named)
        elif lock in targets:
            yield touch_of(lock, Risk.READ, targets)


def _all(steps: Iterable[RunbookStep]) -> Iterator[RunbookStep]:
    for step in steps:
        yield step
        yield from _all([*step.steps, *([step.rollback] if step.rollback else [])])
