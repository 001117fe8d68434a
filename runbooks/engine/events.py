"""Audit events of what people do to runs, and of what runs do."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from runbooks.records.audit import Event
from runbooks.records.person import Person
from runbooks.records.runs import RunRow


def of_run(
    by: Person, action: str, run: RunRow, outcome: str, at: datetime, details: Mapping[str, Any]
) -> Event:
    """Something done to a run."""
    return replace(
        of_person(by, action, run.runbook, outcome, at, details),
        correlation=run.id,
        channel=run.channel,
        channel_name=run.channel_name,
    )


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
        details=details,
        at=at,
    )


def output_digest(output: str) -> str:
    """The sha256 of what a step printed, scrubbed, as the thread of the run's card has it."""
    return sha256(output.encode(errors="surrogatepass")).hexdigest()
