"""SQL is shown without the values in it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runbooks.steps.sql_text import without_values

# Code is made of the letters a to m and of capitals, values of anything: what is not code must not be seen.
# A cut may leave the first character of a comment's beginning, which is an operator as well.
_CODE = set('abcdefghijklmABCDEFGHIJKLMNOPQRSTUVWXYZ ?(),=*&$"/-')
_WORDS = st.text("abcdefghijklm", min_size=1)
_SECRETS = st.text(max_size=20) | st.just("it's \\' a \\ $$ -- /* */ \" secret")


def _doubled(text: str) -> str:
    return text.replace("'", "''").replace("\0", "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "")


_VALUES = st.one_of(
    _SECRETS.map(lambda text: f"'{_doubled(text)}'"),
    _SECRETS.map(lambda text: f"E'{_escaped(text)}'"),
    _SECRETS.map(lambda text: f"U&'{_doubled(text)}'"),
    _SECRETS.map(lambda text: f"X'{_doubled(text)}'"),
    _SECRETS.map(lambda text: f"$${text.replace('$', '')}$$"),
    _SECRETS.map(lambda text: f"$abc$ {text.replace('$abc$', '')} $abc$"),
    st.integers(min_value=0).map(str),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(min_value=0).map(hex),
    _SECRETS.map(lambda text: f"/* {text.replace('*/', '')} */"),
    _SECRETS.map(lambda text: "-- {}\n".format(text.replace("\n", "").replace("\r", ""))),
)
_STATEMENTS = st.lists(_WORDS | _VALUES | st.sampled_from(["(", ")", ",", "=", "*", '"abc"'])).map(" ".join)


@given(_STATEMENTS)
@example("'it''s \\'' a \\ $$ -- /* */ \" secret'")
def test_no_value_survives(statement: str) -> None:
    """Of strings in every notation, numbers and comments nothing is left."""
    assert set(without_values(statement)) <= _CODE


@given(_STATEMENTS, st.integers(min_value=0, max_value=200))
def test_no_value_survives_a_cut(statement: str, length: int) -> None:
    """Of a statement that the server cut off in the middle of a value nothing of the value is left."""
    assert set(without_values(statement[:length])) <= _CODE


@given(st.lists(_WORDS, min_size=1))
def test_code_is_kept(words: list[str]) -> None:
    """A statement without values reads as it was written."""
    assert without_values(" \n".join(words)) == " ".join(words)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT * FROM t1 WHERE id = 42", "SELECT * FROM t1 WHERE id = ?"),
        ("ALTER ROLE app PASSWORD 'hunter22'", "ALTER ROLE app PASSWORD ?"),
        ("SELECT 'it''s', E'it\\'s', n'x', $1, $a$it's$a$", "SELECT ?, ?, ?, $1, ?"),
        ("SELECT 1.5e-7, .5, 0xFF, 1_000, -3", "SELECT ?, ?, ?, ?, -?"),
        ('SELECT "a 1" -- token 1\nFROM t /* a /* b */ secret */', 'SELECT "a 1" FROM t'),
        ("SELECT a$1$b, x FROM t", "SELECT a$1$b, x FROM t"),
        ("SELECT 'a\\' secret '", "SELECT ?"),
        ("SELECT \N{EURO SIGN}E'a\\' secret '", "SELECT \N{EURO SIGN}E?"),
    ],
)
def test_what_is_shown(statement: str, shown: str) -> None:
    """Names and keywords stay, every value becomes a question mark."""
    assert without_values(statement) == shown
