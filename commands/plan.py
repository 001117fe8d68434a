"""`/maint plan RUNBOOK key=value …`: what would happen, without touching anything."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from commands.command import Command, Group, Progress, Request, Services
from commands.given import FormNeeded, check_typed, parse_given, secrets_in
from commands.needs import Needs
from commands.reply import Element, Fields, Listing, Note, Paragraph, Reply, Span, code, strong
from commands.rights import approval_of, check_plan, find_runbook, short
from commands.sole_targets import with_sole_targets
from commands.times import ago, clock
from commands.words import counted
from runbooks.engine.brakes import windowed
from runbooks.errors import UsageError
from runbooks.records.runs import LockRow
from runbooks.spec.params import ParamFaults, parse_params
from runbooks.spec.plan import Plan as Planned
from runbooks.spec.planned import PlannedStep
from runbooks.spec.runbook import Runbook, Window
from runbooks.steps.action import Preview, Risk
from runbooks.steps.choices import look_up_choices
from runbooks.watch.fire_times import opening

#: Seconds that an endpoint of choices gets to answer.
LOOK_UP = 5.0
#: Lines of a step on the card; all of them are in the details.
MOST_LINES = 4


class Plan(Command):
    """Shows a runbook with everything filled in."""

    word = "plan"
    summary = "What a runbook would do; nothing is touched"
    usage = "RUNBOOK [key=value …]"
    about = (
        "Shows every step with its values filled in: targets, commands, gates, risk, the locks that it would "
        "take and who holds them now, what a rollback would do, and the digest of all that, which is what "
        "people approve. Nothing is touched, and nothing is started."
    )
    examples = (
        ("plan deploy-rollout target=app version=1.2.3", "what that rollout would do"),
        (
            'plan restart-service host=web-1 service=app.service reason="hangs since 14:00"',
            "a value with spaces stands in quotes",
        ),
    )
    needs = Needs.RUNBOOK
    group = Group.RUN

    def hidden(self, words: tuple[str, ...], services: Services) -> tuple[str, ...]:
        """The values of secret parameters."""
        return secrets_in(words[1:], services.runbooks.get(words[0].casefold()) if words else None)

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The plan."""
        runbook, typed = understood(request, words, services, self.word)
        given = with_sole_targets(request, services, runbook, typed).given
        plan, approval = await allowed_plan(request, services, runbook, given, self.word)
        previews = await services.runs.previews(runbook.name, given, approval)
        locks = await services.runs.locks()
        now = services.now()
        found = drawn(plan, locks, await services.runs.paused(), now, previews)
        closed = _closed(runbook.window, plan, now)
        return replace(found, elements=(*found.elements[:-1], *closed, found.elements[-1]))


def understood(
    request: Request, words: tuple[str, ...], services: Services, word: str
) -> tuple[Runbook, dict[str, str]]:
    """The runbook and the values that were typed. Raises UsageError, or Refused when it is not granted."""
    if not words:
        program = request.program
        raise UsageError(
            f"{program} {word} RUNBOOK key=value …  ({program} runbooks lists what you may run.)"
        )
    runbook = find_runbook(request, services, words[0])
    if lacking := services.unfit.get(runbook.name):
        raise UsageError(f"{runbook.name} cannot be run with the settings as they are: {lacking}.")
    given = parse_given(words[1:])
    check_typed(request, word, runbook, given)
    return runbook, given


async def allowed_plan(
    request: Request, services: Services, runbook: Runbook, given: Mapping[str, str], word: str
) -> tuple[Planned, dict[str, Any] | None]:
    """The plan with those values, and the approval that it begins with, if a grant asks for one.

    Raises FormNeeded, and Refused when the person may not run it.
    """
    try:
        await _check_choices(services, runbook, given)
        plan = await services.runs.plan(runbook.name, given)
    except ParamFaults as error:
        raise FormNeeded(request.program, word, runbook, given, error.faults) from error
    approval = approval_of(check_plan(request, services, runbook.name, plan.as_json()))
    if approval is not None:
        plan = await services.runs.plan(runbook.name, given, approval)
    return plan, approval


async def _check_choices(services: Services, runbook: Runbook, given: Mapping[str, str]) -> None:
    """Raises ParamFaults for what an endpoint does not offer, and StepError when it cannot be asked: a form
    only proposes, and anything can be typed."""
    asked = {
        name: await look_up_choices(param.choices_from, services.targets, LOOK_UP)
        for name, param in runbook.params.items()
        if param.choices_from is not None and given.get(name)
    }
    if asked:
        await asyncio.to_thread(parse_params, runbook.params, given, services.targets, choices=asked)


def _closed(window: Window | None, plan: Planned, now: datetime) -> Iterable[Note]:
    """Until when a run that began now would wait for its window."""
    risks = windowed(plan.as_json())
    acts = any(step.risk in risks for step in plan.steps)
    if window is None or not acts:
        return
    opens, _ = opening(window, now)
    if opens > now:
        what = "what changes anything" if Risk.LOW in risks else "steps of risk medium or high"
        when = f"{opens.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        yield Note(f"Its window is {window.words}: {what} would wait until {when}.")


def drawn(
    plan: Planned,
    locks: Sequence[LockRow],
    paused: str,
    now: datetime,
    previews: Mapping[str, Preview] = MappingProxyType({}),
) -> Reply:
    """The plan as people read it. `previews`: what steps would reach at this moment, by path."""
    elements: list[Element] = []
    given = [(name, (code(str(value)),)) for name, value in plan.params.items() if value is not None]
    if given:
        elements.append(Fields(tuple(given)))
    for step in plan.steps:
        elements.append(Paragraph(_brief(step)))
        if step.path in previews:
            elements.append(Paragraph(_radius(previews[step.path])))
    elements.append(Paragraph((strong("Locks: "), Span(_locks(plan, locks, now)))))
    undo = "; ".join(_undone(plan)) or "nothing: no step says how it is undone"
    elements.append(Paragraph((strong("A rollback would do: "), Span(undo))))
    elements += [Note(f"Careful: {warning}") for warning in plan.warnings]
    if paused:
        elements.append(Note(f"Everything is stopped ({paused}): a run would wait."))
    elements.append(Note(f"Nothing was touched.  ·  digest {plan.digest[:12]}"))
    return Reply(
        title=f"Plan: {plan.title}",
        fallback=f"Plan of {plan.title}: {counted(len(plan.steps), 'step')}, digest {plan.digest[:12]}",
        elements=tuple(elements),
        details=(Listing("plan.txt", in_full(plan, previews)),),
        data={
            "plan": plan.as_json(),
            "digest": plan.digest,
            "locks_held": _held(plan, locks),
            "previews": {path: asdict(preview) for path, preview in previews.items()},
        },
    )


def _brief(step: PlannedStep) -> tuple[Span, ...]:
    risk = f"risk {step.risk}" if step.risk != Risk.READ else ""
    facts = ", ".join(fact for fact in (step.kind, step.target, risk) if fact)
    pieces = [strong(step.title), Span(f"  {facts}")]
    if step.gate:
        pieces.append(Span(f"\n  {step.gate}"))
    if step.when:
        pieces.append(Span(f"\n  only when {step.when}"))
    # A gate's lines are what it says already.
    lines = () if step.gate == "; ".join(step.lines) else step.lines
    for line in lines[:MOST_LINES]:
        pieces += [Span("\n  "), code(line)]
    if len(lines) > MOST_LINES:
        pieces.append(Span(f"\n  and {counted(len(lines) - MOST_LINES, 'more line')}, in the details"))
    if step.unresolved:
        pieces.append(Span(f"\n  known only later: {', '.join(step.unresolved)}"))
    return tuple(pieces)


def _radius(preview: Preview) -> tuple[Span, ...]:
    """What was measured just now, which no digest holds."""
    refused = (strong("It would be refused now: "), Span(preview.refused)) if preview.refused else ()
    lines = "\n".join(f"  {line}" for line in preview.lines)
    return (*refused, Span(f"\n{lines}" if refused and lines else lines))


def _locks(plan: Planned, locks: Sequence[LockRow], now: datetime) -> str:
    if not plan.locks:
        return "none"
    held = {lock.target: lock for lock in locks}
    return "; ".join(
        f"{name}, {holder(held[name], now)}" if name in held else f"{name}, free" for name in plan.locks
    )


def holder(lock: LockRow, now: datetime) -> str:
    """`held by run 3f9kq2ab since 09:12 UTC (12 min ago): rollout of 1.2.3`."""
    why = f": {lock.reason}" if lock.reason else ""
    return f"held by run {short(lock.run)} since {clock(lock.since, now)} ({ago(lock.since, now)}){why}"


def _held(plan: Planned, locks: Sequence[LockRow]) -> list[dict[str, str]]:
    return [
        {"target": lock.target, "run": lock.run, "since": lock.since.isoformat(), "reason": lock.reason}
        for lock in locks
        if lock.target in plan.locks
    ]


def _undone(plan: Planned) -> Iterable[str]:
    for step in plan.rollback:
        yield f"{step.title} ({', '.join(step.lines) or step.kind})"


def in_full(plan: Planned, previews: Mapping[str, Preview] = MappingProxyType({})) -> str:
    """Every step with every line."""
    parts = ["\n".join((_in_full(step), *_now(previews.get(step.path)))) for step in plan.steps]
    if plan.rollback:
        parts += ["Rollback", *(_in_full(step) for step in plan.rollback)]
    return "\n\n".join([*parts, f"digest {plan.digest}"])


def _now(preview: Preview | None) -> Iterable[str]:
    if preview is not None:
        yield from (f"  now: {line}" for line in preview.lines)
        if preview.refused:
            yield f"  it would be refused now: {preview.refused}"


def _in_full(step: PlannedStep) -> str:
    repeat = "may be repeated" if step.repeatable else "is not repeated by itself"
    lines = [f"{step.path}  {step.title}  [{step.kind}]"]
    facts = {"target": step.target, "risk": step.risk, "gate": step.gate, "only when": step.when}
    lines += [f"  {name}: {value}" for name, value in facts.items() if value]
    lines.append(f"  after a crash: {repeat}")
    lines += [f"  {line}" for line in step.lines]
    lines += [f"  to undo: {line}" for line in step.undo]
    if step.unresolved:
        lines.append(f"  known only later: {', '.join(step.unresolved)}")
    return "\n".join(lines)
