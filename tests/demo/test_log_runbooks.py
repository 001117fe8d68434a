"""The shop's logs in the demo: reviewed and maintained from Slack."""

import os
from pathlib import Path

import pytest

from bot.demo.demo import Running
from tests.demo.test_runbooks import card_of, shows


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace takes as many messages as it is sent."""
    monkeypatch.setattr("runbooks.records.cards.INTERVAL", 0.05)


def old_log(folder: Path) -> None:
    """A log that was rotated and packed long ago."""
    folder.mkdir()
    packed = folder / "app.log-20200101.gz"
    packed.write_bytes(b"packed")
    os.utime(packed, (1, 1))


async def test_the_shops_access_log_is_reviewed(demo: Running) -> None:
    """With today, as the demo has no yesterday."""
    review = await card_of(
        demo, "access-log-review log=shop-access-log days=1 today=true", "Review of shop-access-log"
    )

    assert "0 lines not understood" in await shows(demo, review, "Done")


@pytest.mark.debian("logrotate")
async def test_a_folder_of_logs_is_maintained(demo: Running, tmp_path: Path) -> None:
    """What is too old is shown, and then gone."""
    folder = tmp_path / "old-logs"
    old_log(folder)
    words = f"log-maintenance host=local folder={folder} tmp={folder} tmp_names=none-*"

    card = await card_of(demo, words, f"Logs in {folder} on local")

    assert "1 files, 6 B would be deleted" in await shows(demo, card, "Done")
    assert list(folder.iterdir()) == []
