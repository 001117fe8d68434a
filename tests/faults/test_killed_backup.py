"""Maint killed by kill -9 in each phase of a backup and of its proof: the next one ends what it began."""

from typing import Any

import psycopg
import pytest

from tests.backups.lines import bad_line
from tests.faults.house import House, opened
from tests.scenario.floor import Floor

KEY = "the-key-of-the-backups-which-is-long"
BACKUP = """
    name: backup
    title: Back up
    steps:
      - id: dump
        postgres.backup: {target: db, store: vault, timeout: 5m}
"""
PROOF = """
    name: proof
    title: Prove it
    steps:
      - id: prove
        postgres.verify_backup: {target: db, timeout: 5m}
"""
#: A session of ours waits for a lock.
WAITS = (
    "EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'maint backup%'"
    " AND wait_event_type = 'Lock')"
)
#: Bytes of a run's upload that go through before the line hangs: one part of two.
ONE_PART = 6_000_000


def dumps(house: House) -> set[str]:
    """The dumps that the folder has."""
    return {name for name in house.stored() if name.endswith(".enc")}


@pytest.mark.timeout(180)
async def test_a_backup_is_made_once_though_each_of_its_phases_is_somebodys_last(
    on_postgres: Floor, shop_url: str, s3_client: Any, s3_port: int
) -> None:
    """While it dumps and encrypts, looks at the dump, gives it its name, and uploads it."""
    on_postgres.runbook("backup", BACKUP)
    with bad_line(s3_port) as line:
        async with opened(on_postgres, shop_url, s3_client, line.port, key=KEY) as house:
            await house.done("backup")
            earlier, objects = house.stored(), house.objects()

            async with house.programs.held("dump") as held:
                card = await house.start("backup")
                await held.reached()
                assert len(house.parts()) == 1
                await house.kill()
            assert house.stored() == earlier
            async with house.programs.held("list") as held:
                await house.begin_anew()
                await held.reached()
                await house.kill()
            assert house.stored() == earlier
            house.dies_at_rename(".dump.enc")
            await house.begin_anew()
            await house.is_dead()
            assert dumps(house) == {name for name in earlier if name.endswith(".enc")}
            line.hold_after = line.sent + ONE_PART
            await house.begin_anew()
            await house.uploading()
            await house.kill()
            assert house.objects() == objects
            line.hold_after = None
            line.freed.set()

            await house.begin_anew()
            await house.ends(card)
            await house.is_clean()
            stored, there = house.stored(), house.objects()

    assert "Done" in card.shown, card.shown
    assert earlier.items() <= stored.items()
    assert objects.items() <= there.items()
    assert len(stored) == len(there) == 4


@pytest.mark.timeout(180)
async def test_a_proof_is_repeated_and_leaves_no_scratch_database(
    on_sqlite: Floor, shop_url: str, s3_client: Any, s3_port: int
) -> None:
    """Killed while it restores, and while it compares."""
    on_sqlite.runbook("backup", BACKUP)
    on_sqlite.runbook("proof", PROOF)
    async with opened(on_sqlite, shop_url, s3_client, s3_port) as house:
        await house.done("backup")
        earlier = house.stored()
        async with house.programs.held("restore") as held:
            card = await house.start("proof", card="Prove it")
            await held.reached()
            assert len(house.scratch()) == 1
            await house.kill()
        async with house.programs.held("restored") as held:
            await house.begin_anew()
            await held.reached()
            (scratch,) = house.scratch()
            copy = shop_url.replace("/shop?", f"/{scratch}?")
            with psycopg.connect(copy) as other:
                other.execute("LOCK noise IN ACCESS EXCLUSIVE MODE")
                held.let_go()
                await house.until(WAITS)
                await house.kill()
        await house.begin_anew()
        await house.ends(card)
        await house.is_clean()
        stored = house.stored()

    assert "Done" in card.shown, card.shown
    assert stored == earlier
