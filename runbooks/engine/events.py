"""Audit events of what people do to runs, and of what runs do."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from runbooks.records.audit import Event
from runbooks.records.person import Person
from runbooks.records.runs import RunRow
from runbooks.steps.step import EVERY

_INDEX = re.compile(r"\[\d+\]")


def of_run(
    by: Person, action: str, run: RunRow, outcome: str, at: datetime, details: Mapping[str, Any]
) -> Event:
    """Something done to a run."""
    return replace(
        of_person(by, action, run.runbook, outcome, at, details),
        correlation=run.id,
        channel=run.channel,
        channel_name=run.channel_name,
        runbook=run.runbook,
        targets=targets_of(run.plan),
    )


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


def of_person(
    by: Person, action: str, subject: str, outcome: str, at: datetime, details: Mapping[str, Any]
) -> Event:
    """Something done to no run in particular."""
    return Event(
        actor_kind=by.kind,
        actor_id=by.id,
        actor_name=by.name,
        team=by.team,
        action=action,
        object=subject,
        outcome=outcome,
        permalink=by.message,
        details=details,
        at=at,
    )


def output_digest(output: str) -> str:
    """The sha256 of what a step printed, scrubbed, as the thread of the run's card has it."""
    return sha256(output.encode(errors="surrogatepass")).hexdigest()
