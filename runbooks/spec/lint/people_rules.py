"""Policies that nobody can satisfy."""

from collections.abc import Iterable, Iterator

from runbooks.spec.lint.finding import Found, Level, Roles, Rule, StepAt
from runbooks.spec.placeholders import mentioned
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import KeyPath
from runbooks.steps.action import Action
from runbooks.steps.gate import Gate
from runbooks.steps.holders import most_people
from runbooks.steps.rollout import Rollout


def _gates(at: StepAt) -> Iterator[tuple[Gate, KeyPath]]:
    """The gates of the step whose approvers are written out."""
    sample, fields = at.step.sample, at.step.fields
    if isinstance(sample, Gate) and not mentioned(fields):
        yield sample, ()
    elif isinstance(sample, Rollout) and sample.between and not mentioned(fields.get("between")):
        yield sample.between.gate, ("between", "gate")


def _people(gate: Gate, roles: Roles) -> frozenset[str] | None:
    """Who may approve at most; None when that cannot be counted."""
    named = [*gate.approvers, *([gate.then] if gate.then else [])]
    people = frozenset(_members(named, roles))
    return people if most_people(people) is not None else None


def _members(names: Iterable[str], roles: Roles) -> Iterator[str]:
    for name in names:
        yield from roles.get(name, (name,))


def _too_few(at: StepAt) -> Iterator[Found]:
    for gate, inside in _gates(at):
        people = _people(gate, at.roles) if at.roles is not None else None
        if people is not None and len(people) < gate.quorum:
            yield at.mark(*inside), f"{gate.quorum} of {', '.join(gate.approvers)}"


def _stuck_for_some(at: StepAt) -> Iterator[Found]:
    for gate, inside in _gates(at):
        people = _people(gate, at.roles or {})
        if people is None or len(people) < gate.quorum:
            continue
        named = Gate(
            approvers=tuple(sorted(people)),
            quorum=gate.quorum,
            requester_may_approve=gate.requester_may_approve,
        )
        stuck = [person for person in sorted(people) if named.stuck_for(person)]
        if stuck:
            yield at.mark(*inside), f"a run that {' or '.join(stuck)} asks for"


def _no_such_role(at: StepAt) -> Iterator[Found]:
    for gate, inside in _gates(at):
        for name in (*gate.approvers, *([gate.then] if gate.then else [])):
            is_role = name[:1].islower() and "@" not in name
            if at.roles is not None and is_role and name not in at.roles:
                yield at.mark(*inside), f"`{name}`"


def _alone(at: StepAt) -> Iterator[Found]:
    sample = at.step.sample
    if at.undoes or not isinstance(sample, Action) or not sample.people:
        return
    gates = [step.sample for step in _before(at.runbook.steps, at.step) if isinstance(step.sample, Gate)]
    if max((gate.quorum for gate in gates), default=0) < sample.people:
        yield at.mark(), f"`{at.step.id}`"


def _before(steps: Iterable[RunbookStep], step: RunbookStep) -> Iterator[RunbookStep]:
    """Those that come before it, in groups too."""
    flat = list(_flat(steps))
    for each in flat[: next((n for n, each in enumerate(flat) if each is step), len(flat))]:
        # What may be skipped lets nobody decide.
        if not each.when or each.when == step.when:
            yield each


def _flat(steps: Iterable[RunbookStep]) -> Iterator[RunbookStep]:
    for step in steps:
        yield step
        yield from _flat(step.steps)


PEOPLE_RULES = (
    Rule(
        id="too-few-people",
        level=Level.ERROR,
        happens="it keeps everybody out, and two people have to say yes to that: its plan is refused",
        instead="a `gate` before it with `quorum: 2`; or the way that keeps nobody out",
        look=_alone,
    ),
    Rule(
        id="gate-too-few",
        level=Level.ERROR,
        happens="there are not that many people, so it can never be approved",
        instead="a smaller `quorum:`, more members of the role, or another role",
        look=_too_few,
    ),
    Rule(
        id="gate-own",
        level=Level.WARNING,
        happens="cannot be approved by enough others",
        instead="one more approver, or `requester_may_approve: true` where that is allowed",
        look=_stuck_for_some,
    ),
    Rule(
        id="gate-no-role",
        level=Level.ERROR,
        happens="maint.yaml has no such role, so nobody holds it",
        instead="a role under `roles:`, a user id, a usergroup or an e-mail address",
        look=_no_such_role,
    ),
)
