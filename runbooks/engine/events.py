"""Audit events of what people do to runs, and of what runs do."""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from runbooks.records.audit import Event, done_by
from runbooks.records.person import Person
from runbooks.records.runs import RunRow, RunView
from runbooks.steps.step import EVERY

#: Shorter names are parts of too many words.
SHORTEST_NAME = 3

_INDEX = re.compile(r"\[\d+\]")


def of_run(
    by: Person,
    action: str,
    run: RunRow,
    outcome: str,
    at: datetime,
    details: Mapping[str, Any],
    targets: tuple[str, ...] | None = None,
) -> Event:
    """Something done to a run; `targets` for who knows them already."""
    return done_by(
        by,
        action,
        outcome,
        object=run.runbook,
        correlation=run.id,
        channel=run.channel,
        channel_name=run.channel_name,
        runbook=run.runbook,
        targets=targets_of(run.plan) if targets is None else targets,
        details=details,
        at=at,
    )


def nameless(details: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """The details with those ids in place of people's names: a name stands where it can be forgotten, and
    nowhere in the chain."""
    known = sorted((name for name in ids if len(name) >= SHORTEST_NAME), key=len, reverse=True)
    if not known:
        return dict(details)
    whole = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, known))})(?!\w)")

    def without(value: Any) -> Any:
        if isinstance(value, str):
            return whole.sub(lambda found: ids[found[0]], value)
        if isinstance(value, Mapping):
            return {key: without(inner) for key, inner in value.items()}
        return [without(inner) for inner in value] if isinstance(value, (list, tuple)) else value

    return {key: without(value) for key, value in details.items()}


def people_of(view: RunView) -> dict[str, str]:
    """The names of those who had to do with the run, and their ids."""
    run = view.run
    ids = {run.requester_name: run.requester_id}
    ids |= {ask.answered_name: ask.answered_by for ask in view.asks}
    ids |= {vote.name: vote.person for vote in view.votes}
    # Of who stopped it there is an event of its own, with their id.
    ids.setdefault(run.stop_reason.partition(": ")[0], "who stopped it")
    return ids


def targets_of(plan: Mapping[str, Any], path: str = "") -> tuple[str, ...]:
    """The targets that a plan touches, or those of one of its steps and of what stands in it."""
    wanted = {path, _INDEX.sub("[*]", path)}  # a list that came later was planned as `nodes[*]`
    inner = tuple(f"{each}{sign}" for each in wanted for sign in ".[") if path else ("",)
    steps = (*(plan.get("steps") or ()), *(plan.get("rollback") or ()))
    named = {
        str(step.get("target") or "")
        for step in steps
        if (where := str(step.get("path", ""))) in wanted or where.startswith(inner)
    }
    named |= set() if path else set(plan.get("targets", ()))
    # What is known only later is a reference, and no name.
    return tuple(sorted(name for name in named - {EVERY, ""} if "{" not in name and " " not in name))


def step_of(plan: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """What a plan says of the step at that path; nothing of one that came later without a plan."""
    wanted = {path, _INDEX.sub("[*]", path)}  # a list that came later was planned as `nodes[*]`
    return next((step for step in plan.get("steps") or () if step.get("path") in wanted), {})


def output_digest(output: str) -> str:
    """The sha256 of what a step printed, scrubbed, as the thread of the run's card has it."""
    return sha256(output.encode(errors="surrogatepass")).hexdigest()
