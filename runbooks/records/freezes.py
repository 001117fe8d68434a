"""Freezes: from when to when nothing risky may begin, on what, and who said so. Parts of the caller's
transaction."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from runbooks.records.columns import UtcTime
from runbooks.records.watch_tables import freezes

#: Of a freeze of everything.
EVERYTHING = "*"

_NOT_ENDED = select(freezes).where(freezes.c.ended_at.is_(None)).order_by(freezes.c.until, freezes.c.id)
# Made once: every step that acts asks it.
_ACTIVE = _NOT_ENDED.where(
    freezes.c.since <= bindparam("now", type_=UtcTime), freezes.c.until > bindparam("now", type_=UtcTime)
)


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """On these targets, and on all of these environments. `targets` may be `*`."""

    id: str
    targets: tuple[str, ...]
    environments: tuple[str, ...]
    since: datetime
    until: datetime
    reason: str
    by_id: str
    by_name: str
    ended_at: datetime | None = None
    ended_by: str = ""

    @property
    def where(self) -> str:
        """What it is on, in words."""
        if EVERYTHING in self.targets:
            return "everything"
        return ", ".join((*self.environments, *self.targets))


def add(connection: Connection, freeze: Freeze) -> None:
    """From now on it holds."""
    connection.execute(insert(freezes).values(**asdict(freeze)))


def active(connection: Connection, now: datetime) -> tuple[Freeze, ...]:
    """Those that hold at that moment, the one that ends first before the others."""
    return tuple(map(_freeze, connection.execute(_ACTIVE, {"now": now})))


def not_ended(connection: Connection) -> tuple[Freeze, ...]:
    """Those that hold, as far as anybody has noticed."""
    return tuple(map(_freeze, connection.execute(_NOT_ENDED)))


def over(connection: Connection, now: datetime) -> tuple[str, ...]:
    """Those whose time is over, and nobody has noticed yet."""
    return tuple(connection.scalars(_NOT_ENDED.with_only_columns(freezes.c.id).where(freezes.c.until <= now)))


def end(connection: Connection, id_: str, at: datetime, by: str) -> Freeze | None:
    """The freeze, which has ended; None when it had before, or there is none."""
    statement = update(freezes).where(freezes.c.id == id_, freezes.c.ended_at.is_(None))
    row = connection.execute(statement.values(ended_at=at, ended_by=by).returning(*freezes.c)).first()
    return _freeze(row) if row else None


def _freeze(row: Row[Any]) -> Freeze:
    values = {each.name: getattr(row, each.name) for each in fields(Freeze)}
    return Freeze(
        **{**values, "targets": tuple(values["targets"]), "environments": tuple(values["environments"])}
    )
