"""Moments to come, as people say them, on their own clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.moments import FARTHEST, local, moment_to_come
from runbooks.errors import UsageError

#: A Sunday, half past one in the afternoon in Berlin.
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Monday 8:00", "2026-11-23 07:00"),
        ("next monday 8:00", "2026-11-23 07:00"),
        ("sunday 18:00", "2026-11-22 17:00"),
        ("Sunday 8:00", "2026-11-29 07:00"),
        ("tomorrow 9:00", "2026-11-23 08:00"),
        ("today 14:00", "2026-11-22 13:00"),
        ("tomorrow", "2026-11-23 08:00"),
        ("Monday", "2026-11-23 08:00"),
        ("2026-12-01", "2026-12-01 08:00"),
        ("18:30", "2026-11-22 17:30"),
        ("8:00", "2026-11-23 07:00"),
        ("2h", "2026-11-22 14:30"),
        ("3d", "2026-11-25 12:30"),
        ("2026-12-01 8:00", "2026-12-01 07:00"),
        ("2026-12-01T08:00", "2026-12-01 07:00"),
        ("2027-07-01 8:00", "2027-07-01 06:00"),
    ],
)
def test_a_moment_is_meant_on_the_askers_clock(text: str, expected: str) -> None:
    """In Berlin, an hour before UTC in winter and two in summer."""
    assert f"{moment_to_come(text, NOW, 'Europe/Berlin'):%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "Mondy 8:00", "25:00", "today 9:00", "2026-11-01 8:00", "5y", "600d", "-2h"],
)
def test_what_is_none_is_refused_with_examples(text: str) -> None:
    """Also what has passed, and what is too far away for anybody to mean it."""
    with pytest.raises(UsageError, match=r"Write it like|not to come"):
        moment_to_come(text, NOW, "Europe/Berlin")


@given(st.text(max_size=30))
def test_any_words_are_a_moment_to_come_or_refused(text: str) -> None:
    """Never a moment that has passed, never another error."""
    try:
        found = moment_to_come(text, NOW, "America/New_York")
    except UsageError:
        return
    assert NOW < found <= NOW + FARTHEST


def test_a_moment_is_read_on_the_askers_clock() -> None:
    """With its day and its zone, for the terminal."""
    assert local(NOW + timedelta(days=1), "Europe/Berlin") == "Mon 2026-11-23 13:30 Europe/Berlin"
