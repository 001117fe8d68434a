"""Maint killed by kill -9 in the middle of work on a PostgreSQL, and people who cancel it there."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.faults.house import opened
from tests.scenario.floor import Floor
from tests.steps.backup_world import rows_of
from tests.steps.maintaining import execute, running_in
from tests.steps.postgres_servers import BINARIES, run_server, session, until

REINDEX = """
    name: reindex
    title: Rebuild
    steps:
      - id: build
        postgres.reindex: {target: db, tables: [few], timeout: 2m}
"""
SET = """
    name: set
    title: More memory
    steps:
      - id: memory
        postgres.set: {target: db, settings: {work_mem: 8MB}, timeout: 2m}
"""
INVALID = "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE NOT indisvalid"
WRITTEN = "SELECT setting FROM pg_file_settings WHERE name = 'work_mem' AND sourcefile LIKE '%auto.conf'"


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """That process of the server stands still, and notices nothing, until the block is over."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(180)
async def test_a_rebuild_is_repeated_and_leaves_no_index_of_the_one_that_died(
    on_postgres: Floor, shop_url: str, s3_client: Any, s3_port: int
) -> None:
    """The repetition begins while the server has not yet noticed: what that leaves goes too."""
    execute(shop_url, "CREATE INDEX by_n ON few (n)")
    on_postgres.runbook("reindex", REINDEX)
    async with opened(on_postgres, shop_url, s3_client, s3_port) as house:
        async with session(shop_url, "BEGIN", "SELECT FROM few LIMIT 1"):
            card = await house.start("reindex", card="Rebuild")
            await house.until(f"EXISTS ({INVALID})")
            ((dead,),) = rows_of(shop_url, running_in("REINDEX").replace("SELECT", "SELECT pid", 1))
            with stopped(dead):
                await house.kill()
                await house.begin_anew()
                await house.until(f"EXISTS ({running_in('REINDEX')} AND pid <> {dead})")
            await house.until(f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {dead})")
        await house.ends(card)
        assert "Done" in card.shown, card.shown
        assert rows_of(shop_url, INVALID) == []


@pytest.fixture
def fixed_url() -> Iterator[str]:
    """A server that has some work_mem from its command line, which nothing that is written changes."""
    with (
        TemporaryDirectory(prefix="pg") as folder,
        run_server(Path(folder), BINARIES, "work_mem=4MB") as server,
    ):
        execute(server.url, "ALTER SYSTEM SET work_mem = '3MB'")
        yield server.url


@pytest.mark.timeout(180)
async def test_settings_go_back_to_what_they_were_before_the_first_try(
    on_postgres: Floor, fixed_url: str, s3_client: Any, s3_port: int
) -> None:
    """Killed between ALTER SYSTEM and the look at it: the repetition knows what was there before."""
    on_postgres.runbook("set", SET)
    async with opened(on_postgres, fixed_url, s3_client, s3_port) as house:
        card = await house.start("set", card="More memory")
        await house.until(f"'8MB' IN ({WRITTEN})")
        await house.kill()
        assert rows_of(fixed_url, WRITTEN) == [("8MB",)]
        await house.begin_anew()
        await house.ends(card)
        assert "does not have what was set" in card.shown, card.shown
        assert "Everything was put back as it was" in card.shown, card.shown
        assert rows_of(fixed_url, WRITTEN) == [("3MB",)]


@pytest.mark.parametrize("in_the_way", [False, True])
async def test_a_rebuild_that_people_cancel_leaves_nothing_or_says_what(
    on_sqlite: Floor, shop_url: str, monkeypatch: pytest.MonkeyPatch, in_the_way: bool
) -> None:
    """By the button of the card. An old transaction that stays may keep the index from being dropped."""
    monkeypatch.setattr("runbooks.steps.postgres_reindex.CLEANING", 1.0)
    execute(shop_url, "CREATE INDEX by_n ON few (n)")
    on_sqlite.workplace.settings["targets"]["db"] = {"type": "postgres", "url": shop_url}  # type: ignore[index]
    on_sqlite.runbook("reindex", REINDEX)
    async with on_sqlite.open(), session(shop_url, "BEGIN", "SELECT FROM few LIMIT 1") as other:
        card = await on_sqlite.start("reindex", card="Rebuild")
        await until(shop_url, f"EXISTS ({INVALID})")  # type: ignore[arg-type]
        await on_sqlite.press_and_say("admin", card, "Cancel run", "too much load")
        if not in_the_way:
            await until(shop_url, f"NOT EXISTS ({running_in('REINDEX')})")  # type: ignore[arg-type]
            await other.execute("COMMIT")
        await on_sqlite.sandbox.wait_for(lambda: "Cancelled" in card.shown, 40)
        (row,) = (await on_sqlite.view(card)).steps

    assert (row.state, rows_of(shop_url, INVALID)) == ("cancelled", [("by_n_ccold",)] if in_the_way else [])
    for said in ("could not be dropped", "left-over public.by_n_ccold"):
        assert (said in card.shown) == in_the_way, card.shown
    assert ("DROP INDEX CONCURRENTLY" in row.error) == in_the_way
