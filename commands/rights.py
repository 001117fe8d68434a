"""What a person may do with runbooks and runs. Nothing is granted to nobody."""

from collections.abc import Iterable, Mapping
from typing import Any

from commands.command import ActorKind, Request, Services
from commands.words import quoted
from runbooks.access import Access
from runbooks.engine.decisions import permitted
from runbooks.errors import Refused, UsageError
from runbooks.nearest import nearest
from runbooks.records.runs import AskRow, RunRow, RunView
from runbooks.spec.runbook import Runbook
from runbooks.steps.step import EVERY
from runbooks.targets import TargetBase

#: Of a target that maint.yaml does not name any more: only a grant for every environment holds for it.
NOWHERE = ""


def find_runbook(request: Request, services: Services, name: str) -> Runbook:
    """The runbook of that name. Raises UsageError with the nearest, Refused when it is not granted here."""
    seen = runnable(request, services)
    found = services.runbooks.get(name.casefold())
    if found is None:
        meant = nearest(name, seen)
        hint = f"Did you mean {meant}? " if meant else ""
        listed = (
            f"You may run: {', '.join(sorted(seen))}." if seen else "There is none that you may run here."
        )
        raise UsageError(f"There is no runbook {quoted(name)}. {hint}{listed}")
    if found.name in seen:
        return found
    if request.access.may_run_elsewhere(found.name):
        raise Refused(
            f"You may run {found.name}, but not from this channel. {request.program} whoami shows from which."
        )
    raise Refused(
        f"You ({request.actor.id}) have no grant for the runbook {found.name}. "
        f"{request.program} whoami shows what you may do; who looks after maint.yaml can grant it."
    )


def runnable(request: Request, services: Services) -> dict[str, Runbook]:
    """The runbooks that the person may run here, on targets of some environment."""
    return {
        name: runbook for name, runbook in services.runbooks.items() if request.access.may_run_somewhere(name)
    }


def environments(plan: Mapping[str, Any], targets: Mapping[str, TargetBase]) -> frozenset[str]:
    """The environments of everything that a plan touches, its rollback included."""
    # `targets` has every one that is named anywhere; a step's own may be known only when it comes.
    named = {*plan.get("targets", ()), *_targets([plan.get("steps"), plan.get("rollback")])} - {EVERY}
    # To lock a target keeps everybody else from it. A lock may also be a name that is no target.
    named |= targets.keys() & set(plan.get("locks", ()))
    return frozenset(targets[name].environment if name in targets else NOWHERE for name in named)


def _targets(part: object) -> Iterable[str]:
    """Every `target` in a plan's JSON, however deep its groups are."""
    if isinstance(part, Mapping):
        if target := part.get("target"):
            yield str(target)
        yield from _targets(part.get("steps"))
    elif isinstance(part, (list, tuple)):
        for item in part:
            yield from _targets(item)


def check_plan(request: Request, services: Services, runbook: str, plan: Mapping[str, Any]) -> None:
    """Raises Refused unless the person may run that plan here."""
    needed = environments(plan, services.targets)
    if not request.access.may_run(runbook, needed):
        where = ", ".join(sorted(needed - {NOWHERE})) or "targets that maint.yaml does not name"
        raise Refused(
            f"{request.actor.name} may not run {runbook} on {where} here. "
            f"{request.program} whoami shows what you may do."
        )


def check_everywhere(request: Request, word: str) -> None:
    """Raises Refused unless the word is granted for every environment: it is about all that runs."""
    if not request.access.may_touch(word, NOWHERE):
        raise Refused(
            f"{request.actor.name} may not use {word} here: it is about every environment, and so must the "
            "grant be."
        )


def may_run(request: Request, services: Services, run: RunRow) -> bool:
    """Whether the person may start such a run, and so decide what is asked of it."""
    return request.access.may_run(run.runbook, environments(run.plan, services.targets))


def refused_now(access: Access, run: RunRow, targets: Mapping[str, TargetBase]) -> str:
    """Why the person who asked for a run may not have it go on, at this moment; empty when they may."""
    if access.may_run(run.runbook, environments(run.plan, targets)):
        return ""
    return f"{run.requester_name} may not run {run.runbook} any more: no grant for it is left"


def is_own(request: Request, run: RunRow) -> bool:
    """Whether the person asked for it."""
    return run.requester_id == request.by.id


async def holds(request: Request, ask: AskRow) -> frozenset[str]:
    """Which of the ask's approvers the person is."""
    named = permitted(ask)
    return await request.holds(named) if named else frozenset()


async def may_see(request: Request, services: Services, view: RunView) -> bool:
    """Whether a run is the person's business: they may run it, asked for it, said something, may decide."""
    run = view.run
    if may_run(request, services, run) or is_own(request, run):
        return True
    if any(vote.person == request.by.id for vote in view.votes):
        return True
    named = {name for ask in view.asks for name in permitted(ask)}
    if not named:
        return False
    try:
        return bool(await request.holds(named))
    except Refused:
        return False  # nobody knows, and what is not known is not granted


async def find_run(request: Request, services: Services, text: str) -> RunView:
    """The run of that id, or of its last letters. Raises UsageError, also for who may not see it."""
    row = await services.runs.find(text)
    view = await services.runs.view(row.id)
    if view is None or not await may_see(request, services, view):
        raise UsageError(
            f"There is no run {quoted(text)} that you may see. {request.program} runs lists what you may."
        )
    return view


def short(run: str) -> str:
    """What people type for a run: the last letters of its id."""
    return run[-8:]


def check_known(request: Request) -> None:
    """Raises Refused for somebody at the terminal whom nobody knows: four eyes must be two people's."""
    actor = request.actor
    if actor.kind is ActorKind.TERMINAL and not actor.acts_as:
        raise Refused(unknown_login(actor.id))


def unknown_login(login: str) -> str:
    """What somebody at the terminal reads who may not approve there."""
    return (
        f"Maint does not know who {login} is in Slack, and approvals are by people. Who looks after "
        f"maint.yaml can say so there: `logins: {{{login}: U0123ABCD}}` with your Slack id."
    )
