"""Backups in the demo: taken, proven and restored from Slack, with the shop's own database."""

from pathlib import Path

import pytest

from bot.demo.demo import Running
from tests.demo.test_runbooks import card_of, shows


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace takes as many messages as it is sent."""
    monkeypatch.setattr("runbooks.records.cards.INTERVAL", 0.05)


def kept(folder: Path) -> list[str]:
    """The endings of the files in the store."""
    return sorted(
        path.name.rpartition("-")[2].partition(".")[2] for path in (folder / "backups").rglob("*.*")
    )


async def test_the_shop_is_backed_up_proven_and_restored(serviced: Running) -> None:
    """Three words in Slack, the first one alone; the card says what a person wants to see."""
    backup = await card_of(serviced, "backup-daily", "Back up db")
    said = await shows(serviced, backup, "Done")
    assert "sha256" in said
    assert "encrypted" in said
    assert "no backup of it was ever restored" in said
    assert kept(serviced.folder) == ["dump.enc", "dump.enc.json"]

    drill = await card_of(serviced, "backup-verify target=db", "Restore drill of db")
    assert "are as they were" in await shows(serviced, drill, "Done")

    restore = await card_of(serviced, 'restore-database target=db reason="who bought socks?"', "Restore db")
    assert "shop_restored_" in await shows(serviced, restore, "Done")
