"""The signature of an error: what it says without numbers, ids, quoted words and secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.steps.log_signatures import fold


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("user 42 not found", "user <n> not found"),
        ("GET /users/1234567/orders/99999999", "GET /users/<n>/orders/<n>"),
        ("job 550e8400-e29b-41d4-a716-446655440000 died", "job <n> died"),
        ("at 0x7f8a10: commit deadbeef01", "at <n>: commit <n>"),
        ("took 1.5 s at 09:00:00 from 10.0.0.1", "took <n> s at <n> from <n>"),
        ("key 'abc' of \"x y\" isn't there", "key <text> of <text> isn't there"),
        ("mail to jane.doe+x@example.com bounced", "mail to <email> bounced"),
        ("login with password=hunter2 failed", "login with password=<secret> failed"),
        ("Authorization: Bearer abc.def-ghi sent", "Authorization: <secret> sent"),
        ("worker-3 lost utf8", "worker-<n> lost utf<n>"),
    ],
)
def test_what_differs_from_line_to_line_is_folded(text: str, signature: str) -> None:
    """Numbers, ids, quoted words, addresses and secrets make no difference."""
    assert fold(text) == signature


PIECES = st.sampled_from(
    [
        "1",
        "a1b2c3d4e5",
        "'",
        '"',
        " ",
        "password",
        "=",
        ":",
        "bearer",
        "@",
        "x",
        ".",
        "-",
        "0x",
        "<n>",
        "<",
        ">",
        "٣",
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60))
def test_folding_twice_changes_nothing(text: str) -> None:
    """A signature is its own signature, so nothing in it depends on how often it was looked at."""
    once = fold(text)

    assert fold(once) == once


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_errors_that_differ_in_a_number_are_the_same(one: int, other: int) -> None:
    """However long the numbers are."""
    assert fold(f"order {one} failed") == fold(f"order {other} failed")
