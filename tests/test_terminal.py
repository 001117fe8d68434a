"""Replies at the terminal: text is data, and machines get JSON."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bot.terminal import draw, draw_details, live, print_json
from commands.reply import (
    Alarm,
    Button,
    Buttons,
    Fields,
    Line,
    Lines,
    Listing,
    Mark,
    Note,
    Paragraph,
    Reply,
    Row,
    Rows,
    code,
    strong,
)
from runbooks.status import Status


def drawn(reply: Reply) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    console.print(draw(reply))
    console.print(draw_details(reply))
    return stream.getvalue()


def reply_of(text: str) -> Reply:
    row = Row(
        status=Status.WARNING, title=text, value=text, bound="> 80 %", trend="7-day median 3", note=text
    )
    line = Line(mark=Mark.RUNNING, text=text, note=text, depth=1)
    button = Button(text=text, action="approve", value="run.ask", command=f"maint approve {text}")
    elements = (
        Rows((row,)),
        Paragraph((strong(text), code(text))),
        Note(text),
        Alarm(text),
        Fields(((text, text),)),
        Lines((line,)),
        Buttons((button,)),
    )
    return Reply(
        title=text,
        fallback=text,
        status=Status.WARNING,
        elements=(*elements, Listing("l", text)),
        details=(Listing("d", text),),
    )


def test_a_row_shows_status_value_limit_trend_and_note() -> None:
    """What Slack shows of a check the terminal shows too."""
    shown = drawn(reply_of("disk"))

    assert "▲ warning" in shown
    assert "limit > 80 %" in shown
    assert "7-day median 3" in shown


def test_a_button_is_the_command_that_does_the_same() -> None:
    """And a step has its mark."""
    shown = drawn(reply_of("x1"))

    assert "x1:  maint approve x1" in shown
    assert "▶ x1" in shown


def test_a_reason_keeps_the_width_of_a_narrow_window() -> None:
    """In 60 columns a row's figures are in one line, and an address in its reason is not broken."""
    stream = io.StringIO()
    row = Row(
        status=Status.CRITICAL, title="shop Application", value="6.9 ms", trend="7-day median 27.2 ms (-75%)",
        note="http://127.0.0.1:18080/bad answered 500 instead of 2xx",
    )  # fmt: skip
    Console(file=stream, width=60).print(draw(Reply(title="t", fallback="f", elements=(Rows((row,)),))))
    lines = [line.strip() for line in stream.getvalue().splitlines()]

    assert "✖ critical  shop Application  6.9 ms  7-day median 27.2 ms" in lines
    assert "http://127.0.0.1:18080/bad answered 500 instead of 2xx" in lines


@pytest.mark.parametrize("text", ["[red]not red[/red]", "[link=http://evil]x[/link]", "[/]"])
def test_markup_in_text_is_text(text: str) -> None:
    """Rich's markup in a host name or an error is shown as it is."""
    assert text in drawn(reply_of(text))


@given(st.text(max_size=200))
def test_no_control_sequence_reaches_the_terminal(text: str) -> None:
    """Whatever the text, nothing in it can move the cursor, set the title or hide what follows."""
    assert not {"\x1b", "\x07", "\x08", "\r", "\x9b", "\u202e"} & set(drawn(reply_of(text)))


def test_json_is_the_data_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints the reply's data; a refusal, which has none, prints its text as `error`."""
    print_json(Reply(title="t", fallback="no such target"))
    refused = json.loads(capsys.readouterr().out)
    print_json(Reply(title="t", fallback="f", data={"status": "ok"}))
    answered = json.loads(capsys.readouterr().out)

    assert refused == {"error": "no such target"}
    assert answered == {"status": "ok"}


def test_where_nobody_looks_no_progress_is_drawn() -> None:
    """Into a file or a pipe goes the final report only."""
    stream = io.StringIO()
    with live(Console(file=stream)) as progress:
        progress(reply_of("checking"))

    assert stream.getvalue() == ""
