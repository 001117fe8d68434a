"""The shop's database is maintained from Slack: asked for by one person, approved by another one."""

import re

import pytest

from bot.demo.demo import Running
from tests.demo.test_runbooks import approve_all, card_of


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace takes as many messages as it is sent."""
    monkeypatch.setattr("runbooks.records.cards.INTERVAL", 0.05)


async def test_the_monthly_evening_runs_to_its_end(serviced: Running) -> None:
    """The only database needs no name; the gate shows what would be reached, the card what the demo lacks."""
    card = await card_of(serviced, "database-maintenance watch=2s watch-every=1s", "Maintenance of db")
    # The card may be drawn anew before the click shows on it.
    asked = "\n".join(await approve_all(serviced, card, lambda: "Done" in card.shown))

    assert "lock SHARE UPDATE EXCLUSIVE" in asked or "nothing has to be done at this moment" in asked
    assert "longest open transaction" in asked
    assert "replication: no replicas" in asked
    assert "Before and after" in card.shown
    assert re.search(r"dead rows [\d,.]+ → [\d,.]+", card.shown)
    thread = "\n".join(each.shown for each in serviced.sandbox.thread(card))
    table = thread[thread.index("Before and after") :]
    assert re.search(r"^ +before +after$", table, re.MULTILINE)
    assert re.search(r"^dead rows +[\d,.]+ +[\d,.]+$", table, re.MULTILINE)


async def test_the_welcome_says_how_it_begins(serviced: Running) -> None:
    """With the words that the other tests type."""
    first = serviced.sandbox.messages("ops")[0]

    assert "`/maint run backup-daily`" in first.text
    assert "`/maint run database-maintenance watch=1m watch-every=15s`" in first.text


async def test_slow_queries_say_what_the_demo_lacks(serviced: Running) -> None:
    """And who waits for whom is looked at all the same."""
    card = await card_of(serviced, "slow-queries target=db", "Slow queries of db")
    await serviced.sandbox.wait_for(lambda: "Done" in card.shown, 20)

    assert "Who waits for whom" in card.shown


async def test_the_week_is_compared_with_a_baseline_that_people_agreed_on(serviced: Running) -> None:
    """First there is none; whoever agrees sees the numbers, and the next review has one."""
    line = "performance-review app=shop log=shop-access-log db=db cache=cache host=local"
    card = await card_of(serviced, f"{line} update=true", "Performance of shop")
    seen = await approve_all(serviced, card, lambda: "Done" in card.shown)

    assert "no data → " in seen[-1]
