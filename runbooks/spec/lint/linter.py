"""Looks at a runbook with every rule, and heeds the comments that silence one."""

import re
from collections.abc import Iterable, Iterator

from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.lint.command_rules import COMMAND_RULES
from runbooks.spec.lint.database_rules import DATABASE_RULES
from runbooks.spec.lint.finding import Finding, Level, Roles, Rule, StepAt
from runbooks.spec.lint.people_rules import PEOPLE_RULES
from runbooks.spec.lint.script_lines import lines_of
from runbooks.spec.lint.step_rules import STEP_RULES
from runbooks.spec.lint.tool_rules import TOOL_RULES
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath, parse
from runbooks.spec.step_reading import GROUPS

_ALL = (*COMMAND_RULES, *DATABASE_RULES, *TOOL_RULES, *STEP_RULES, *PEOPLE_RULES)
#: Every rule by its id.
RULES: dict[str, Rule] = {rule.id: rule for rule in _ALL}

_IGNORE = re.compile(r"#\s*maint:\s*ignore\b\s*(?P<rule>[\w-]*)\s*(?P<reason>.*)")
#: The rule that a comment itself breaks.
COMMENT = "comment"


def lint(runbook: Runbook, roles: Roles | None = None) -> tuple[Finding, ...]:
    """Everything that the rules find, in the order of the file; what a comment silences says so.

    `roles`: the members of each role of maint.yaml; without them nobody is counted.
    """
    document = parse(runbook.source.encode(), runbook.path)
    found = {
        Finding(
            fault=Fault(runbook.path, mark.line, mark.column, _words(rule.happens, detail), rule.instead),
            rule=rule.id,
            level=rule.level,
        )
        for step in _steps(runbook, document, roles)
        for rule in _ALL
        for mark, detail in rule.look(step)
    }
    return tuple(sorted(_heeded(document, sorted(found))))


def _words(happens: str, detail: str) -> str:
    return f"{detail}: {happens}" if detail else happens


def _steps(runbook: Runbook, document: Document, roles: Roles | None) -> Iterator[StepAt]:
    def walk(steps: Iterable[RunbookStep], at: KeyPath, *, undoes: bool) -> Iterator[StepAt]:
        for index, step in enumerate(steps):
            place = (*at, index)
            yield made(step, place, (*place, step.kind), undoes=undoes)
            if step.rollback is not None:
                inside = (*place, "rollback")
                yield made(step.rollback, inside, (*inside, step.rollback.kind), undoes=True)
            for key in GROUPS:
                if document.get((*place, key)) is not None:
                    yield from walk(step.steps, (*place, key), undoes=undoes)

    def made(step: RunbookStep, at: KeyPath, fields_at: KeyPath, *, undoes: bool) -> StepAt:
        return StepAt(
            runbook=runbook,
            document=document,
            step=step,
            at=at,
            fields_at=fields_at,
            roles=roles,
            undoes=undoes,
            lines=tuple(lines_of(document, step, fields_at)),
        )

    yield from walk(runbook.steps, ("steps",), undoes=False)
    yield from walk(runbook.rollback, ("rollback",), undoes=True)


def _heeded(document: Document, found: list[Finding]) -> Iterator[Finding]:
    """The findings, those marked that a comment in the lines right above them silences; and what is wrong
    with such comments."""
    lines = document.text.split("\n")
    used: set[int] = set()
    for finding in found:
        reason = ""
        for number in _comments_above(lines, finding.fault.line):
            said = _IGNORE.search(lines[number - 1])
            if said and said["rule"] == finding.rule:
                used.add(number)
                reason = reason or said["reason"].strip()
        yield Finding(fault=finding.fault, rule=finding.rule, level=finding.level, silenced=reason)
    for number, line in enumerate(lines, 1):
        if said := _IGNORE.search(line):
            yield from _wrong_comment(document, number, said, used=number in used)


def _comments_above(lines: list[str], line: int) -> Iterator[int]:
    number = line - 1
    while number > 0 and lines[number - 1].lstrip().startswith("#"):
        yield number
        number -= 1


def _wrong_comment(document: Document, line: int, said: re.Match[str], *, used: bool) -> Iterator[Finding]:
    rule = said["rule"]
    message, hint = "", ""
    if rule not in RULES:
        message = f"there is no rule `{rule}`" if rule else "which rule is to be ignored?"
        hint = did_you_mean(rule, RULES) or "`# maint: ignore RULE reason`"
    elif not said["reason"].strip():
        message, hint = f"`{rule}` is ignored only with a reason", f"# maint: ignore {rule} because …"
    elif not used:
        message = f"nothing in the line below breaks `{rule}`"
        hint = "take the comment away, or put it right above the line"
    if message:
        fault = Fault(document.path, line, said.start() + 1, message, hint)
        yield Finding(fault=fault, rule=COMMENT, level=Level.WARNING)
