"""Looks through the audit log: a page of the events that fit, however many there are.

Every query walks an index from one end and stops when the page is full. A time window is looked up first, as
the places in the log where it begins and ends: by them the walk stays in its index.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from itertools import islice, product
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from runbooks.records.audit import LARGEST_PAGE, Outcome, Recorded, recorded
from runbooks.records.audit_tables import NOTABLE, audit_events, audit_names, audit_targets

#: People that one name may stand for.
MOST_PEOPLE = 10

_EVERYDAY = frozenset({Outcome.OK, Outcome.ACCEPTED})


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which events: all that is set must fit. `actors` and `outcomes` are any of several.

    `action` may end in `*`. `since` is the first moment, `until` the first that is too late.
    """

    actors: tuple[str, ...] = ()
    runbook: str = ""
    target: str = ""
    outcomes: tuple[str, ...] = ()
    action: str = ""
    correlation: str = ""
    channel: str = ""
    channel_name: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Window:
    """From one place in the log to another, both included; empty when `first` is behind `last`."""

    first: int
    last: int

    @property
    def empty(self) -> bool:
        """Whether nothing is in it."""
        return self.first > self.last


def window(connection: Connection, wanted: Wanted) -> Window:
    """Where in the log the times of it lie."""
    seq, at = audit_events.c.seq, audit_events.c.at
    last = connection.scalar(select(seq).order_by(seq.desc()).limit(1)) or 0
    first = 1
    # Times never go back along the log, so a time is a place in it: two looks into the index.
    if wanted.since is not None:
        query = select(seq).where(at >= wanted.since).order_by(at, seq).limit(1)
        first = connection.scalar(query) or last + 1
    if wanted.until is not None:
        query = select(seq).where(at < wanted.until).order_by(at.desc(), seq.desc()).limit(1)
        last = connection.scalar(query) or 0
    return Window(first, last)


def newest(
    connection: Connection, wanted: Wanted, *, before: int | None = None, limit: int = 50
) -> tuple[Recorded, ...]:
    """Events that fit, newest first, from the one before the place `before` on."""
    found = window(connection, wanted)
    if before is not None:
        found = replace(found, last=min(found.last, before - 1))
    return _page(connection, wanted, found, limit, newest_first=True)


def oldest(connection: Connection, wanted: Wanted, *, after: int, limit: int = 50) -> tuple[Recorded, ...]:
    """Events that fit, oldest first, from the one after the place `after` on."""
    found = window(connection, wanted)
    return _page(connection, wanted, replace(found, first=max(found.first, after + 1)), limit)


def at(connection: Connection, seq: int) -> Recorded | None:
    """The event at that place."""
    found = _page(connection, Wanted(), Window(seq, seq), 1)
    return found[0] if found else None


def people(connection: Connection, name: str) -> tuple[str, ...]:
    """The ids of those who had that name, whatever its case, or who have it as their id or their login."""
    folded = name.casefold()
    known = connection.execute(select(audit_names.c.actor_id, audit_names.c.name).distinct())
    found = {
        row.actor_id
        for row in known
        if folded in (row.actor_id.casefold(), row.name.casefold(), row.actor_id.partition("@")[0].casefold())
    }
    return tuple(sorted(found))


def names(connection: Connection) -> tuple[str, ...]:
    """What people were called, for who mistyped a name."""
    query = select(audit_names.c.name).where(audit_names.c.removed_at.is_(None)).distinct()
    return tuple(connection.execute(query).scalars())


def _page(
    connection: Connection, wanted: Wanted, within: Window, limit: int, *, newest_first: bool = False
) -> tuple[Recorded, ...]:
    if within.empty:
        return ()
    limit = min(limit, LARGEST_PAGE)
    # One walk for each person and outcome: an index has each of them in order, and not several.
    walks = [
        connection.execute(_named(query, limit, newest_first=newest_first)).all()
        for query in _queries(wanted, within, newest_first=newest_first)
    ]
    return tuple(map(recorded, islice(_together(walks, newest_first=newest_first), limit)))


def _together(walks: Sequence[Sequence[Row[Any]]], *, newest_first: bool) -> Iterator[Row[Any]]:
    return merge(*walks, key=lambda row: row.seq, reverse=newest_first)


def _queries(wanted: Wanted, within: Window, *, newest_first: bool) -> Iterator[Select[Any]]:
    for actor, outcome in product(wanted.actors or ("",), wanted.outcomes or ("",)):
        one = replace(wanted, actors=(actor,) if actor else (), outcomes=(outcome,) if outcome else ())
        yield matching(one, within, newest_first=newest_first)


def matching(wanted: Wanted, within: Window, *, newest_first: bool = False) -> Select[Any]:
    """The events within those places that fit, in their order."""
    place = audit_events.c.seq
    query = select(audit_events)
    if wanted.target:
        # By its own number: the walk goes along the target's places, and looks each event up.
        place = audit_targets.c.seq
        query = query.select_from(audit_targets.join(audit_events, audit_events.c.seq == place))
        query = query.where(audit_targets.c.target == wanted.target)
    query = query.where(place >= within.first, place <= within.last, *_conditions(wanted))
    return query.order_by(place.desc() if newest_first else place)


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    columns = audit_events.c
    for name in ("runbook", "correlation", "channel", "channel_name"):
        if value := getattr(wanted, name):
            yield columns[name] == value
    for column, values in ((columns.actor_id, wanted.actors), (columns.outcome, wanted.outcomes)):
        if values:
            yield column == values[0] if len(values) == 1 else column.in_(values)
    if wanted.outcomes and _EVERYDAY.isdisjoint(wanted.outcomes):
        # In the very words of the index: no planner looks behind a parameter.
        yield cast("ColumnElement[bool]", NOTABLE)
    if wanted.action.endswith("*"):
        yield columns.action.startswith(wanted.action.rstrip("*"), autoescape=True)
    elif wanted.action:
        yield columns.action == wanted.action


def _named(query: Select[Any], limit: int, *, newest_first: bool) -> Select[Any]:
    """With the names, which are looked up when it is clear which events are on the page."""
    page = query.limit(limit).subquery()
    order = page.c.seq.desc() if newest_first else page.c.seq
    name = func.coalesce(audit_names.c.name, "").label("actor_name")
    return select(page, name).outerjoin(audit_names, audit_names.c.mark == page.c.actor_mark).order_by(order)
