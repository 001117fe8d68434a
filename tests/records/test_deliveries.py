"""What is delivered twice has one effect, whoever asks and however many at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from runbooks.records.audit import newest
from runbooks.records.database import reading
from runbooks.records.deliveries import Entry, record
from tests.records.conftest import make_event


def outcomes(engine: Engine) -> list[str]:
    """The outcomes in the log, oldest first."""
    with reading(engine) as connection:
        return [recorded.event.outcome for recorded in reversed(newest(connection, limit=500))]


def test_a_second_delivery_is_a_duplicate(engine: Engine) -> None:
    """The second delivery of a key is answered with False, and stands in the log as a duplicate."""
    answers = []
    for _ in range(2):
        with engine.begin() as connection:
            answers += record(connection, [Entry(make_event(), "envelope-1")])

    assert answers == [True, False]
    assert outcomes(engine) == ["ok", "duplicate"]


def test_the_same_key_twice_in_one_transaction_counts_once(engine: Engine) -> None:
    """Of two equal deliveries that are recorded together, the first is the first."""
    with engine.begin() as connection:
        answers = record(connection, [Entry(make_event(), key) for key in ("a", "a", "b", "a")])

    assert answers == [True, False, True, False]


def test_an_event_without_a_delivery_is_always_the_first(engine: Engine) -> None:
    """Events that Slack did not deliver are never duplicates."""
    with engine.begin() as connection:
        assert record(connection, [Entry(make_event()), Entry(make_event())]) == [True, True]


def test_the_same_event_object_may_be_delivered_again(engine: Engine) -> None:
    """A duplicate has an id of its own, so that it can stand beside the first."""
    event = make_event()
    with engine.begin() as connection:
        record(connection, [Entry(event, "k"), Entry(event, "k")])

    assert outcomes(engine) == ["ok", "duplicate"]


def test_a_rolled_back_delivery_may_come_again(engine: Engine) -> None:
    """When the transaction fails, the key is not used up."""
    with engine.connect() as connection:
        record(connection, [Entry(make_event(), "k")])
        connection.rollback()
    with engine.begin() as connection:
        assert record(connection, [Entry(make_event(), "k")]) == [True]


def test_a_key_is_not_stored_as_it_is(engine: Engine) -> None:
    """Only a digest of the key is kept: a key may hold a token."""
    with engine.begin() as connection:
        record(connection, [Entry(make_event(), "s3cret")])
        stored = connection.execute(text("SELECT digest FROM deliveries")).scalar_one()

    assert len(stored) == 64
    assert "s3cret" not in stored


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=5), max_size=8))
def test_any_key_is_claimed_once(engine: Engine, keys: list[str]) -> None:
    """Whatever characters keys have: each is the first exactly the first time."""
    with engine.connect() as connection:
        answers = record(connection, [Entry(make_event(), key) for key in keys])
        connection.rollback()

    assert answers == [key not in keys[:n] for n, key in enumerate(keys)]


def test_of_many_at_once_one_is_the_first(engine: Engine) -> None:
    """Eight threads that claim the same twenty keys in different orders: each key is won once."""
    keys = [f"key-{n}" for n in range(20)]
    start = threading.Barrier(8)

    def claim(shift: int) -> list[str]:
        mine = keys[shift:] + keys[:shift]
        start.wait(10)
        won = []
        for pair in zip(mine[::2], mine[1::2], strict=True):
            with engine.begin() as connection:
                answers = record(connection, [Entry(make_event(), key) for key in pair])
            won += [key for key, first in zip(pair, answers, strict=True) if first]
        return won

    with ThreadPoolExecutor(8) as threads:
        won = [key for claimed in threads.map(claim, range(8)) for key in claimed]

    assert sorted(won) == sorted(keys)
    assert outcomes(engine).count("duplicate") == 7 * 20
