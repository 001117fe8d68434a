"""Maint killed by kill -9 while it puts a log into a store."""

import gzip
import os
from typing import Any

import pytest

from tests.backups.lines import bad_line
from tests.faults.house import opened
from tests.scenario.floor import Floor

ARCHIVE = """
    name: archive
    title: Archive
    steps:
      - id: pack
        logs.archive:
          target: here
          folder: DIR/logs
          match: ['*.log']
          older_than: 30d
          to: vault
          remove: true
          timeout: 5m
"""
#: Bytes of an upload that go through before the line hangs: one part of three.
ONE_PART = 6_000_000


@pytest.mark.timeout(180)
async def test_a_log_is_removed_only_when_a_later_process_has_stored_it(
    on_sqlite: Floor, shop_url: str, s3_client: Any, s3_port: int
) -> None:
    """Killed in the middle of the upload: it is here, and the bucket has nothing; later all of it."""
    folder = on_sqlite.folder / "logs"
    folder.mkdir()
    written = os.urandom(12_000_000)
    (folder / "a.log").write_bytes(written)
    os.utime(folder / "a.log", (0, 0))
    on_sqlite.runbook("archive", ARCHIVE)
    with bad_line(s3_port, hold_after=ONE_PART) as line:
        store = {"folder": None, "staging": str(on_sqlite.folder / "vault")}
        async with opened(on_sqlite, shop_url, s3_client, line.port, **store) as house:
            card = await house.start("archive", card="Archive")
            await house.uploading()
            await house.kill()
            assert [each.name for each in folder.iterdir()] == ["a.log.gz"]
            assert house.objects() == {}
            line.hold_after = None
            line.freed.set()

            await house.begin_anew()
            await house.ends(card)
            assert "Done" in card.shown, card.shown
            await house.is_clean()
            stored = [name for name in house.objects() if name.endswith(".gz")]
            body = s3_client.get_object(Bucket="shop-backups", Key=stored[0])["Body"].read()

    assert len(stored) == 1
    assert gzip.decompress(body) == written
    assert [*folder.iterdir()] == []
