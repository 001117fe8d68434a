"""What programs print, in lines, and cut when there is too much of it."""

import asyncio
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.steps.printed import LONGEST_LINE, Kept, KeyLines, Lines, Teller

PIECES = st.lists(st.text(alphabet="ab \n\té€", max_size=40), max_size=60)
MARK = re.compile(r"\n\[… ([\d,]+) bytes are left out here …\]\n")


def kept(pieces: list[str], most: int) -> str:
    keeper = Kept(most)
    for piece in pieces:
        keeper.add(piece)
    return keeper.text()


@given(PIECES, st.integers(min_value=100, max_value=300))
def test_what_is_too_long_keeps_its_beginning_and_its_end(pieces: list[str], most: int) -> None:
    """What is kept is all of it, or a beginning and an end cut at blanks, with the exact count between."""
    whole, text = "".join(pieces), kept(pieces, most)

    if text == whole:
        return
    head, count, tail = MARK.split(text)
    assert len(text) <= most
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert int(count.replace(",", "")) == len(whole.encode()) - len(head.encode()) - len(tail.encode())
    assert head == "" or head[-1].isspace()
    assert tail == "" or whole[len(whole) - len(tail) - 1].isspace()


@given(PIECES, st.integers(min_value=100, max_value=300))
def test_what_is_short_enough_stays_whole(pieces: list[str], most: int) -> None:
    """What leaves room for the words about a cut is never cut."""
    whole = "".join(pieces)

    assert kept(pieces, most) == whole or len(whole) > most - 61


def test_nothing_is_cut_in_the_middle_of_a_word() -> None:
    """Half a secret is never kept: without a blank near the cut, more is left out."""
    text = kept(["x" * 1000], 200)

    assert "x" not in text
    assert "1,000 bytes" in text


@given(st.binary(max_size=300), st.lists(st.integers(min_value=1, max_value=7), min_size=1, max_size=5))
def test_lines_do_not_depend_on_how_the_bytes_come(data: bytes, sizes: list[int]) -> None:
    """The same bytes give the same text, whatever pieces they come in."""
    lines, found, at, turn = Lines(), "", 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += "".join(lines.feed(data[at : at + size]))
        at, turn = at + size, turn + 1
    found += "".join(lines.feed(b"", last=True))

    assert found == "".join(Lines().feed(data, last=True))
    shown = {unicodedata.category(char) for char in found if char not in "\n\t"}
    assert not shown & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"10%\r50%\r100%\ndone", "100%\ndone"),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07x\n", "red x\n"),
        (b"a\x00b\x08c\xe2\x80\xaed\n", "a\\x00b\\x08c\\u202ed\n"),
        ("ü €\tx\u3000y\n".encode(), "ü €\tx\u3000y\n"),
        (b"\xff\n", "\ufffd\n"),
    ],
)
def test_lines_are_fit_to_show(said: bytes, shown: str) -> None:
    """Colours and what a line overwrote are gone, control characters are escapes, tabs stay."""
    assert "".join(Lines().feed(said, last=True)) == shown


def test_a_very_long_line_comes_in_pieces() -> None:
    """A line without an end does not fill the memory, and nothing of it is lost."""
    lines = Lines()

    pieces = lines.feed(b"x" * (2 * LONGEST_LINE + 5))

    assert [len(piece) for piece in pieces] == [LONGEST_LINE, LONGEST_LINE]
    assert lines.feed(b"", last=True) == ["x" * 5]


@pytest.mark.parametrize(
    ("said", "drawn"),
    [(b"tok", ""), (b"50%\r", "50%"), (b"\r50%", ""), (b"\r50%\r60%", "50%"), (b"a\rb\n", ""), (b"\r", "")],
)
def test_what_is_half_written_is_not_progress(said: bytes, drawn: str) -> None:
    """A progress bar shows what it overwrote; a line that is half there may be half a secret."""
    lines = Lines()

    lines.feed(said)

    assert lines.drawn == drawn


async def test_progress_is_told_a_few_times_a_second_and_the_last_line_always() -> None:
    """Of a thousand lines the first and the last are told, and few between."""
    told: list[str] = []
    teller = Teller(told.append)

    for number in range(1000):
        teller.say(str(number))
    teller.close()

    assert told == ["0", "999"]


async def test_a_line_that_waits_is_told_without_another_one() -> None:
    """A line that came too soon after another is told when its time has come."""
    told: list[str] = []
    teller = Teller(told.append)

    teller.say("a")
    teller.say("b")
    while len(told) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.02)

    assert told == ["a", "b"]
    teller.close()


def test_the_lines_of_a_private_key_are_told_apart() -> None:
    """Also when it comes in pieces; what stands before and after it is told."""
    keys = KeyLines()

    assert keys.without(["before\n", "x -----BEGIN RSA PRIVATE KEY-----\n", "MIIE\n"]) == ["before\n"]
    assert keys.without(["AQEA\n"]) == []
    assert keys.without(["-----END RSA PRIVATE KEY-----\n", "after\n"]) == ["after\n"]
    assert keys.without(["-----BEGIN CERTIFICATE-----\n", "MIIB\n"]) == [
        "-----BEGIN CERTIFICATE-----\n",
        "MIIB\n",
    ]


def test_what_is_left_out_is_cut_at_line_breaks() -> None:
    """A secret may have blanks in it: half of one would be known to nobody."""
    kept = Kept(2_000)
    for number in range(100):
        kept.add(f"line {number:03} with a pass phrase of many words\n")

    head, _, tail = kept.text().partition("\n[…")
    assert head.endswith("many words\n") or head.endswith("many words")
    assert tail.partition("…]\n")[2].startswith("line 0")
