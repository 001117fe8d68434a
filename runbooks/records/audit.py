"""The audit log: who asked, decided or changed what, and how it went. Events are only ever added."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, select

from runbooks.ids import new_id
from runbooks.records import chain
from runbooks.records.audit_tables import NOTABLE, audit_events, audit_names
from runbooks.records.columns import Words, storable
from runbooks.records.database import scrubber_of
from runbooks.records.person import Person
from runbooks.scrub import Scrubber
from runbooks.visible import shorten

#: Characters of one text in `details`, and of all of them together as JSON.
LONGEST_DETAIL, LONGEST_DETAILS = 3_000, 16_000
#: The action of the event that says which workspace Maint is in; its details have the workspace's `url`.
SLACK_CONNECTED = "slack.connected"
#: Events that one page may have.
LARGEST_PAGE = 500
#: How many characters each text column takes.
_LIMITS = {
    column.name: column.type.limit
    for column in (*audit_events.c, *audit_names.c)
    if isinstance(column.type, Words)
}
_LIMITS["actor_name"] = _LIMITS.pop("name")


class Outcome(StrEnum):
    """How it went. A later version may know more: reading takes any text."""

    ACCEPTED = "accepted"  #: it was understood and allowed, and begins
    OK = "ok"  #: it was done
    FAILED = "failed"  #: it was tried, and did not work
    INVALID = "invalid"  #: the words did not fit
    DENIED = "denied"  #: the person may not
    DUPLICATE = "duplicate"  #: it was delivered a second time, and nothing was done
    LATE = "late"  #: somebody else had decided it before, or its time was over
    THROTTLED = "throttled"  #: too many at once


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened: who, by the id and the name at that time; what, on what; from which channel.

    `actor_kind` is `slack`, `terminal` or `clock`; `team` is the Slack workspace. Empty texts mean that
    there was none. `runbook` and `targets`: what it is about; `permalink`: the message in Slack. `details` is
    kept as JSON; what JSON does not know is kept as its text. In the log times never go back: an event whose
    clock is behind has the time of the one before it.
    """

    actor_kind: str
    actor_id: str
    action: str
    outcome: str
    object: str = ""
    actor_name: str = ""
    team: str = ""
    channel: str = ""
    channel_name: str = ""
    correlation: str = ""
    permalink: str = ""
    runbook: str = ""
    targets: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=new_id)


def done_by(by: Person, action: str, outcome: str, **fields: Any) -> Event:
    """The event of what that person did; `fields` are the event's others."""
    where = {"team": by.team, "permalink": by.message, **fields}
    return Event(
        actor_kind=by.kind, actor_id=by.id, actor_name=by.name, action=action, outcome=outcome, **where
    )


@dataclass(frozen=True)
class Recorded:
    """An event as it stands in the log, at its place `seq`, chained to the one before it. `mark` stands for
    the actor's name in the chain."""

    seq: int
    event: Event
    prev: str
    hash: str
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which events to read: all that are set must fit."""

    actor_id: str | None = None
    action: str | None = None
    outcome: str | None = None
    correlation: str | None = None


def append(connection: Connection, *events: Event) -> None:
    """Adds events with the caller's transaction: they are written when it commits, or not at all.

    Secrets are scrubbed, texts cut to the columns' limits. Raises ValueError for a time without a zone.
    """
    scrub = scrubber_of(connection)
    for event in events:
        chain.wait_for_commit(connection, {**_row(event, scrub), "once": False})


def append_once(connection: Connection, *events: Event) -> None:
    """Adds those of the events that are not there yet: for a transaction of which nobody knows whether it
    was committed, and which is tried again."""
    scrub = scrubber_of(connection)
    for event in events:
        chain.wait_for_commit(connection, {**_row(event, scrub), "once": True})


def newest(
    connection: Connection, which: Filter | None = None, *, before: int | None = None, limit: int = 50
) -> tuple[Recorded, ...]:
    """A page of events, newest first; `before` is the `seq` of the last one on the page before."""
    which = which or Filter()
    query = (
        select(audit_events, func.coalesce(audit_names.c.name, "").label("actor_name"))
        .outerjoin(audit_names, audit_names.c.mark == audit_events.c.actor_mark)
        .order_by(audit_events.c.seq.desc())
        .limit(min(limit, LARGEST_PAGE))
    )
    for name in ("actor_id", "action", "outcome", "correlation"):
        if (wanted := getattr(which, name)) is not None:
            query = query.where(audit_events.c[name] == wanted)
    if which.outcome not in (None, Outcome.OK, Outcome.ACCEPTED):
        query = query.where(NOTABLE)  # in the very words of the index: no planner looks behind a parameter
    if before is not None:
        query = query.where(audit_events.c.seq < before)
    return tuple(map(recorded, connection.execute(query)))


def recorded(row: Row[Any]) -> Recorded:
    """The event of a row: the columns of `audit_events`, and `actor_name`."""
    return Recorded(row.seq, _event(row), row.prev, row.hash, row.actor_mark)


def _row(event: Event, scrub: Scrubber) -> dict[str, Any]:
    if event.at.tzinfo is None:
        raise ValueError("a time without a zone could be any of 26 hours: give an aware datetime")
    texts = {
        "id": event.id,
        "actor_kind": event.actor_kind,
        # Ids and our own words as they are: who could choose a secret, and a run's requester can, could
        # choose `gate.approve` or their own id, and would be in the log no more.
        "actor_id": event.actor_id,
        "actor_name": scrub(event.actor_name),
        "team": event.team,
        "action": event.action,
        "object": scrub(event.object),
        "outcome": event.outcome,
        "channel": event.channel,
        "channel_name": scrub(event.channel_name),
        "correlation": event.correlation,
        "permalink": event.permalink,
        "runbook": event.runbook,
        "targets": _fitting(event.targets, _LIMITS["targets"]),
    }
    # What is hashed is what is stored: cut here, before the columns would.
    cut = {name: shorten(storable(value), _LIMITS[name]) for name, value in texts.items()}
    return {**cut, "at": event.at.astimezone(UTC), "details": _canonical(event.details, scrub)}


def _fitting(names: tuple[str, ...], most: int) -> str:
    """The names with spaces between them, as many as fit: half a name would be another target's."""
    text = ""
    for name in names:
        longer = f"{text} {name}".strip()
        if len(longer) > most:
            break
        text = longer
    return text


def _event(row: Row[Any]) -> Event:
    return Event(
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor_name=row.actor_name or (chain.pseudonym(row.actor_mark) if row.actor_mark else ""),
        team=row.team,
        action=row.action,
        outcome=row.outcome,
        object=row.object,
        channel=row.channel,
        channel_name=row.channel_name,
        correlation=row.correlation,
        permalink=row.permalink,
        runbook=row.runbook,
        targets=tuple(row.targets.split()),
        details=json.loads(row.details),
        at=row.at,
        id=row.id,
    )


def _canonical(details: Mapping[str, Any], scrub: Scrubber) -> str:
    """One text for one content: sorted keys, no spaces. What is too long is kept as its beginning."""
    text = _json(_plain(details, scrub))
    # Quotes in the beginning are escaped once more: half the limit always fits.
    return text if len(text) <= LONGEST_DETAILS else _json({"cut": text[: LONGEST_DETAILS // 2 - 10]})


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: object, scrub: Scrubber) -> object:
    if isinstance(value, Mapping):
        return {str(_plain(str(key), scrub)): _plain(inner, scrub) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner, scrub) for inner in value]
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return shorten(storable(scrub(str(value))), LONGEST_DETAIL)
