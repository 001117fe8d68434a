"""The audit event of something that the actor of a request did."""

from datetime import datetime
from typing import Any

from commands.command import Request
from runbooks.records.audit import Event


def happened(request: Request, action: str, outcome: str, at: datetime, **fields: Any) -> Event:
    """By whom, from where, and as part of which request; `fields` are the event's others."""
    actor, place = request.actor, request.place
    return Event(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        team=actor.team,
        action=action,
        outcome=outcome,
        at=at,
        **{
            "channel": place.id,
            "channel_name": place.name,
            "correlation": request.correlation,
            "permalink": request.permalink,
            **fields,
        },
    )
