"""Logs: one event, one line, with the correlation id, and no secret in it."""

import json
import logging
import re
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from runbooks.scrub import Scrubber

#: What could forge a second line, or make a terminal do something.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def _one_line(text: str) -> str:
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def _clean(value: object, scrub: Scrubber, lines: bool) -> object:
    if isinstance(value, str):
        text = scrub(value)
        return "\n".join(map(_one_line, text.split("\n"))) if lines else _one_line(text)
    if isinstance(value, dict):
        return {
            _clean(str(key), scrub, lines=False): _clean(item, scrub, lines) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean(item, scrub, lines) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _clean(str(value), scrub, lines)


class _Handler(logging.StreamHandler[TextIO]):
    """Says which event could not be written, and not, as Python would, what was in it."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[0]
        lost = {"event": "log.failed", "logger": record.name, "error": error.__name__ if error else ""}
        try:
            self.stream.write(json.dumps(lost | {"where": f"{record.filename}:{record.lineno}"}) + "\n")
        except (OSError, ValueError):  # nobody reads it any more
            return


def _log_what_nobody_caught() -> None:
    """Python would write traces of these to stderr as they are, past what keeps secrets out of logs."""
    log = structlog.get_logger()

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("maint.crashed", exc_info=(kind, error, trace))

    def in_thread(caught: threading.ExceptHookArgs) -> None:
        if caught.exc_value is not None and not isinstance(caught.exc_value, SystemExit):
            trace = (caught.exc_type, caught.exc_value, caught.exc_traceback)
            log.error("thread.crashed", thread=getattr(caught.thread, "name", ""), exc_info=trace)

    def unraisable(caught: Any) -> None:
        trace = (caught.exc_type, caught.exc_value, caught.exc_traceback)
        log.error("cleanup.crashed", what=caught.err_msg or "", exc_info=trace)

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable
    logging.captureWarnings(True)


def set_up_logs(scrub: Scrubber, form: str, level: str, stream: TextIO = sys.stderr) -> None:
    """Sends our events and those of the libraries to `stream`, as JSON lines or for a person to read.

    `form` is `json`, `console`, or `auto`: console on a terminal, else JSON.
    """
    console = form == "console" or (form == "auto" and stream.isatty())

    def cleaned(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        # A trace has many lines. JSON escapes them; on a console people want to read them.
        return {key: _clean(value, scrub, lines=key == "exception") for key, value in event.items()}

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name if not console else _nothing,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        cleaned,
    ]
    draw: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=True)
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, draw],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These say what they do with every request; what they could not do still comes through.
    for noisy in ("slack_bolt", "slack_sdk", "httpx", "httpcore", "asyncssh", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    _log_what_nobody_caught()


def _nothing(_: WrappedLogger, __: str, event: EventDict) -> Any:
    return event
