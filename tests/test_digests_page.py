"""The page about digests: what it shows can be copied."""

import re
from pathlib import Path

import pytest

from bot.settings import load_settings
from bot.trend_settings import TrendSettings
from runbooks.spec.runbook import from_source
from runbooks.steps import KINDS
from runbooks.targets import HttpTarget
from runbooks.watch.entries import only_looks

PAGE = (Path(__file__).parents[1] / "docs" / "digests.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_its_runbook_is_one_whose_reports_are_reports() -> None:
    """And each form is in it."""
    runbook = from_source("runbooks/health.yaml", BLOCKS[0], KINDS, {"app": HttpTarget})

    assert only_looks(runbook.steps)
    assert {each.report for each in runbook.schedule} == {"digest", "weekly", "changes"}


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_its_settings_can_be_read(tmp_path: Path, block: str) -> None:
    """Each piece of maint.yaml."""
    (tmp_path / "maint.yaml").write_text(block)

    assert load_settings(tmp_path / "maint.yaml", {"HEALTHCHECKS_UUID": "1b2c3d4e-0000"}).settings


def test_it_says_the_defaults() -> None:
    """As they are."""
    trends = TrendSettings()

    for key in ("full", "hourly", "daily"):
        assert f"| `{key}` | `{getattr(trends, key).days}d` |" in PAGE
    assert f"| `largest_mb` | `{trends.largest_mb}` |" in PAGE
