"""The audit log is looked through page by page, and taken out whole, on both databases."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from commands.audit.sheet import COLUMNS, as_data, csv_rows, json_line
from runbooks.records import audit, chain, evidence, export, search
from runbooks.records.audit import Event, Recorded
from runbooks.records.database import reading
from runbooks.records.search import Wanted, Window
from tests.records.conftest import NOON, make_event, plan_of

PEOPLE, BOOKS, TARGETS, OUTCOMES = (
    ("U1", "U2", "U3"),
    ("vacuum", "deploy"),
    ("db", "app"),
    ("ok", "denied", "late"),
)


def fill(engine: Engine, count: int = 60) -> list[Recorded]:
    """Events of everybody, about everything, a minute apart; two of them at a time in one transaction."""
    made = [
        make_event(
            actor_id=PEOPLE[n % 3],
            actor_name=f"name {n % 3}",
            runbook=("", *BOOKS)[n % 3 if n % 7 else 0],
            targets=((), ("db",), ("db", "app"))[n % 5 % 3],
            outcome=OUTCOMES[n % 11 % 3],
            action=("run.started", "gate.approve", "gate.reject", "gateway")[n % 4],
            correlation=f"c{n % 6}",
            channel=f"C{n % 2}",
            channel_name=("ops", "alerts")[n % 2],
            object='=cmd|" /C calc"!A0\n\u2028é😀',
            details={"n": n, "é": ["=1", 1.5, None]},
            at=NOON + timedelta(minutes=n),
        )
        for n in range(count)
    ]
    for n in range(0, count, 2):
        with engine.begin() as connection:
            audit.append(connection, *made[n : n + 2])
    with reading(engine) as connection:
        return list(reversed(audit.newest(connection, limit=500)))


def fits(wanted: Wanted, recorded: Recorded) -> bool:
    """What a filter means, said plainly."""
    event = recorded.event
    prefix = wanted.action.endswith("*")
    return all(
        [
            not wanted.actors or event.actor_id in wanted.actors,
            not wanted.runbook or event.runbook == wanted.runbook,
            not wanted.target or wanted.target in event.targets,
            not wanted.outcomes or event.outcome in wanted.outcomes,
            not wanted.correlation or event.correlation == wanted.correlation,
            not wanted.channel or event.channel == wanted.channel,
            not wanted.channel_name or event.channel_name == wanted.channel_name,
            not wanted.action
            or (event.action.startswith(wanted.action[:-1]) if prefix else event.action == wanted.action),
            wanted.since is None or event.at >= wanted.since,
            wanted.until is None or event.at < wanted.until,
        ]
    )


def some(*values: str) -> st.SearchStrategy[str]:
    """One of them, or none."""
    return st.sampled_from(["", *values])


moments = st.none() | st.integers(-5, 70).map(lambda n: NOON + timedelta(minutes=n, seconds=n % 2 * 30))
filters = st.builds(
    Wanted,
    actors=st.lists(st.sampled_from([*PEOPLE, "U9"]), unique=True, max_size=3).map(tuple),
    runbook=some(*BOOKS),
    target=some(*TARGETS),
    outcomes=st.lists(st.sampled_from(OUTCOMES), unique=True, max_size=2).map(tuple),
    action=some("run.started", "gate.*", "gate.approve", "*"),
    correlation=some("c1", "c2"),
    channel=some("C1"),
    channel_name=some("ops"),
    since=moments,
    until=moments,
)


@pytest.fixture
def filled(engine: Engine) -> tuple[Engine, list[Recorded]]:
    """A database with sixty events, and what they are, oldest first."""
    return engine, fill(engine)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters, size=st.integers(1, 30))
def test_the_pages_together_are_what_fits_in_both_directions(
    filled: tuple[Engine, list[Recorded]], wanted: Wanted, size: int
) -> None:
    """Nothing is left out between two pages and nothing comes twice, whatever the filters and the size."""
    engine, everything = filled
    expected = [each for each in everything if fits(wanted, each)]
    with reading(engine) as connection:
        back: list[Recorded] = []
        while page := search.newest(connection, wanted, before=back[-1].seq if back else None, limit=size):
            back += page
        forth: list[Recorded] = []
        while page := search.oldest(connection, wanted, after=forth[-1].seq if forth else 0, limit=size):
            forth += page

    assert back[::-1] == expected
    assert forth == expected


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters, size=st.integers(1, 30))
def test_an_export_has_every_event_that_fits_once(
    filled: tuple[Engine, list[Recorded]], wanted: Wanted, size: int
) -> None:
    """As JSON lines and as rows: the same events, the same columns, however large the pieces are."""
    engine, everything = filled
    expected = [each for each in everything if fits(wanted, each)]
    lines, rows = "", []
    with reading(engine) as connection:
        left = search.window(connection, wanted)
        while not left.empty and (piece := export.json_lines(connection, wanted, left, size)).count:
            lines += piece.text
            left = Window(piece.last + 1, left.last)
        left = search.window(connection, wanted)
        while not left.empty and (listed := export.listed(connection, wanted, left, size)).count:
            rows += listed.rows
            left = Window(listed.last + 1, left.last)

    assert [json.loads(line) for line in lines.split("\n")[:-1]] == [as_data(each) for each in expected]
    assert [row[0] for row in rows] == [each.seq for each in expected]
    assert all(len(row) == len(COLUMNS) for row in rows)


def test_the_hash_of_an_event_can_be_computed_from_its_line(filled: tuple[Engine, list[Recorded]]) -> None:
    """From the export's line and from the one that evidence has, on both databases."""
    engine, everything = filled
    with reading(engine) as connection:
        text = export.json_lines(connection, Wanted(), Window(1, 60)).text
    prev = chain.GENESIS
    for line, recorded in zip(text.split("\n")[:-1], everything, strict=True):
        for found in (json.loads(line), json.loads(json_line(recorded))):
            details = json.dumps(found["details"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            assert chain.hash_of({**found, "details": details}) == found["hash"]
            assert found["prev"] == prev
        prev = recorded.hash


def test_18_an_export_as_csv_holds_no_formula(filled: tuple[Engine, list[Recorded]]) -> None:
    """A cell that people chose begins with an apostrophe when it would be carried out."""
    engine, _ = filled
    with reading(engine) as connection:
        text = csv_rows(export.listed(connection, Wanted(), Window(1, 60)).rows)

    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 60
    assert {row[COLUMNS.index("object")] for row in rows} == {'\'=cmd|" /C calc"!A0\n\u2028é😀'}


def test_13_whatever_is_looked_for_is_data(engine: Engine) -> None:
    """No filter's text becomes part of a statement, nor a pattern."""
    fill(engine, 4)
    hostile = "' OR 1=1 --"
    with reading(engine) as connection:
        for name in ("runbook", "target", "action", "correlation", "channel", "channel_name"):
            wanted = replace(Wanted(), **{name: hostile})
            assert search.newest(connection, wanted) == ()
        assert search.newest(connection, Wanted(actors=(hostile,), outcomes=(hostile,))) == ()
        assert search.newest(connection, Wanted(action="g%.*")) == ()
        assert search.newest(connection, Wanted(action="gate_*")) == ()


def test_people_are_found_by_id_name_and_login(engine: Engine) -> None:
    """Whatever the case; a name that two had stands for both."""
    with engine.begin() as connection:
        audit.append(
            connection,
            make_event(actor_id="U1", actor_name="Kim"),
            make_event(actor_id="kim@bastion", actor_name="kim", actor_kind="terminal"),
            make_event(actor_id="U2", actor_name="ÄRGER"),
        )
    with reading(engine) as connection:
        assert search.people(connection, "kim") == ("U1", "kim@bastion")
        assert search.people(connection, "u1") == ("U1",)
        assert search.people(connection, "Ärger") == ("U2",)
        assert search.people(connection, "nobody") == ()
        assert sorted(search.names(connection)) == ["Kim", "kim", "ÄRGER"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(actors=("U1",)), "ix_audit_events_actor"),
        (Wanted(runbook="vacuum"), "ix_audit_events_runbook"),
        (Wanted(correlation="c1"), "ix_audit_events_correlation"),
        (Wanted(action="run.started"), "ix_audit_events_action"),
        (Wanted(outcomes=("denied",)), "ix_audit_events_notable"),
        (Wanted(target="db"), "audit_targets"),
    ],
)
def test_a_filter_walks_its_index(engine: Engine, wanted: Wanted, index: str) -> None:
    """On SQLite, whose planner says so of an empty table too: no page reads all of the log, or sorts it."""
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL decides by how many rows there are: benchmarks/search.py measures it")

    def page(connection: Connection) -> object:
        return search._page(connection, wanted, Window(1, 100), 20, newest_first=True)

    plan = plan_of(engine, page)
    assert index in plan
    inner = plan.splitlines()
    assert not any("TEMP B-TREE" in step for step in inner[: len(inner) // 2])


Harm = Callable[[Connection], Any]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit_events SET object = 'x' WHERE seq = 10", "event 10 was changed"),
        ("DELETE FROM audit_events WHERE seq = 10", "event 10 is missing"),
        ("DELETE FROM audit_events WHERE seq >= 15", "event 15 is missing"),
        ("UPDATE audit_names SET name = 'x' WHERE actor_id = 'U2'", "the name in event 5 was changed"),
        ("DELETE FROM audit_names WHERE actor_id = 'U2'", "the name in event 5 is missing"),
    ],
)
def test_a_part_of_the_chain_says_what_does_not_fit(engine: Engine, statement: str, said: str) -> None:
    """The first event that was changed or removed, whoever got past the triggers."""
    everything = fill(engine)
    with engine.begin() as connection:
        _disarm(connection)
        connection.exec_driver_sql(statement)
    with reading(engine) as connection:
        found = evidence.check(connection, Window(4, 20), everything[2].hash)

    assert found.fault == said


def test_a_part_of_the_chain_is_checked_in_pieces(filled: tuple[Engine, list[Recorded]]) -> None:
    """Each goes on from the hash of the one before; a wrong one is a fault."""
    engine, everything = filled
    with reading(engine) as connection:
        first = evidence.check(connection, Window(4, 20), everything[2].hash, limit=10)
        rest = evidence.check(connection, Window(4 + first.count, 20), first.hash)
        wrong = evidence.check(connection, Window(4, 20), everything[3].hash)

    assert (first.count, rest.count, rest.fault) == (10, 7, "")
    assert rest.hash == everything[19].hash
    assert wrong.fault == "event 4 does not follow the one before it"


def _disarm(connection: Connection) -> None:
    """Takes the triggers away, as who owns the database can."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'"
        for (name,) in connection.exec_driver_sql(query).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    else:
        for table in ("audit_events", "audit_names"):
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")


def test_names_of_targets_that_do_not_fit_are_left_whole(engine: Engine) -> None:
    """Where there are too many for one event the last are left out: half a name is another target's."""
    names = tuple(f"target-{n:04}-{'x' * 80}" for n in range(200))
    event: Event = make_event(targets=names)
    with engine.begin() as connection:
        audit.append(connection, event)
    with reading(engine) as connection:
        (recorded,) = audit.newest(connection)
        found = search.newest(connection, Wanted(target=names[3]))

    assert recorded.event.targets == names[: len(recorded.event.targets)]
    assert 50 < len(recorded.event.targets) < 200
    assert found == (recorded,)
