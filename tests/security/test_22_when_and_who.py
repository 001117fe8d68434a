"""22: every event says who, what, on what, where and when, in UTC. Also kept by
tests/records/test_audit.py, tests/records/test_chain.py and tests/security/test_matrix.py (the correlation
of each request)."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from runbooks.records.audit import append, newest
from runbooks.records.database import reading
from tests.records.conftest import make_event

MOMENT = datetime(2026, 10, 25, 1, 30, 0, 7, tzinfo=UTC)
#: The same moment, as clocks elsewhere show it: also in the hour that Berlin has twice.
HOSTILE = (
    MOMENT.astimezone(timezone(timedelta(hours=14))),
    MOMENT.astimezone(timezone(timedelta(hours=-12))),
    MOMENT.astimezone(ZoneInfo("Asia/Kathmandu")),
    MOMENT.astimezone(ZoneInfo("Europe/Berlin")),
)


def test_a_time_is_kept_in_utc_to_the_microsecond(engine: Engine) -> None:
    """Whatever zone it came in, and whatever zone the database speaks in."""
    with engine.begin() as connection:
        append(connection, *(make_event(at=at) for at in HOSTILE))
    with reading(engine) as connection:
        found = [each.event.at for each in newest(connection)]
        written = list(connection.scalars(text("SELECT CAST(at AS TEXT) FROM audit_events")))

    assert found == [MOMENT] * len(HOSTILE)
    assert {at.utcoffset() for at in found} == {timedelta(0)}
    assert {str(at)[:26] for at in written} == {"2026-10-25 01:30:00.000007"}


@pytest.mark.parametrize("at", [datetime(2026, 10, 25, 2, 30), datetime.max, datetime.min])  # noqa: DTZ001, DTZ901
def test_a_time_without_a_zone_is_none(engine: Engine, at: datetime) -> None:
    """Nobody could say when that was."""
    with pytest.raises(ValueError, match=r"zone|naive|aware"), engine.begin() as connection:
        append(connection, make_event(at=at))


def test_an_event_without_an_actor_cannot_be_made() -> None:
    """Who and what have no default."""
    for missing in ("actor_kind", "actor_id", "action", "outcome"):
        fields = {"actor_kind": "slack", "actor_id": "U1", "action": "a", "outcome": "ok"}
        del fields[missing]
        with pytest.raises(TypeError, match=missing):
            type(make_event())(**fields)
