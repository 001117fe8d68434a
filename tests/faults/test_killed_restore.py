"""Maint killed by kill -9 in the middle of a restore: a person decides, and nothing is lost meanwhile."""

from typing import Any

import psycopg
import pytest

from bot.sandbox import Message
from tests.faults.house import ROWS, House, opened
from tests.faults.test_killed_backup import BACKUP
from tests.scenario.floor import Floor
from tests.steps.backup_world import rows_of

BESIDE = """
    name: beside
    title: Restore beside
    steps:
      - id: new
        postgres.restore: {target: db, database: shop2, timeout: 5m}
"""
REPLACE = """
    name: replace
    title: Restore over
    steps:
      - id: two
        gate: {approvers: [sre], quorum: 2, expires: 1h}
      - id: over
        postgres.restore: {target: db, database: shop, replace: true, confirm: shop, timeout: 5m}
"""
COUNT = "SELECT count(*) FROM noise"
#: The server gives the restored database its name.
RENAMES = (
    "EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active'"
    " AND starts_with(query, 'ALTER DATABASE \"maint_restore_'))"
)


def databases(house: House) -> set[str]:
    """Those of the shop."""
    return {name for (name,) in rows_of(house.url.replace("/shop?", "/postgres?"), SHOPS)}


SHOPS = "SELECT datname FROM pg_database WHERE starts_with(datname, 'shop')"


@pytest.mark.timeout(180)
async def test_a_restore_that_was_killed_takes_nobodys_name_and_a_retry_ends_it(
    on_postgres: Floor, shop_url: str, s3_client: Any, s3_port: int
) -> None:
    """As a new database, and in the place of one: killed while it restores, and between the two renames."""
    on_postgres.runbook("backup", BACKUP)
    on_postgres.runbook("beside", BESIDE)
    on_postgres.runbook("replace", REPLACE)
    async with opened(on_postgres, shop_url, s3_client, s3_port) as house:
        await house.done("backup")

        async with house.programs.held("restore") as held:
            card = await house.start("beside", card="Restore beside")
            await held.reached()
            await house.kill()
        await house.begin_anew()
        await doubted(house, card)
        assert databases(house) == {"shop"}
        await retried(house, card)
        assert rows_of(shop_url.replace("/shop?", "/shop2?"), COUNT) == [(ROWS,)]

        async with house.programs.held("restored") as held:
            card = await house.start("replace", card="Restore over")
            await house.sees(card, "Waits for approval")
            await house.floor.press("sre1", card, "Approve")
            await house.floor.press("sre2", card, "Approve")
            await held.reached()
            (coming,) = house.scratch()
            # Whoever is in it keeps it from getting its name, for the five seconds that the server waits.
            with psycopg.connect(shop_url.replace("/shop?", f"/{coming}?")):
                held.let_go()
                await house.until(RENAMES, shop_url.replace("/shop?", "/postgres?"))
                await house.kill()
        await house.begin_anew()
        await doubted(house, card)
        assert databases(house) == {"shop", "shop2"}
        assert rows_of(shop_url, COUNT) == [(ROWS,)]
        await retried(house, card)
        (before,) = databases(house) - {"shop", "shop2"}
        assert before.startswith("shop_before_")


async def doubted(house: House, card: Message) -> None:
    """A person is asked."""
    await house.ends(card)
    assert "Needs a decision" in card.shown, card.shown


async def retried(house: House, card: Message) -> None:
    """A person says that it is to be tried again, and it succeeds."""
    await house.floor.press("admin", card, "Retry")
    await house.sees(card, "Done")
    await house.is_clean()
