"""What a person may do with runbooks and runs. Nothing is granted to nobody."""

from collections.abc import Mapping
from typing import Any

from commands.command import ActorKind, Request, Services
from commands.words import quoted
from runbooks.access import NOWHERE, Access, Verdict, touched
from runbooks.access.grants import as_json
from runbooks.engine.decisions import permitted
from runbooks.errors import Refused, UsageError
from runbooks.nearest import nearest
from runbooks.records.runs import AskRow, RunRow, RunView
from runbooks.spec.runbook import Runbook
from runbooks.targets import TargetBase


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
    if denial := request.access.runbook_denial(found.name):
        raise Refused(f"You may not run {found.name} here: {denial.place} denies it.")
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


def judge(access: Access, run: RunRow, targets: Mapping[str, TargetBase]) -> Verdict:
    """Whether somebody with that access may run what this run does, and by which grant."""
    return access.may_run(run.runbook, touched(run.plan, targets))


def refused_now(access: Access, run: RunRow, targets: Mapping[str, TargetBase]) -> str:
    """Why the person who asked for a run may not have it go on, at this moment; empty when they may."""
    verdict = judge(access, run, targets)
    if not verdict.allowed:
        return f"{run.requester_name} may not run {run.runbook} any more: {_why(verdict)}"
    needed, had = verdict.approval, run.plan.get("approval")
    if needed is None or (had and had["people"] >= needed.people and set(had["by"]) <= set(needed.by)):
        return ""
    return f"{run.requester_name} may run {run.runbook} only {needed.words()}: this run did not begin so"


def _why(verdict: Verdict) -> str:
    return "; ".join(verdict.missing) or "no grant for it is left"


def check_plan(request: Request, services: Services, runbook: str, plan: Mapping[str, Any]) -> Verdict:
    """What allows the person to run that plan here. Raises Refused when nothing does."""
    touches = touched(plan, services.targets)
    verdict = request.access.may_run(runbook, touches)
    if verdict.allowed:
        return verdict
    named = sorted({touch.environment for touch in touches} - {NOWHERE})
    where = ", ".join(named) or "targets that maint.yaml does not name"
    why = f" {_why(verdict)}." if verdict.missing else ""
    raise Refused(
        f"You may not run {runbook} on {where} here.{why} "
        f"{request.program} access explain run {runbook} says more; {request.program} whoami shows what you "
        "may do."
    )


def approval_of(verdict: Verdict) -> dict[str, Any] | None:
    """What a run that is allowed so begins with, as its plan keeps it; None when that is nobody's yes."""
    if verdict.approval is None or verdict.grant is None:
        return None
    return {**as_json(verdict.approval), "grant": verdict.grant.place}


def check_everywhere(request: Request, word: str) -> None:
    """Raises Refused unless the word is granted for every environment: it is about all that runs."""
    if not request.access.may_touch(word, NOWHERE):
        raise Refused(
            f"You may not use {word} here: it is about every environment, and so must the grant be."
        )


def check_word(request: Request, word: str) -> None:
    """Raises Refused when a grant denies that word to the person here, whatever it is used on."""
    if denial := request.access.denial(word):
        raise Refused(f"You may not use {word} here: {denial.place} denies it.")


def may_run(request: Request, services: Services, run: RunRow) -> bool:
    """Whether the person may start such a run, and so decide what is asked of it."""
    return judge(request.access, run, services.targets).allowed


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
