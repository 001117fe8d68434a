"""Where cards stand is known after a crash."""

from sqlalchemy import Engine

from runbooks.records import cards
from runbooks.records.cards import Card


def test_a_card_is_found_by_its_request(engine: Engine) -> None:
    """The cards of one request are found in the order in which they were made, those of others not."""
    first = Card(kind="health", correlation="c1", channel="C1")
    second = Card(kind="thread", correlation="c1", channel="C1", ts="1.2")
    with engine.begin() as connection:
        for card in (first, second, Card(kind="health", correlation="c2", channel="C1")):
            cards.add(connection, card)

        assert cards.of(connection, "c1") == (first, second)


def test_a_card_stands_in_one_place(engine: Engine) -> None:
    """The place of a card is noted once: who comes second is told so, and the first place stays."""
    card = Card(kind="health", correlation="c1", channel="C1")
    with engine.begin() as connection:
        cards.add(connection, card)
        answers = [cards.posted(connection, card.id, ts) for ts in ("1.1", "2.2")]
        (found,) = cards.of(connection, "c1")

    assert answers == [True, False]
    assert found.ts == "1.1"


def test_a_card_that_is_not_known_has_no_place(engine: Engine) -> None:
    """Noting the place of a card that was never added says so."""
    with engine.begin() as connection:
        assert cards.posted(connection, "unknown", "1.1") is False
