"""What is asked of the audit log, in words."""

import csv
import io
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.audit.filters import KEYS, LONGEST, OUTCOMES, Filters, parse
from commands.audit.options import options
from commands.audit.sheet import csv_rows, neutral
from commands.audit.times import moment, written
from commands.words import split_words
from runbooks.errors import UsageError

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
TODAY = datetime(2026, 11, 22, tzinfo=UTC)

words = st.lists(
    st.one_of(
        st.sampled_from(
            [*KEYS, *OUTCOMES, "2d", "2", "days", "ago", "yesterday", "2026-11-01", "--since", "@"]
        ),
        st.text(max_size=12),
        st.text(st.characters(codec="utf-8"), max_size=200),
    ),
    max_size=8,
)


@given(words)
def test_any_words_are_read_or_refused_with_a_reason(typed: list[str]) -> None:
    """Nothing that people can type is a fault of ours; what was read is written and read as the same."""
    try:
        found = parse(split_words(shlex.join(typed)), NOW)
    except UsageError:
        return
    later = NOW + timedelta(days=400)
    assert parse(split_words(found.line()), later) == found
    # Slack takes 2,000 characters of a button's value.
    assert len(replace(found, before=2**63 - 1).line()) <= 2000


@given(st.text(max_size=30))
def test_any_time_is_read_or_refused(text: str) -> None:
    """A time is a moment in UTC, and is read as the same when it is written out."""
    try:
        at = moment(text, NOW)
    except UsageError:
        return
    assert moment(written(at), NOW + timedelta(days=1)) == at
    assert at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("by <@U0123|kim> denied", Filters(by="U0123", outcomes=("denied",))),
        ("by @kim", Filters(by="kim")),
        ("in <#C0123|ops> late failed", Filters(channel="C0123", outcomes=("late", "failed"))),
        ("in #ops", Filters(channel="ops")),
        ("Runbook Vacuum On db", Filters(runbook="vacuum", target="db")),
        ("since 2d", Filters(since=NOW - timedelta(days=2))),
        ("since 2 days ago by kim", Filters(since=NOW - timedelta(days=2), by="kim")),
        ("--since 90m --until now", Filters(since=NOW - timedelta(minutes=90), until=NOW)),
        ("since yesterday until yesterday", Filters(since=TODAY - timedelta(days=1), until=TODAY)),
        ("since 2026-11-01 until 2026-11-30", Filters(
            since=datetime(2026, 11, 1, tzinfo=UTC), until=datetime(2026, 12, 1, tzinfo=UTC))),
        ("since 2026-11-01T09:30+02:00", Filters(since=datetime(2026, 11, 1, 7, 30, tzinfo=UTC))),
        ("run 3f9kq2ab action gate.*", Filters(run="3f9kq2ab", action="gate.*")),
        ("before 12 ok", Filters(before=12, outcomes=("ok",))),
        ("", Filters()),
    ],
)  # fmt: skip
def test_filters_read_like_words(typed: str, expected: Filters) -> None:
    """Names come as Slack sends them, or as people type them; times are counted from now, days are UTC's."""
    assert parse(split_words(typed), NOW) == expected


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("denyed", "Did you mean denied?"),
        ("runbok vacuum", "Did you mean runbook?"),
        ("vacuum", "There are: by @kim"),
        ("about vacuum", "not searched by what texts say"),
        ("by", "What follows by?"),
        ("by kim by bob", "given twice"),
        ("since soon", "'soon' is no time"),
        ("since 999999w", "is no time"),
        ("since 2d until 3d", "Nothing can be found"),
        ("before 12 after 3", "one direction"),
        ("before x", "takes the number"),
        (f"before {2**63}", "takes the number"),
        (f"by {'x' * (LONGEST + 1)}", "longer than"),
        (shlex.join(["by", "'" * LONGEST, "on", "'" * LONGEST, "in", "'" * LONGEST]), "too much"),
    ],
)
def test_what_does_not_fit_is_said_with_the_way_out(typed: str, said: str) -> None:
    """A refusal names what is meant, or what there is."""
    with pytest.raises(UsageError) as error:
        parse(split_words(typed), NOW)

    assert said in str(error.value)


def test_options_stand_anywhere_between_the_filters() -> None:
    """As two words or with `=`; what is none is left."""
    found = options(
        ("by", "kim", "--to=x", "--csv", "--limit", "5", "--odd"), values=("to", "limit"), flags=("csv",)
    )

    assert (found.values, found.flags, found.rest) == (
        {"to": "x", "limit": "5"},
        {"csv"},
        ("by", "kim", "--odd"),
    )


@pytest.mark.parametrize("typed", [("--to",), ("--to", "a", "--to", "b"), ("--to=",)])
def test_an_option_without_its_value_is_refused(typed: tuple[str, ...]) -> None:
    """So is one that is given twice."""
    with pytest.raises(UsageError):
        options(typed, values=("to",))


@given(
    st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1), min_size=1)
)
def test_18_a_csv_has_every_text_and_no_formula(rows: list[list[str]]) -> None:
    """Whatever is in a cell: it is read again as it was, with an apostrophe before what would be carried
    out."""
    text = csv_rows(rows)

    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [[neutral(cell) for cell in row] if row != [""] else [""] for row in rows]
    assert all(
        not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d")) for row in read for cell in row
    )
