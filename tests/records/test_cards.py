"""Cards that nobody works on any more are found after a crash."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from runbooks.records import cards
from runbooks.records.cards import Card

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def card(minutes: int) -> Card:
    created_at = NOW - timedelta(minutes=minutes)
    return Card(kind="command", correlation="c1", channel="C1", created_at=created_at)


def test_unfinished_cards_are_found_oldest_first(engine: Engine) -> None:
    """Those that were finished, and those too young to be given up, are not among them."""
    young, old, older, done = card(1), card(20), card(30), card(40)
    with engine.begin() as connection:
        for each in (young, old, older, done):
            cards.add(connection, each)
        cards.finished(connection, done.id)

        assert cards.unfinished(connection, NOW - timedelta(minutes=10)) == (older, old)


def test_a_card_stands_in_one_place(engine: Engine) -> None:
    """The place of a card is noted once: who comes second is told so, and the first place stays."""
    one = card(20)
    with engine.begin() as connection:
        cards.add(connection, one)
        answers = [cards.posted(connection, one.id, ts) for ts in ("1.1", "2.2")]
        (found,) = cards.unfinished(connection, NOW)

    assert answers == [True, False]
    assert found.ts == "1.1"


def test_a_card_that_is_not_known_has_no_place(engine: Engine) -> None:
    """Noting the place of a card that was never added says so."""
    with engine.begin() as connection:
        assert cards.posted(connection, "unknown", "1.1") is False
