"""Access logs of one JSON object on each line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from runbooks.steps.there.access_counts import Counts
from runbooks.steps.there.access_nginx import AGENT, CLIENT, REFUSED
from runbooks.steps.there.access_words import NO_REQUEST, Times, day_of, route, route_of

_TIME = ("time", "@timestamp", "timestamp", "time_iso8601", "time_local", "ts", "msec")
_STATUS = ("status", "status_code", "http.response.status_code", "response_code")
_PATH = ("request_uri", "uri", "path", "url", "url.path")
_METHOD = ("request_method", "method", "http.request.method", "verb")
_TOOK = ("request_time", "duration", "duration_s", "elapsed", "took", "response_time")
_CLIENT = ("remote_addr", "client_ip", "client", "remote_ip", "ip", "host")
_AGENT = ("http_user_agent", "user_agent", "agent", "userAgent")


class JsonLines:
    """Counts lines into `counts`; `finish` when there are no more."""

    def __init__(self, counts: Counts, asked: dict[str, Any]) -> None:
        self._counts = counts
        self._first, self._last = asked["first_day"], asked["last_day"]
        self._times = Times(1, asked["time_unit"])
        self._time_key: str = asked["time_key"]
        try:
            self._zone: Any = ZoneInfo(asked["timezone"])
        except (KeyError, ValueError, OSError):  # no zones on this machine
            self._zone = UTC
        self._since_bound = 0

    def block(self, data: bytes) -> None:
        """Counts the lines in it, which are parted by line breaks."""
        for line in data.split(b"\n"):
            self.line(line)
        self._since_bound += 1
        if self._since_bound > 200:
            self._since_bound = 0
            self._counts.bound()

    def line(self, line: bytes) -> None:
        """Counts one line."""
        record = _read(line)
        day = self._day(_first(record, _TIME))
        status = _number(_first(record, _STATUS))
        if day is None or status is None or not 100 <= status <= 999:
            self._counts.add_unread(line)
        elif not self._first <= day <= self._last:
            self._counts.outside += 1
        else:
            self._counts.add(_route(record), status, self._took(record))
            if status in REFUSED:
                client, agent = _first(record, _CLIENT), _first(record, _AGENT)
                self._counts.add_refused(_said(client)[:CLIENT], _said(agent)[:AGENT])

    def finish(self) -> None:
        """Nothing is put off."""
        self._counts.bound()

    def _day(self, value: Any) -> int | None:
        if isinstance(value, str):
            if found := day_of(value[:11].encode(errors="replace")):
                return found
            try:
                return datetime.strptime(value[:10], "%Y-%m-%d").date().toordinal()  # noqa: DTZ007 - its own day
            except ValueError:
                pass
        seconds = _seconds(value)
        try:
            return None if seconds is None else datetime.fromtimestamp(seconds, self._zone).toordinal()
        except (ValueError, OverflowError, OSError):
            return None

    def _took(self, record: dict[str, Any]) -> int | None:
        value = _first(record, (self._time_key,) if self._time_key else _TOOK)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return None
        said = value if isinstance(value, str) else f"{value:.9f}" if isinstance(value, float) else str(value)
        return self._times.of_word(said.encode(errors="replace"))


def _read(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode(errors="backslashreplace"))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _first(record: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return int(value)
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not 0 < seconds < 1e20:
        return None
    while seconds > 1e11:
        seconds /= 1000
    return seconds


def _said(value: Any) -> str:
    # A lone surrogate is JSON, and no text that a database takes.
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) and value else "-"


def _route(record: dict[str, Any]) -> str:
    path, method = _first(record, _PATH), _first(record, _METHOD)
    if isinstance(path, str) and path:
        return route(_said(method).upper()[:20], _said(path))
    request = record.get("request")
    return route_of(request.encode(errors="backslashreplace")) if isinstance(request, str) else NO_REQUEST
