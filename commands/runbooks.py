"""`/maint runbooks [NAME]`: what can be run here, and what each is for."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from commands.command import Command, Group, Progress, Request, Services
from commands.given import is_needed
from commands.needs import Needs
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from commands.rights import find_runbook, runnable
from runbooks.errors import UsageError
from runbooks.spec.conditions import When
from runbooks.spec.model import show_duration
from runbooks.spec.params import Param
from runbooks.spec.runbook import Escalation, Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.targets import TargetBase

_REFERENCE = re.compile(r"\{\{\s*(?:\w+\.)*(?P<name>[\w-]+)\s*\}\}")


class Runbooks(Command):
    """Lists the runbooks that the asker may run, or shows one for people to read."""

    word = "runbooks"
    summary = "What can be run, and what it is for"
    usage = "[NAME]"
    about = (
        "Lists the runbooks that you may run from here: purpose, owner, parameters. With a name it shows "
        "that one: purpose, prerequisites, parameters, steps, success criteria, rollback, and who hears of "
        "trouble. At the terminal, maint runbooks lint looks for known traps in them, and maint runbooks "
        "test runs the tests beside them."
    )
    examples = (("runbooks", "what you may run"), ("runbooks deploy-rollout", "all about one of them"))
    instant = True
    needs = Needs.RUNBOOK
    group = Group.LOOK

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """None. Refuses more than one name."""
        if len(words) > 1:
            raise UsageError("runbooks takes one name, or none for the list.")
        return ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or the one."""
        if words:
            return explained(request.program, find_runbook(request, services, words[0]))
        return _listed(request.program, sorted(runnable(request, services).items()))


def _listed(program: str, found: list[tuple[str, Runbook]]) -> Reply:
    elements: list[Element] = [Paragraph(_brief(runbook)) for _, runbook in found]
    elements.append(Note(f"{program} runbooks NAME shows one in full, {program} plan NAME what it would do."))
    return Reply(
        title="Runbooks",
        fallback="Runbooks: " + (", ".join(name for name, _ in found) or "none"),
        elements=tuple(elements),
        data={"runbooks": [as_data(runbook) for _, runbook in found]},
    )


def _brief(runbook: Runbook) -> tuple[Span, ...]:
    owner = f"  (owner: {runbook.owner})" if runbook.owner else ""
    params = "  ".join(
        f"{name}={'…' if is_needed(param) else '[…]'}" for name, param in runbook.params.items()
    )
    pieces = [code(runbook.name), Span(f"  {_named(runbook.title)}{owner}")]
    if runbook.purpose:
        pieces.append(Span(f"\n  {runbook.purpose}"))
    if params:
        pieces.append(Span(f"\n  {params}"))
    return tuple(pieces)


def explained(program: str, runbook: Runbook) -> Reply:
    """A runbook for people to read."""
    elements: list[Element] = []
    if runbook.purpose:
        elements.append(Paragraph(runbook.purpose))
    elements += [
        *_section("Before you run it", runbook.prerequisites),
        *_section("Parameters", (_param(name, param) for name, param in runbook.params.items())),
        *_section("Steps", _steps(runbook.steps)),
        *_section("It worked when", runbook.success_criteria),
        *_section("Rollback", _steps(runbook.rollback)),
        *_section("Locks", runbook.locks),
        *_section("Trouble is told to", (_escalation(each) for each in runbook.escalation)),
    ]
    facts = [f"owner {runbook.owner}" if runbook.owner else "", PurePath(runbook.path).name]
    if runbook.timeout:
        facts.insert(1, f"at most {show_duration(runbook.timeout)}")
    elements.append(Note("  ·  ".join(fact for fact in facts if fact)))
    elements.append(Note(f"{program} plan {runbook.name} shows what it would do, and touches nothing."))
    return Reply(
        title=f"{runbook.name}: {_named(runbook.title)}",
        fallback=f"{runbook.name}: {runbook.purpose or _named(runbook.title)}",
        elements=tuple(elements),
        data=as_data(runbook),
    )


def _named(title: str) -> str:
    """A title with the names of parameters in place of their values: `Rollout of VERSION`."""
    return _REFERENCE.sub(lambda found: found["name"].upper(), title)


def _section(title: str, lines: Iterable[str]) -> tuple[Paragraph, ...]:
    text = "".join(f"\n• {line}" for line in lines)
    return (Paragraph((strong(title), Span(text))),) if text else ()


def _param(name: str, param: Param) -> str:
    facts: list[str] = [param.type]
    if param.choices:
        facts.append("one of " + ", ".join(map(str, param.choices)))
    if param.choices_from:
        facts.append(f"one of those that {param.choices_from.target} lists")
    if param.pattern:
        facts.append(f"like {param.pattern}")
    bounds = {"from": param.min, "to": param.max}
    facts += [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
    if param.secret:
        facts.append("secret")
    if param.default is not None and not param.secret:
        facts.append(f"{param.default} if not given")
    elif not is_needed(param):
        facts.append("may be left out")
    words = param.prompt or param.help
    return f"{name}: {words + ' ' if words else ''}({', '.join(facts)})"


def _steps(steps: Iterable[RunbookStep], depth: int = 0) -> Iterator[str]:
    for step in steps:
        target = step.fields.get("target")
        on = f" on {target}" if isinstance(target, str) and target != "*" else ""
        each = " for each of them" if step.for_each is not None else ""
        only = f", only when {' and '.join(step.when)} says so" if step.when else ""
        yield f"{'   ' * depth}{_named(step.title)}  ({step.kind}{on}{each}{only})"
        yield from _steps(step.steps, depth + 1)


def _escalation(each: Escalation) -> str:
    conditions = " and ".join(_condition(name, wanted) for name, wanted in each.when.items())
    page = ", who is paged" if each.page else ""
    page += f", after {show_duration(each.after)}" if each.after else ""
    note = f": {each.note}" if each.note else ""
    return f"{each.to}{page}, when {conditions}{note}"


def _condition(name: str, wanted: object) -> str:
    return f"{name} {When.model_validate(wanted).words() if isinstance(wanted, dict) else f'is {wanted}'}"


def as_data(runbook: Runbook) -> dict[str, object]:
    """A runbook for machines."""
    return {
        "name": runbook.name,
        "title": runbook.title,
        "purpose": runbook.purpose,
        "owner": runbook.owner,
        "params": {
            name: {"type": param.type, "needed": is_needed(param), "secret": param.secret}
            for name, param in runbook.params.items()
        },
        "steps": [step.id for step in runbook.steps],
        "digest": runbook.digest,
    }
