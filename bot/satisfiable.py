"""Rules that nobody could ever keep: approvals that take more people than there are.

A usergroup may have any number of members, so what names one is enough for all that is known here.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from runbooks.access.grants import matches
from runbooks.errors import Fault
from runbooks.spec.placeholders import mentioned
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath
from runbooks.steps.gate import Gate
from runbooks.steps.holders import listed, most_people
from runbooks.steps.rollout import Rollout

#: How many people approve where that is not said.
_DEFAULT = 1


def stuck_grants(document: Document) -> Iterator[Fault]:
    """Grants whose `approval` nobody can give."""
    for grant in _grants(document):
        approval: KeyPath = (*grant, "approval")
        by, people = document.get((*approval, "by")), document.get((*approval, "people"))
        if not isinstance(by, list) or (people is not None and not isinstance(people, int)):
            continue  # said already
        asking = (
            _members(document, [document.get((*grant, "role"))])
            if grant[0] == "grants"
            else _logins(document)
        )
        if why := _stuck(document, by, people or _DEFAULT, asking):
            yield document.fault(approval, f"nobody can approve what this grant lets people ask for: {why}")


def stuck_gates(document: Document, runbook: Runbook) -> Iterator[Fault]:
    """Gates of a runbook that nobody can open, whoever of those who may asks for the run."""
    asking = _askers(document, runbook.name)
    for step in _all([*runbook.steps, *runbook.rollback]):
        gate = _gate(step)
        if gate is None:
            continue
        names = [*gate.approvers, *([gate.then] if gate.then else [])]
        others = None if gate.requester_may_approve else asking
        if why := _stuck(document, names, gate.quorum, others):
            hint = "name more approvers, or a usergroup"
            yield Fault(runbook.path, step.line, 0, f"nobody can pass the gate `{step.id}`: {why}", hint)


def _stuck(document: Document, names: Iterable[Any], quorum: int, asking: frozenset[str] | None) -> str:
    """Why so many of these people can never approve; empty when they may. `asking`: who may ask for it, and
    so not approve it; None when that may be anybody."""
    names = [name for name in names if isinstance(name, str)]
    people = _members(document, names)
    if people is None or not people:
        return ""  # any number of people, or a role that there is not, which is said elsewhere
    said = f"{quorum} of {listed(names)} must, and {'that is' if len(people) == 1 else 'those are'}"
    count = "1 person" if len(people) == 1 else f"{len(people)} people"
    if len(people) < quorum:
        return f"{said} {count}"
    if asking and all(len(people - {who}) < quorum for who in asking):
        return f"{said} {count}, of whom whoever may ask for it may not approve it"
    return ""


def _members(document: Document, names: Iterable[Any]) -> frozenset[str] | None:
    """The people that these roles, ids and addresses are; None when a usergroup is among them."""
    found: set[str] = set()
    for name in names:
        members = document.get(("roles", name, "members"))
        if isinstance(members, list):
            found |= {member for member in members if isinstance(member, str)}
        elif not document.get(("roles", name)) and most_people([str(name)]) is not None:
            found.add(str(name))
        elif str(name).startswith(("@", "S")):
            return None
    return frozenset(found) if most_people(found) is not None else None


def _askers(document: Document, runbook: str) -> frozenset[str] | None:
    """Who may ask for runs of it, by all that is known; None when that may be anybody."""
    found = set(_logins(document))
    for grant in _grants(document):
        patterns = document.get((*grant, "runbooks"))
        named = (
            tuple(each for each in patterns if isinstance(each, str)) if isinstance(patterns, list) else ()
        )
        if grant[0] != "grants" or document.get((*grant, "deny")) is True or not matches(named, runbook):
            continue
        members = _members(document, [document.get((*grant, "role"))])
        if members is None:
            return None
        found |= members
    return frozenset(found)


def _logins(document: Document) -> frozenset[str]:
    """Whom people at the terminal ask as."""
    logins = document.get(("logins",))
    values = logins.values() if isinstance(logins, dict) else ()
    return frozenset(value for value in values if isinstance(value, str))


def _grants(document: Document) -> Iterator[KeyPath]:
    for key in ("grants", "terminal"):
        written = document.get((key,))
        yield from ((key, index) for index in range(len(written) if isinstance(written, list) else 0))


def _all(steps: Iterable[RunbookStep]) -> Iterator[RunbookStep]:
    for step in steps:
        yield step
        yield from _all([*step.steps, *([step.rollback] if step.rollback else [])])


def _gate(step: RunbookStep) -> Gate | None:
    """The gate of a step whose people are written out."""
    sample = step.sample
    if isinstance(sample, Gate):
        return None if mentioned(step.fields) else sample
    if isinstance(sample, Rollout) and sample.between and not mentioned(step.fields.get("between")):
        return sample.between.gate
    return None
