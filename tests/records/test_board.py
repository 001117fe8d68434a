"""Which card of a run is drawn next, by whom, and how often Slack may be asked: shared by all replicas."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from runbooks.records import budgets, cards, notices, outbox, run_tables
from runbooks.records.budgets import Budget
from runbooks.records.cards import Card, Claim
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from runbooks.records.outbox import Batch
from tests.records.card_rows import NOW, add_run

PLENTY = Budget("plenty", 1000, 1000)
SECOND = timedelta(seconds=1)


def pay(card: Card) -> tuple[Budget, float]:
    return PLENTY, 0.0


def post_for_nothing(place: str) -> Budget:
    return PLENTY


@pytest.fixture(scope="module")
def own_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One file for all examples of a property: to migrate one for each would take minutes."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('board')}/maint.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def runs(engine: Engine) -> list[str]:
    """Three runs, each with a card that stands in Slack."""
    with engine.begin() as connection:
        found = [add_run(connection) for _ in range(3)]
        for number, run in enumerate(found):
            card = Card(kind="run", correlation=run, channel="C1", id=f"c{number}", ts=f"{number}.1")
            cards.add(connection, card)
    return found


def want(engine: Engine, run: str, version: int, priority: int = 1) -> None:
    with engine.begin() as connection:
        cards.want(connection, run, version, priority)


def claim(engine: Engine, now: datetime = NOW) -> Claim | float | None:
    with engine.begin() as connection:
        return cards.claim(connection, now, pay)


def claimed(engine: Engine, now: datetime = NOW) -> Claim:
    found = claim(engine, now)
    assert isinstance(found, Claim)
    return found


def test_a_card_that_shows_everything_is_not_claimed(engine: Engine, runs: list[str]) -> None:
    """What is not stale waits for nobody."""
    assert claim(engine) is None


def test_approvals_come_before_progress(engine: Engine, runs: list[str]) -> None:
    """The most urgent card is drawn first, whatever became stale first."""
    for run, priority in zip(runs, (0, 1, 3), strict=True):
        want(engine, run, 1, priority)

    assert [claimed(engine).card.id for _ in range(3)] == ["c2", "c1", "c0"]
    assert claim(engine) is None


def test_many_changes_of_a_run_are_one_drawing(engine: Engine, runs: list[str]) -> None:
    """The latest version wins, with the highest priority of all that is not drawn yet."""
    for version, priority in ((1, 0), (2, 3), (3, 1)):
        want(engine, runs[0], version, priority)
    first = claimed(engine)
    with engine.begin() as connection:
        cards.drawn(connection, first, 3, now=NOW)

    assert (first.card.wanted, first.card.priority) == (3, 3)
    assert claim(engine, NOW + 10 * SECOND) is None


def test_what_changes_while_it_is_drawn_is_drawn_again(engine: Engine, runs: list[str]) -> None:
    """But not sooner than a second and a half after the last drawing."""
    want(engine, runs[0], 1)
    first = claimed(engine)
    want(engine, runs[0], 2, 3)
    with engine.begin() as connection:
        assert cards.drawn(connection, first, 1, now=NOW)

    assert claim(engine, NOW + SECOND) is None
    assert claimed(engine, NOW + 1.5 * SECOND).card.priority == 3


def test_a_card_that_somebody_draws_is_left_alone_until_the_claim_is_over(
    engine: Engine, runs: list[str]
) -> None:
    """A replica that died on it holds nobody up for longer than the claim."""
    want(engine, runs[0], 1)
    claimed(engine)

    assert claim(engine, NOW + 59 * SECOND) is None
    assert claimed(engine, NOW + 60 * SECOND).tried


def test_who_comes_late_does_not_say_what_the_card_shows(engine: Engine, runs: list[str]) -> None:
    """When two drew it, nobody knows which drawing stands: it is drawn once more."""
    want(engine, runs[0], 1)
    slow = claimed(engine)
    quick = claimed(engine, NOW + 60 * SECOND)
    with engine.begin() as connection:
        assert cards.drawn(connection, quick, 1, now=NOW + 61 * SECOND)
        assert not cards.drawn(connection, slow, 1, now=NOW + 62 * SECOND)

    assert claimed(engine, NOW + 70 * SECOND).card.drawn == cards.UNKNOWN


def test_a_card_that_said_its_last_is_not_reconciled(engine: Engine, runs: list[str]) -> None:
    """Until its run changes once more: a review, say."""
    want(engine, runs[0], 1, 2)
    with engine.begin() as connection:
        first = cards.claim(connection, NOW, pay)
        assert isinstance(first, Claim)
        cards.drawn(connection, first, 1, now=NOW, done=True)
        before = {card.id for card in cards.standing(connection)}
        cards.want(connection, runs[0], 2, 2)
        after = {card.id for card in cards.standing(connection)}

    assert (before, after) == ({"c1", "c2"}, {"c0", "c1", "c2"})


def test_the_mending_of_commands_leaves_the_cards_of_runs(engine: Engine, runs: list[str]) -> None:
    """A card of a run is unfinished for as long as the run, and nobody may call it interrupted."""
    with engine.begin() as connection:
        assert cards.unfinished(connection, NOW + timedelta(days=9999)) == ()


def test_one_channel_that_is_full_holds_up_no_other(engine: Engine, runs: list[str]) -> None:
    """Posts wait for their channel's budget; what is to be edited, or posted elsewhere, does not."""
    empty = Budget("empty", 1, 0.5)
    with engine.begin() as connection:
        budgets.take(connection, empty, NOW)
        for number in range(3):
            new = Card(kind="run", correlation=runs[1], channel="FULL", id=f"n{number}", wanted=9, priority=3)
            cards.add(connection, new)
        cards.want(connection, runs[0], 1, 0)

        def price(card: Card) -> tuple[Budget, float]:
            return (empty if card.channel == "FULL" else PLENTY), 0.0

        first = cards.claim(connection, NOW, price)
        then = cards.claim(connection, NOW, price)

    assert isinstance(first, Claim)
    assert first.card.id == "c0"
    assert then == pytest.approx(2)


def test_two_replicas_never_draw_the_same_card(database_url: str) -> None:
    """Many claims at the same time: every stale card goes to exactly one."""
    engines = [open_database(database_url) for _ in range(2)]
    migrate(engines[0])
    with engines[0].begin() as connection:
        for number in range(30):
            run = add_run(connection)
            card = Card(kind="run", correlation=run, channel="C1", id=f"c{number}", ts="1.1", wanted=1)
            cards.add(connection, card)

    def draw_all(engine: Engine) -> list[str]:
        found = []
        while isinstance(one := claim(engine), Claim):
            found.append(one.card.id)
        return found

    with ThreadPoolExecutor(4) as pool:
        drawn = [card for cards_ in pool.map(draw_all, engines * 2) for card in cards_]
    for engine in engines:
        engine.dispose()

    assert sorted(drawn) == sorted(f"c{number}" for number in range(30))


def test_replicas_share_a_budget(database_url: str) -> None:
    """However many take at the same time, together they get what one bucket holds."""
    engines = [open_database(database_url) for _ in range(2)]
    migrate(engines[0])
    budget = Budget("shared", 10, 0.001)

    def take(engine: Engine) -> int:
        taken = 0
        for _ in range(10):
            with engine.begin() as connection:
                taken += budgets.take(connection, budget, NOW) == 0
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = sum(pool.map(take, engines * 2))
    for engine in engines:
        engine.dispose()

    assert taken == 10


@settings(deadline=None)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=40), st.integers(1, 10), st.floats(0.1, 5))
def test_a_budget_gives_no_more_than_its_rate(
    own_sqlite: Engine, pauses: list[float], size: int, rate: float
) -> None:
    """Over any time no more is taken than it held at first and gained since."""
    budget = Budget("b", size, rate)
    now, taken = NOW, 0
    with own_sqlite.begin() as connection:
        connection.execute(run_tables.budgets.delete())
        for pause in pauses:
            now += timedelta(seconds=pause)
            taken += budgets.take(connection, budget, now) == 0

    assert taken <= size + sum(pauses) * rate + 1e-3


def test_a_stopped_budget_gives_nothing_until_slack_said(engine: Engine) -> None:
    """Retry-After holds for all replicas, also those whose clock lags behind."""
    budget = Budget("b", 5, 1)
    with engine.begin() as connection:
        budgets.stop(connection, budget, NOW, 30)
        lagging = budgets.take(connection, budget, NOW - 10 * SECOND)
        early = budgets.take(connection, budget, NOW + 29 * SECOND)
        late = budgets.take(connection, budget, NOW + 30 * SECOND)

    assert (lagging, early, late) == (pytest.approx(30), pytest.approx(1), 0)


def test_what_is_kept_is_for_the_urgent(engine: Engine) -> None:
    """A taker that has to leave tokens behind leaves them."""
    budget = Budget("b", 3, 0.001)
    with engine.begin() as connection:
        modest = [budgets.take(connection, budget, NOW, keep=2) == 0 for _ in range(2)]
        urgent = [budgets.take(connection, budget, NOW) == 0 for _ in range(3)]

    assert (modest, urgent) == ([True, False], [True, True, False])


def letters(engine: Engine, now: datetime = NOW) -> Batch | float | None:
    with engine.begin() as connection:
        return outbox.claim(connection, now, post_for_nothing, lambda together: len(together) <= 3)


def test_messages_of_one_run_are_posted_together(engine: Engine, runs: list[str]) -> None:
    """In their order, into the thread of its card; those of another run are not among them."""
    with engine.begin() as connection:
        ids = [outbox.put(connection, runs[0], "note", {"text": str(n)}) for n in range(4)]
        outbox.put(connection, runs[1], "note", {"text": "other"})
    first = letters(engine)

    assert isinstance(first, Batch)
    assert [letter.id for letter in first.letters] == ids[:3]
    assert (first.channel, first.thread, first.card) == ("C1", "0.1", "c0")


def test_a_message_is_posted_once(engine: Engine, runs: list[str]) -> None:
    """What was claimed is nobody else's; what was sent is never claimed again."""
    with engine.begin() as connection:
        outbox.put(connection, runs[0], "note", {"text": "x"}, channel="C9")
    first = letters(engine)
    assert isinstance(first, Batch)
    assert (first.channel, first.thread) == ("C9", None)
    assert letters(engine) is None
    with engine.begin() as connection:
        outbox.sent(connection, first.letters, "1.2", NOW)

    assert letters(engine, NOW + timedelta(hours=1)) is None


def test_who_died_while_posting_leaves_word_that_it_was_tried(engine: Engine, runs: list[str]) -> None:
    """The next one knows that the message may have arrived."""
    with engine.begin() as connection:
        outbox.put(connection, runs[0], "note", {"text": "x"})
    first = letters(engine)
    again = letters(engine, NOW + 60 * SECOND)

    assert isinstance(first, Batch)
    assert isinstance(again, Batch)
    assert [batch.letters[0].attempts for batch in (first, again)] == [0, 1]


def test_a_thread_waits_for_its_card(engine: Engine, runs: list[str]) -> None:
    """Until the card is posted there is no thread; a message for a channel of its own does not wait."""
    with engine.begin() as connection:
        run = add_run(connection)
        cards.add(connection, Card(kind="run", correlation=run, channel="C1"))
        outbox.put(connection, run, "output", {"name": "log", "text": "x"})

    assert letters(engine) is None


def test_a_gate_that_is_decided_is_not_drawn_at_every_later_step(engine: Engine, runs: list[str]) -> None:
    """Its card said its last; the run's own card goes on."""
    with engine.begin() as connection:
        gate = Card(kind="gate", correlation=runs[0], channel="C2", id="gate", ts="9.9", wanted=1)
        cards.add(connection, gate)
        first = cards.claim(connection, NOW, pay)
        assert isinstance(first, Claim)
        cards.drawn(connection, first, 1, now=NOW, done=True)
        cards.want(connection, runs[0], 2, 1)
        later = NOW + 10 * SECOND
        again = [
            found.card.id for _ in range(2) if isinstance(found := cards.claim(connection, later, pay), Claim)
        ]

    assert again == ["c0"]


def test_a_card_that_was_given_up_is_tried_again_at_the_next_change(engine: Engine, runs: list[str]) -> None:
    """Also when that change came while it was being given up."""
    want(engine, runs[0], 1)
    first = claimed(engine)
    want(engine, runs[0], 2)
    with engine.begin() as connection:
        cards.give_up(connection, first, NOW)
    again = claimed(engine, NOW + 2 * SECOND)
    with engine.begin() as connection:
        cards.give_up(connection, again, NOW)

    assert claim(engine, NOW + 10 * SECOND) is None


def test_who_is_called_comes_before_new_cards(engine: Engine) -> None:
    """In the channel where somebody is to be called: there is one token a second for all of it."""
    about = {"about": "alert", "subject": "a", "kind": "mention", "target": "C1"}
    with engine.begin() as connection:
        for name, channel, priority in (("slow", "C1", 2), ("urgent", "C1", 3), ("other", "C2", 1)):
            card = Card(kind="run", correlation=name, channel=channel, id=name, wanted=1, priority=priority)
            cards.add(connection, card)
        notices.put(connection, "n", **about, body={}, at=NOW, priority=3)

    assert in_order(engine) == ["urgent", "other"]
    with engine.begin() as connection:
        (row,) = notices.of_subject(connection, "alert", "a")
        notices.arrived(connection, row, NOW)
    assert in_order(engine) == ["slow"]


def in_order(engine: Engine) -> list[str]:
    """The ids of all cards that may be drawn now, in order."""
    found = []
    while isinstance(next_one := claim(engine), Claim):
        found.append(next_one.card.id)
    return found
