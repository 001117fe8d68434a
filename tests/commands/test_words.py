"""Reading what people type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.words import find_target, split_words
from runbooks.errors import UsageError
from runbooks.nearest import nearest
from runbooks.targets import HostTarget

TARGETS = {name: HostTarget(type="host", name=name) for name in ("db", "cache", "web-1")}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("health db cache", ("health", "db", "cache")),
        ("  health   db ", ("health", "db")),
        ("health “db one”", ("health", "db one")),
        ("run vacuum reason=‘it’s slow’", ("run", "vacuum", "reason=it's slow")),
        ("health —json", ("health", "--json")),
        ("health –json", ("health", "--json")),
        ("health web‑1 web–1", ("health", "web-1", "web-1")),
        ("health\u00a0db", ("health", "db")),
        ("he\u200balth", ("health",)),
        ("note it's late", ("note", "it's", "late")),
        ("", ()),
    ],
)
def test_phones_and_word_processors_are_understood(typed: str, words: tuple[str, ...]) -> None:
    """Curly quotes, long dashes, odd spaces and unclosed quotes mean what the person meant."""
    assert split_words(typed) == words


@given(st.text())
def test_any_text_is_split_without_a_fault(text: str) -> None:
    """Whatever is typed becomes words, none of which still has a typographic quote."""
    assert not any(quote in word for word in split_words(text) for quote in "“”‘’")


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}", fullmatch=True)))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    """Names and numbers come through unchanged and in order."""
    assert split_words(" ".join(words)) == tuple(words)


@pytest.mark.parametrize(("typed", "meant"), [("helth", "health"), ("HEALTH", "health"), ("xyzzy", None)])
def test_the_nearest_word_is_found(typed: str, meant: str | None) -> None:
    """A typo finds the word that was meant; nonsense finds none."""
    assert nearest(typed, ["health", "help", "targets", "whoami"]) == meant


def test_a_target_is_found_whatever_its_case() -> None:
    """People on phones get a capital at the start of a word."""
    assert find_target("Db", TARGETS).name == "db"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("cahce", "There is no target 'cahce'. Did you mean cache?"),
        ("all", "There is no target 'all'. There are: cache, db, web-1. Without a name it is all of them."),
        ("db,cache", "There is no target 'db,cache'. Put spaces between the names, no commas."),
    ],
)
def test_an_unknown_target_is_answered_with_the_nearest(typed: str, answer: str) -> None:
    """The answer names the target that was probably meant or all that there are, or says how to write it."""
    with pytest.raises(UsageError) as caught:
        find_target(typed, TARGETS)

    assert str(caught.value) == answer
