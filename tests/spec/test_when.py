"""When something happens, in words and in fields: what is ambiguous is refused, and says what to write."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import ConfigError
from runbooks.spec.runbook import parse_runbook
from runbooks.spec.source import parse
from runbooks.spec.when import cron_of_fields, cron_of_words
from runbooks.spec.window import read_window
from tests.spec.kinds import KINDS, TARGETS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 10 * * 1", "days of the week by name"),
        ("0 10 * * 1-5", "days of the week by name"),
        ("0 10 * * mon#1", "write `on: first Monday of the month 10:00`"),
        ("0 10 L * *", "write `on: first Monday of the month 10:00`"),
        ("0 10 1-7 * mon", "some programs take both, some either"),
        ("0 10 30 2 *", "there is no such"),
        ("60 10 * * *", "bad minute"),
        ("0 10 * *", "five fields"),
        ("0 10 * * mondays", "the fifth field"),
        ("@daily", "five fields"),
    ],
)
def test_fields_that_mean_two_things_are_refused(text: str, expected: str) -> None:
    """Each with what to write instead."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        cron_of_fields(text)


@pytest.mark.parametrize("text", ["30 9 * * mon-fri", "*/15 0-6 1,15 * *", "0 0 29 2 *", "5 4 * JAN sun"])
def test_fields_that_mean_one_thing_are_taken(text: str) -> None:
    """As they are written."""
    assert cron_of_fields(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("first Mondy 10:00", "did you mean Monday?"),
        ("every Monday", "it ends with a time"),
        ("31st of the month 8:00", "not every month has a 31st"),
        ("5th Monday 10:00", "write 'last'"),
        ("daily 24:00", "no time of day"),
        ("second day of the month 8:00", "write '15th of the month'"),
        ("whenever 8:00", "is no day"),
    ],
)
def test_words_that_are_not_understood_say_what_would_be(text: str, expected: str) -> None:
    """With the nearest, or with forms to copy."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        cron_of_words(text)


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    """For words, fields and windows."""
    for read in (cron_of_words, cron_of_fields, read_window):
        try:
            read(text)
        except ValueError:
            continue


@pytest.mark.parametrize("text", ["Sat 22:00", "22:00-06:00", "daily 8:00-8:00", "Mondy 8:00-9:00"])
def test_a_window_is_days_and_hours(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match=r"window|no day|closes when"):
        read_window(text)


HEAD = """name: a
title: A
params: {host: {type: string}, key: {type: string, secret: true, required: false}}
"""
STEPS = "steps:\n  - {id: a, http.probe: {}}\n"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("{on: 'daily 9:00'}", "nobody is there to be asked for `host`"),
        ("{on: 'daily 9:00', params: {hst: a}}", "the runbook has no parameter `hst` (did you mean `host`?)"),
        ("{on: 'daily 9:00', params: {host: a, key: b}}", "`key` is a secret, and nobody is there"),
        ("{every: 5m, jitter: 5m}", "`jitter:` must be shorter than `every:`"),
        ("{every: 5m, timezone: Europe/Berlin}", "`every:` knows no time zone"),
        ("{every: 5m, cron: '0 9 * * *'}", "a schedule has one of"),
        ("{every: 500ms}", "it must be at least 1s"),
    ],
)
def test_a_schedule_that_could_not_run_is_a_fault_of_its_file(schedule: str, expected: str) -> None:
    """Nobody hears of it for the first time at three in the morning."""
    text = f"{HEAD}schedule: [{schedule}]\n{STEPS}"
    with pytest.raises(ConfigError, match=re.escape(expected)):
        parse_runbook(parse(text.encode(), "r.yaml"), KINDS, TARGETS)
