"""The page about schedules: what it shows can be copied."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbooks.spec.head import Schedule
from runbooks.spec.key_words import MEANINGS
from runbooks.spec.runbook import from_source
from runbooks.spec.window import Window
from runbooks.steps import KINDS
from runbooks.targets import HostTarget
from runbooks.watch.fire_times import fire_times, next_fire, opening

PAGE = (Path(__file__).parents[1] / "docs" / "schedules.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_its_runbook_is_valid_and_has_a_next_time() -> None:
    """The example at the top, with the window that its time is in."""
    (text,) = re.findall(r"```yaml\n(# runbooks/.*?)```", PAGE, re.DOTALL)
    runbook = from_source("runbooks/vacuum.yaml", text, KINDS, {"web-1": HostTarget})
    (schedule,) = runbook.schedule
    fire = next_fire(fire_times(schedule), NOW)

    assert fire is not None
    assert fire.local == "2026-12-06T03:00"
    assert runbook.window is not None
    opens, closes = opening(runbook.window, fire.at)
    assert opens <= fire.at < closes


@pytest.mark.parametrize("words", re.findall(r"^\| `([^`]*\d:\d\d)` \|$", PAGE, re.MULTILINE))
def test_its_words_are_understood(words: str) -> None:
    """Every line of the table of days in words comes again and again."""
    times = fire_times(Schedule(on=words)).after(NOW)

    assert next(times) < next(times)


@pytest.mark.parametrize("words", re.findall(r"`([^`]*\d:\d\d-\d\d:\d\d)`", PAGE))
def test_its_windows_open(words: str) -> None:
    """Every window that is named in the text."""
    opens, closes = opening(Window(on=words), NOW)

    assert opens < closes


def test_it_has_every_key() -> None:
    """And every word that a key may be."""
    for model in (Schedule, Window):
        assert [key for key in MEANINGS[model] if f"`{key}" not in PAGE] == []
    for word in ("skip", "latest", "all", "queue", "hold", "finish", "cancel"):
        assert f"`{word}`" in PAGE
