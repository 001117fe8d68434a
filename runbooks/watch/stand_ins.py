"""Standing in for somebody in a rotation: written with its audit event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runbooks.records import audit, overrides
from runbooks.records.asks import Transaction
from runbooks.records.audit import Outcome, done_by
from runbooks.records.person import Person
from runbooks.watch.rotations import Override


def stand_in(
    connection: Transaction,
    rotation: str,
    person: str,
    since: datetime,
    until: datetime,
    by: Person,
    *,
    at: datetime,
    instead_of: str,
) -> str:
    """Somebody is on call in place of whose turn it is; returns the id of that."""
    id_ = overrides.add(connection, rotation, person, since, until, by)
    details = {"person": person, "since": since, "until": until, "instead_of": instead_of, "override": id_}
    _record(connection, by, "oncall.overridden", rotation, at, details)
    return id_


def stand_down(
    connection: Transaction, rotation: str, override: Override, by: Person, *, at: datetime
) -> bool:
    """Whose turn it is is on call again. False when somebody else said so before."""
    if not overrides.remove(connection, rotation, override.id):
        return False
    details = {"person": override.person, "until": override.until, "override": override.id}
    _record(connection, by, "oncall.restored", rotation, at, details)
    return True


def _record(
    connection: Transaction, by: Person, what: str, rotation: str, at: datetime, details: Mapping[str, Any]
) -> None:
    audit.append(connection, done_by(by, what, Outcome.OK, object=rotation, details=details, at=at))
