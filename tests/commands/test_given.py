"""`key=value …`: what is read, and what is refused before anything is started."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.given import FormNeeded, parse_given, secrets_in
from commands.words import split_words
from runbooks.errors import UsageError
from tests.commands.world import DEPLOY

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
#: What a person can type at a keyboard; what phones make of quotes and dashes is in test_words.py.
VALUES = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=30)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_what_is_quoted_comes_back_as_it_was(values: dict[str, str]) -> None:
    """Whatever the values are, with quotes, spaces and further `=`, each key has its own."""
    text = shlex.join(f"{key}={value}" for key, value in values.items())
    if len(text) < 2000:
        assert parse_given(split_words(text)) == values


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("version=1.2", {"version": "1.2"}),
        ('note="two words"', {"note": "two words"}),
        ("note='it is = so'", {"note": "it is = so"}),
        ("note=", {"note": ""}),
        ("note=“two words”", {"note": "two words"}),
        ("a=b=c", {"a": "b=c"}),
        ("", {}),
    ],
)
def test_values_are_read_as_people_write_them(typed: str, read: dict[str, str]) -> None:
    """Quotes group, `key=` is empty, and only the first `=` divides."""
    assert parse_given(split_words(typed)) == read


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("1.2", "'1.2' is no key=value"),
        ("version 1.2", "'version' is no key=value"),
        ("=1.2", "no key=value"),
        ("--force", "no key=value"),
        ("version=1 version=2", "'version' is given twice"),
        ("note=two words", 'quotes: note="two words"'),
    ],
)
def test_what_is_no_value_is_refused(typed: str, said: str) -> None:
    """A word that is no key=value is never guessed at."""
    with pytest.raises(UsageError, match=said):
        parse_given(split_words(typed))


def test_what_is_missing_is_said_with_the_whole_command() -> None:
    """The message has every fault, and the command with what was right and a word for what was not."""
    typed = {"note": "it's late", "token": "hunter22", "version": "x"}
    error = FormNeeded("maint", "run", DEPLOY, typed, {"version": "must look like 1.2"})

    assert str(error).splitlines() == [
        "version: must look like 1.2",
        "Complete it: maint run deploy version=VERSION note='it'\"'\"'s late'",
    ]
    assert split_words("note='it'\"'\"'s late'") == ("note=it's late",)


def test_a_form_is_given_no_secret_back() -> None:
    """A secret that was typed is typed again: it is in no form and in no message."""
    error = FormNeeded("/maint", "run", DEPLOY, {"token": "hunter22", "note": "a"}, {"version": "is missing"})

    assert error.form.given == {"note": "a"}
    assert error.form.faults == {"version": "is missing"}
    assert "hunter22" not in str(error)


def test_secrets_and_what_may_be_one_are_kept_out_of_logs() -> None:
    """Values of secret parameters, and of keys that nobody declared: a mistyped one may be a secret's."""
    words = ("version=1.2", "token=hunter22", "tokne=hunter33", "note=")

    assert secrets_in(words, DEPLOY) == ("hunter22", "hunter33")
    assert secrets_in(words, None) == ("1.2", "hunter22", "hunter33")
