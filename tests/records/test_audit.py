"""The audit log keeps what it was given, and nothing changes it."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from runbooks.records import audit
from runbooks.records.audit import LONGEST_DETAILS, Filter, append, newest
from runbooks.records.database import open_database, reading
from runbooks.records.migrate import migrate
from runbooks.scrub import Scrubber
from tests.records.conftest import make_event, plan_of

PACKAGE = Path(audit.__file__).parent

#: Any text at all: NUL, half surrogate pairs and noncharacters too, which st.text() leaves out by default.
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=8,
)


def test_an_event_comes_back_as_it_was(engine: Engine) -> None:
    """Every field of an event is stored and read again."""
    event = make_event(
        actor_name="Ada",
        team="T1",
        object="db cache",
        channel="C1",
        channel_name="ops",
        correlation="c1",
        details={"words": ["db", "cache"], "count": 2, "share": 0.5, "none": None, "yes": True},
        at=datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    )
    with engine.begin() as connection:
        append(connection, event)

    with reading(engine) as connection:
        assert [recorded.event for recorded in newest(connection)] == [event]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=anything, details=st.dictionaries(anything, plain, max_size=3))
def test_any_text_can_be_recorded(engine: Engine, words: str, details: dict[str, Any]) -> None:
    """No text that people can send keeps an event from being written and read."""
    event = make_event(object=words, actor_name=words, details=details)

    with engine.begin() as connection:
        append(connection, event)
    with reading(engine) as connection:
        (recorded,) = newest(connection, limit=1)

    assert recorded.event.id == event.id
    assert recorded.event.object == "".join(
        "\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in words
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.datetimes(
        datetime(1971, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
        datetime(2200, 1, 1),  # noqa: DTZ001
        timezones=st.builds(timezone, st.timedeltas(-timedelta(hours=23), timedelta(hours=23))),
    )
)
def test_a_moment_comes_back_to_the_microsecond_or_as_the_one_before(engine: Engine, at: datetime) -> None:
    """A time of any zone is read again as the same moment, in UTC; but in the log times never go back."""
    with reading(engine) as connection:
        before = [recorded.event.at for recorded in newest(connection, limit=1)]
    with engine.begin() as connection:
        append(connection, make_event(at=at))
    with reading(engine) as connection:
        (recorded,) = newest(connection, limit=1)

    assert (recorded.event.at, recorded.event.at.tzinfo) == (max([at, *before]), UTC)


def test_stored_times_sort_as_moments_do(engine: Engine) -> None:
    """Sorting by the column is sorting by time, with and without microseconds, whatever the zone."""
    east = timezone(timedelta(hours=9))
    moments = [
        datetime(999, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 20, 59, 59, tzinfo=east),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 21, 0, 0, 500000, tzinfo=east),
    ]
    with engine.begin() as connection:
        append(connection, *(make_event(at=moment, object=str(n)) for n, moment in enumerate(moments)))
    with reading(engine) as connection:
        found = connection.execute(text("SELECT object FROM audit_events ORDER BY at")).scalars().all()

    assert found == ["0", "1", "2", "3", "4"]


def test_a_time_without_a_zone_is_refused(engine: Engine) -> None:
    """A naive datetime is a fault of the caller, and nothing is written."""
    with pytest.raises(ValueError, match="aware datetime"), engine.begin() as connection:
        append(connection, make_event(at=datetime(2026, 3, 1)))  # noqa: DTZ001 - that is the fault

    with reading(engine) as connection:
        assert newest(connection) == ()


def test_an_event_stands_only_if_its_transaction_does(engine: Engine) -> None:
    """What is rolled back leaves no event."""
    with engine.connect() as connection, connection.begin() as transaction:
        append(connection, make_event())
        transaction.rollback()

    with reading(engine) as connection:
        assert newest(connection) == ()


def test_long_texts_are_cut(engine: Engine) -> None:
    """A text beyond its column's limit is stored as its beginning, with an ellipsis."""
    with engine.begin() as connection:
        append(connection, make_event(object="x" * 10_000))
    with reading(engine) as connection:
        (recorded,) = newest(connection)

    assert recorded.event.object == "x" * 499 + "…"


@pytest.mark.parametrize("character", ["x", '"', "\\", "é"])
def test_long_details_are_cut_and_stay_json(engine: Engine, character: str) -> None:
    """Details beyond the limit are stored as the beginning of their JSON, inside the limit."""
    with engine.begin() as connection:
        append(connection, make_event(details={str(n): character * 2_000 for n in range(20)}))
    with reading(engine) as connection:
        stored = connection.execute(text("SELECT details FROM audit_events")).scalar_one()
        (recorded,) = newest(connection)

    assert len(stored) <= LONGEST_DETAILS
    assert recorded.event.details["cut"].startswith('{"0":"')


def test_equal_details_are_the_same_text(engine: Engine) -> None:
    """The order in which details were given does not show: their JSON is canonical."""
    with engine.begin() as connection:
        append(connection, make_event(details={"b": 1, "a": "é"}), make_event(details={"a": "é", "b": 1}))
    with reading(engine) as connection:
        stored = connection.execute(text("SELECT details FROM audit_events")).scalars().all()

    assert stored == ['{"a":"é","b":1}'] * 2


def test_no_secret_is_stored(database_url: str) -> None:
    """Known values and tokens of known shapes are scrubbed from every text, in details too."""
    engine = open_database(database_url, Scrubber(['hun"ter2']))
    migrate(engine)
    leak = 'hun"ter2 and xoxb-1234567890-abcdef'
    with engine.begin() as connection:
        append(connection, make_event(object=leak, actor_name=leak, details={"x": [leak], leak: 1}))
    with reading(engine) as connection:
        (recorded,) = newest(connection)
    engine.dispose()

    assert "ter2" not in repr(recorded)
    assert "xoxb" not in repr(recorded)


def test_nobody_hides_by_giving_their_own_id_as_a_secret(database_url: str) -> None:
    """A run's secret is chosen by who asks for it; who did what stays readable all the same."""
    engine = open_database(database_url, Scrubber(["U0MALLORY", "gate.approve", "C0OPS"]))
    migrate(engine)
    event = make_event(actor_id="U0MALLORY", action="gate.approve", channel="C0OPS", object="gate.approve")
    with engine.begin() as connection:
        append(connection, event)
    with reading(engine) as connection:
        (found,) = newest(connection)
    engine.dispose()

    assert (found.event.actor_id, found.event.action) == ("U0MALLORY", "gate.approve")
    assert (found.event.channel, found.event.object) == ("C0OPS", "[secret]")


def test_pages_go_back_without_gaps(engine: Engine) -> None:
    """Page after page, newest first, every event comes once, though new ones arrive meanwhile."""
    with engine.begin() as connection:
        append(connection, *(make_event(object=str(n)) for n in range(25)))
    seen: list[str] = []
    before = None
    while True:
        with engine.begin() as connection:
            page = newest(connection, before=before, limit=10)
            append(connection, make_event(object="late"))
        if not page:
            break
        seen += [recorded.event.object for recorded in page]
        before = page[-1].seq

    assert seen == [str(n) for n in reversed(range(25))]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Filter(actor_id="U2"), "b"),
        (Filter(action="command.health"), "c"),
        (Filter(outcome="denied"), "d"),
        (Filter(correlation="c9"), "e"),
        (Filter(outcome="accepted"), "f"),
        (Filter(actor_id="U1", outcome="ok", action="command.help", correlation=""), "a"),
        (Filter(actor_id="nobody"), ""),
        (Filter(actor_id="' OR 1=1 --"), ""),
    ],
)
def test_a_filter_finds_what_fits(engine: Engine, which: Filter, expected: str) -> None:
    """Every field of a filter narrows the page; what is asked for is data, never SQL."""
    with engine.begin() as connection:
        append(
            connection,
            make_event(object="a"),
            make_event(object="b", actor_id="U2"),
            make_event(object="c", action="command.health"),
            make_event(object="d", outcome="denied"),
            make_event(object="e", correlation="c9"),
            make_event(object="f", outcome="accepted"),
        )
    with reading(engine) as connection:
        found = "".join(recorded.event.object for recorded in newest(connection, which))

    assert found == expected


@pytest.mark.parametrize("which", [Filter(actor_id="U7"), Filter(correlation="c7"), Filter(outcome="denied")])
def test_a_rare_event_is_found_by_index(engine: Engine, which: Filter) -> None:
    """Among thousands of events, a filter that fits few does not read the table through."""
    with engine.begin() as connection:
        append(connection, *(make_event(actor_id=f"A{n}", correlation=f"r{n}") for n in range(5_000)))
        connection.execute(text("ANALYZE"))

    plan = plan_of(engine, lambda connection: newest(connection, which))

    assert "ix_audit_events_" in plan
    assert "Seq Scan on audit_events" not in plan


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET outcome = 'ok'",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE outcome = 'denied'",
    ],
)
def test_the_database_refuses_to_change_events(engine: Engine, statement: str) -> None:
    """Neither UPDATE nor DELETE gets past the triggers."""
    with engine.begin() as connection:
        append(connection, make_event(outcome="denied"))

    with pytest.raises(DBAPIError, match="never changed or removed"), engine.begin() as connection:
        connection.execute(text(statement))

    with reading(engine) as connection:
        assert [recorded.event.outcome for recorded in newest(connection)] == ["denied"]


def test_sqlite_refuses_to_replace_an_event(tmp_path: Path) -> None:
    """INSERT OR REPLACE, which asks no DELETE trigger, does not get past either."""
    engine = open_database(f"sqlite:///{tmp_path}/maint.db")
    migrate(engine)
    with engine.begin() as connection:
        append(connection, make_event())

    with pytest.raises(DBAPIError, match="never changed or removed"), engine.begin() as connection:
        connection.execute(text("INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events"))
    engine.dispose()


def test_postgres_refuses_to_truncate_events(postgres_url: str) -> None:
    """TRUNCATE does not get past the trigger."""
    engine = open_database(postgres_url)
    migrate(engine)

    with pytest.raises(DBAPIError, match="never changed or removed"), engine.begin() as connection:
        connection.execute(text("TRUNCATE audit_events"))
    engine.dispose()


def changes_of_events(source: str) -> Iterator[str]:
    """Calls in that source which change or remove audit events."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            words = ast.unparse(node)
            named = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            if named in ("update", "delete") and "audit_events" in words:
                yield words


@pytest.mark.parametrize(
    "source",
    ["delete(audit_events).where(x)", "schema.audit_events.update()", "sa.update(schema.audit_events)"],
)
def test_the_search_for_changes_finds_them(source: str) -> None:
    """The search below is not blind."""
    assert list(changes_of_events(source))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_function_changes_events(path: Path) -> None:
    """No code in the package updates or deletes audit events, but what removes them for their age."""
    allowed = ["delete(audit_events)"] if path.stem == "retention" else []

    assert list(changes_of_events(path.read_text())) == allowed
