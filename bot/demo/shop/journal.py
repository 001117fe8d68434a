"""The shop's logs, written by a thread of their own: nginx's `combined` with the time, and Python's."""

import logging
import re
import time
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue

from aiohttp import hdrs
from aiohttp.abc import AbstractAccessLogger
from aiohttp.web import BaseRequest, StreamResponse

#: Bytes of a log before it is rotated; the demo may run for days.
LARGEST = 20_000_000
_UNSAFE = re.compile(r'[\x00-\x1f"\\\x7f-\xff]')


def _escape(text: str) -> str:
    """As nginx's `escape=default`: https://nginx.org/en/docs/http/ngx_http_log_module.html"""
    # Headers come as text in which bytes that are no UTF-8 are surrogates.
    raw = text.encode(errors="surrogateescape").decode("latin-1")
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02X}", raw)


class CombinedWithTime(AbstractAccessLogger):
    """nginx's `combined`, then $request_time in seconds."""

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Writes the line of one request."""
        asked = f"{request.method} {request.path_qs} HTTP/{request.version.major}.{request.version.minor}"
        referer = request.headers.get(hdrs.REFERER, "-")
        agent = request.headers.get(hdrs.USER_AGENT, "-")
        self.logger.info(
            '%s - - [%s] "%s" %d %d "%s" "%s" %.3f',
            request.remote or "-",
            _now(),
            _escape(asked),
            response.status,
            response.content_length or 0,
            _escape(referer),
            _escape(agent),
            time,
        )


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _now() -> str:
    # strftime's %b would follow the locale.
    now = time.gmtime()
    return f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S +0000', now)}"


class Journal:
    """`access.log` and `error.log` in a folder, from `open` to `close`, both of which block."""

    def __init__(self, folder: Path) -> None:
        self.access_path = folder / "access.log"
        self.error_path = folder / "error.log"
        # Not from getLogger: two shops in one process have a journal each.
        self.access = logging.Logger("shop.access", logging.INFO)
        self.errors = logging.Logger("shop", logging.INFO)
        self._listeners: list[QueueListener] = []

    def open(self) -> None:
        """Makes the files and starts to write."""
        plain = logging.Formatter("%(message)s")
        levels = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        levels.converter = time.gmtime
        self._write(self.access, self.access_path, plain)
        self._write(self.errors, self.error_path, levels)

    def close(self) -> None:
        """Writes what is left, and ends the threads."""
        for listener in self._listeners:
            listener.stop()
            for handler in listener.handlers:
                handler.close()
        self._listeners.clear()

    def _write(self, logger: logging.Logger, path: Path, formatter: logging.Formatter) -> None:
        file = RotatingFileHandler(path, maxBytes=LARGEST, backupCount=1, encoding="utf-8")
        file.setFormatter(formatter)
        queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
        logger.addHandler(QueueHandler(queue))
        listener = QueueListener(queue, file)
        listener.start()
        self._listeners.append(listener)
