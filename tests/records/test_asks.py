"""What people are asked is opened once and closed once, whoever comes at the same moment."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine

from runbooks.records import asks
from runbooks.records.asks import Question
from runbooks.records.database import open_database
from runbooks.records.person import Person
from runbooks.records.runs import VoteRow, run_row
from runbooks.scrub import Scrubber
from tests.records.conftest import plan_of
from tests.records.run_rows import NOON, add_ask, add_run, gate_spec

ANN = Person(kind="slack", id="U2", name="Ann")
LATER = NOON + timedelta(minutes=5)


@pytest.fixture
def other(engine: Engine, database_url: str) -> Iterator[Engine]:
    """The same database, as another replica has it."""
    other = open_database(database_url)
    yield other
    other.dispose()


def question(run: str, **changes: object) -> Question:
    values = {"path": "go", "kind": "gate", "title": "Go?", "choices": ("approve",), "spec": {}} | changes
    return Question(run=run, **values)  # type: ignore[arg-type]


def vote(ask: str, person: str = "U2", choice: str = "approve") -> VoteRow:
    return VoteRow(
        ask=ask, person=person, name="Ann", kind="slack", choice=choice, reason="", break_glass=False, at=NOON
    )


def at_once(engines: list[Engine], work: Callable[[Connection, int], object], times: int) -> list[object]:
    """What `work` returned to each of as many threads, which all begin at the same moment."""
    barrier = Barrier(times)

    def one(number: int) -> object:
        barrier.wait(timeout=20)
        with engines[number % len(engines)].begin() as connection:
            return work(connection, number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(one, range(times)))


def test_an_ask_is_opened_once(engine: Engine) -> None:
    """Whoever opens it again gets the first one, with what it said then."""
    with engine.begin() as connection:
        run = add_run(connection)
        first, opened = asks.open_ask(connection, question(run), NOON)
        second, again = asks.open_ask(connection, question(run, title="Else?"), LATER)

    assert (opened, again) == (True, False)
    assert second == first
    assert (first.round, first.state, first.choices) == (1, "open", ("approve",))


def test_a_round_that_is_there_is_not_opened_again(engine: Engine) -> None:
    """A round that is asked for by its number is opened once, too."""
    with engine.begin() as connection:
        run = add_run(connection)
        first, opened = asks.open_ask(connection, question(run, round=3), NOON)
        assert asks.open_ask(connection, question(run, round=3), LATER) == (first, False)

    assert opened
    assert first.round == 3


def test_a_closed_ask_is_followed_by_a_new_round_only_on_demand(engine: Engine) -> None:
    """Without `again` the newest is given, closed as it is; with it, one that is open is not doubled."""
    with engine.begin() as connection:
        run = add_run(connection)
        first, _ = asks.open_ask(connection, question(run), NOON)
        closed = asks.close_ask(connection, first.id, answer="approve", at=LATER, by=ANN)
        assert asks.open_ask(connection, question(run), LATER) == (closed, False)
        second, opened = asks.open_ask(connection, question(run), LATER, again=True)
        assert asks.open_ask(connection, question(run), LATER, again=True) == (second, False)

    assert opened
    assert (second.round, second.state) == (2, "open")


def test_asks_of_other_steps_and_kinds_are_others(engine: Engine) -> None:
    """A question after a failure is not the gate of the same step."""
    with engine.begin() as connection:
        run = add_run(connection)
        opened = [
            asks.open_ask(connection, question(run, **changes), NOON)[1]
            for changes in ({}, {"kind": "failed"}, {"path": "next"})
        ]

    assert opened == [True, True, True]


def test_an_ask_is_closed_once(engine: Engine) -> None:
    """Who comes second is told so, and the first answer stands."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection), remind_at=LATER)
        first = asks.close_ask(
            connection, ask.id, answer="reject", at=LATER, by=ANN, reason="no", evidence="e"
        )
        second = asks.close_ask(connection, ask.id, answer="approve", at=LATER)
        taken = asks.take(connection, ask.id)

    assert second is None
    assert first is not None
    assert (first.state, first.answer, first.answered_by, first.answered_name) == (
        "closed", "reject", "U2", "Ann"
    )  # fmt: skip
    assert (first.reason, first.evidence, first.closed_at, first.remind_at) == ("no", "e", LATER, None)
    assert taken is not None
    assert taken[1] == first


def test_of_many_who_close_an_ask_one_does(engine: Engine, other: Engine) -> None:
    """Two replicas, eight people, one moment: one of them closes it."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection))

    closed = at_once(
        [engine, other], lambda c, n: asks.close_ask(c, ask.id, answer=f"answer {n}", at=LATER), 8
    )

    assert len([one for one in closed if one is not None]) == 1


def test_of_many_who_open_a_round_one_does(engine: Engine, other: Engine) -> None:
    """Two replicas that open the same ask have the same one afterwards."""
    with engine.begin() as connection:
        run = add_run(connection)

    opened = at_once([engine, other], lambda c, _: asks.open_ask(c, question(run, round=1), NOON), 6)

    assert len({ask.id for ask, _ in opened}) == 1  # type: ignore[misc]
    assert [new for _, new in opened].count(True) == 1  # type: ignore[misc]


@pytest.mark.parametrize("answered", [False, True])
def test_an_ask_is_void_with_its_votes_and_only_once(engine: Engine, answered: bool) -> None:
    """Also one that was approved: it is neither open nor answered afterwards, and can not be closed."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection))
        if answered:
            asks.close_ask(connection, ask.id, answer="approve", at=NOON, by=ANN)
        voided = asks.void(connection, ask.id, "the plan has changed", LATER)
        again = asks.void(connection, ask.id, "once more", LATER)
        closed = asks.close_ask(connection, ask.id, answer="approve", at=LATER)

    assert voided is not None
    assert (voided.state, voided.reason) == ("void", "the plan has changed")
    assert voided.closed_at == (NOON if answered else LATER)
    assert again is None
    assert closed is None


def test_what_was_rejected_is_not_made_void(engine: Engine) -> None:
    """A plan that changes does not undo what people refused."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection))
        rejected = asks.close_ask(connection, ask.id, answer="reject", at=NOON, by=ANN, reason="no")
        voided = asks.void(connection, ask.id, "the plan has changed", LATER)

        assert voided is None
        assert asks.newest_ask(connection, ask.run, "go", "gate") == rejected


def test_a_person_has_one_vote(engine: Engine) -> None:
    """The second vote of the same person does not count, and the first stays as it was."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection))
        added = [asks.add_vote(connection, vote(ask.id, person)) for person in ("U2", "U3", "U2")]
        found = asks.votes_of(connection, ask.id)

    assert added == [True, True, False]
    assert [one.person for one in found] == ["U2", "U3"]


def test_a_person_who_clicks_many_times_at_once_has_one_vote(engine: Engine, other: Engine) -> None:
    """A double click that reaches two replicas is one vote."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection))

    added = at_once([engine, other], lambda c, _: asks.add_vote(c, vote(ask.id)), 6)

    assert added.count(True) == 1


def test_a_person_may_change_their_mind(engine: Engine) -> None:
    """A vote that is put takes the place of the same person's earlier one."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection))
        asks.add_vote(connection, vote(ask.id))
        asks.put_vote(connection, vote(ask.id, choice="reject"))
        found = asks.votes_of(connection, ask.id)

    assert [one.choice for one in found] == ["reject"]


def test_a_reminder_is_counted_once(engine: Engine) -> None:
    """Of two that would send the same reminder one does, and none is sent for what is closed."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection), remind_at=NOON)
        counted = [asks.reminded(connection, ask, LATER) for _ in range(2)]
        (found,) = asks.open_asks(connection)
        asks.close_ask(connection, ask.id, answer="approve", at=LATER)
        after = asks.reminded(connection, found, None)

    assert counted == [True, False]
    assert (found.reminded, found.remind_at) == (1, LATER)
    assert after is False


def test_due_reminders_are_found_longest_due_first(engine: Engine) -> None:
    """Those of closed asks, and those that are not due, are not among them."""
    with engine.begin() as connection:
        run = add_run(connection)
        times = {"a": 0, "b": -10, "c": 5, "d": -20}
        made = {
            path: add_ask(connection, run, path=path, remind_at=NOON + timedelta(minutes=minutes))
            for path, minutes in times.items()
        }
        add_ask(connection, run, path="e")
        asks.close_ask(connection, made["d"].id, answer="approve", at=NOON)
        found = asks.due_reminders(connection, NOON)

    assert [ask.path for ask in found] == ["b", "a"]


def test_due_reminders_are_found_by_index(engine: Engine) -> None:
    """Looking for them does not read every ask there ever was."""
    plan = plan_of(engine, lambda connection: asks.due_reminders(connection, NOON))

    if engine.dialect.name == "sqlite":  # an empty table of PostgreSQL's is read as a whole, index or not
        assert "ix_asks_open" in plan


def test_what_is_open_is_listed_oldest_first(engine: Engine) -> None:
    """Of all runs, and of one kind if asked; what is closed or void is not listed."""
    with engine.begin() as connection:
        run, done = add_run(connection), add_run(connection, state="succeeded")
        gate = add_ask(connection, run)
        review = add_ask(connection, done, kind="review", choices=("reviewed",))
        closed, void = add_ask(connection, run, path="a"), add_ask(connection, run, path="b")
        asks.close_ask(connection, closed.id, answer="approve", at=NOON)
        asks.void(connection, void.id, "", NOON)

        assert asks.open_asks(connection) == (gate, review)
        assert asks.open_asks(connection, ["review"]) == (review,)


def test_an_ask_that_is_closed_is_not_handed_over(engine: Engine) -> None:
    """Handing over changes an open ask, and makes a reminder due."""
    with engine.begin() as connection:
        ask = add_ask(connection, add_run(connection), kind="manual")
        handed = asks.hand_over(connection, ask.id, {"assignee": {"id": "U9"}}, LATER)
        asks.close_ask(connection, ask.id, answer="done", at=LATER)
        late = asks.hand_over(connection, ask.id, {}, LATER)

    assert handed is not None
    assert (handed.spec, handed.remind_at) == ({"assignee": {"id": "U9"}}, LATER)
    assert late is None


def test_a_taken_ask_comes_with_its_run(engine: Engine) -> None:
    """What is not there can not be taken."""
    with engine.begin() as connection:
        run = add_run(connection)
        ask = add_ask(connection, run)

        assert asks.take(connection, ask.id) == (run_row(connection, run), ask)
        assert asks.take(connection, "unknown") is None


def test_no_secret_is_kept(database_url: str, engine: Engine) -> None:
    """Whatever people or runbooks say, what the scrubber knows does not reach the rows."""
    scrubbing = open_database(database_url, Scrubber(["hunter22"]))
    spec = gate_spec(message="with hunter22", changes=["was hunter22"])
    with scrubbing.begin() as connection:
        run = add_run(connection)
        ask = add_ask(connection, run, title="hunter22?", spec=spec)
        asks.put_vote(connection, VoteRow(**{**vars(vote(ask.id)), "reason": "hunter22"}))
        votes = asks.votes_of(connection, ask.id)
        closed = asks.close_ask(
            connection, ask.id, answer="approve", at=NOON, reason="hunter22", evidence="hunter22"
        )
        voided = asks.void(connection, ask.id, "hunter22", NOON)
    scrubbing.dispose()

    assert "hunter22" not in repr((ask, votes, closed, voided))
    assert ask.spec["changes"] == ["was [secret]"]
