"""Log lines: one event, one line, the correlation id, no secret."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from bot.logs import set_up_logs
from runbooks.scrub import Scrubber

SECRET = "s3cr3t-v4lue"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A log in JSON; what pytest and structlog had before comes back afterwards."""
    root, configuration = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    set_up_logs(Scrubber([SECRET]), "json", "info", stream)
    yield stream
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_correlation_id(stream: io.StringIO) -> None:
    """Everything that is bound for a request stands in each of its lines, with the time in UTC."""
    with structlog.contextvars.bound_contextvars(correlation="c0rr"):
        structlog.get_logger().info("check.done", target="db")

    (line,) = lines(stream)
    assert (line["event"], line["target"], line["correlation"]) == ("check.done", "db", "c0rr")
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(
    "text", [SECRET, f"postgresql://u:{SECRET}@h/d", "xoxb-12345678-abcdef", "cGFk" + SECRET]
)
def test_no_secret_is_in_a_line(stream: io.StringIO, text: str) -> None:
    """Known values and tokens of known shapes are replaced, also in lists, traces and libraries' lines."""
    try:
        raise RuntimeError(text)
    except RuntimeError:
        structlog.get_logger().exception("broke", said=[{"deep": text}])
    logging.getLogger("some.library").error("it said %s", text)

    assert SECRET not in stream.getvalue()
    assert "xoxb-12345678-abcdef" not in stream.getvalue()
    assert len(lines(stream)) == 2


def test_no_secret_is_in_what_nobody_caught(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of the program, of a thread, of a finalizer, a warning, a line that cannot be put together."""

    def crash() -> None:
        raise RuntimeError(f"it was {SECRET}")

    class Clumsy:
        def __del__(self) -> None:
            crash()

    try:
        crash()
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    Clumsy()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"old: {SECRET}", UserWarning, stacklevel=1)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:1])  # pytest's own would raise
    logging.getLogger("some.library").error("%d pieces", SECRET)
    structlog.get_logger().info("keys", found={SECRET: 1})

    events = [line["event"] for line in lines(stream)]
    assert events[:3] == ["maint.crashed", "thread.crashed", "cleanup.crashed"]
    assert "log.failed" in events
    assert len(events) == 6
    assert SECRET not in stream.getvalue()
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.parametrize("forged", ["a\nb", "a\rb", "a\u2028b", "\x1b[2Ja", "a\x00b", "\u202ea"])
def test_a_value_cannot_forge_a_line(stream: io.StringIO, forged: str) -> None:
    """Line ends and control characters from outside are escaped."""
    structlog.get_logger().info("typed", text=forged)

    (line,) = lines(stream)
    assert len(stream.getvalue().splitlines()) == 1
    assert not {"\n", "\r", "\u2028", "\x1b", "\x00", "\u202e"} & set(str(line["text"]))


def test_a_console_keeps_values_on_one_line() -> None:
    """For people at a terminal too, one event's values cannot start a line of their own, and what is
    quoted in a trace cannot rewrite the ones above it."""
    stream = io.StringIO()
    configuration, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        set_up_logs(Scrubber(), "console", "info", stream)
        structlog.get_logger().info("typed", text="a\nb")
        try:
            raise RuntimeError("\x1b[2J\rforged")
        except RuntimeError:
            structlog.get_logger().exception("broke")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**configuration)

    first, *trace = stream.getvalue().split("\n")
    assert "a\\nb" in first
    assert len(trace) > 3
    assert not {"\r", "\x1b"} & set("".join(trace))


def test_debug_is_not_written_at_info(stream: io.StringIO) -> None:
    """The level in maint.yaml holds for our events and for the libraries'."""
    structlog.get_logger().debug("detail")
    logging.getLogger("slack_bolt").info("chatter")

    assert stream.getvalue() == ""
