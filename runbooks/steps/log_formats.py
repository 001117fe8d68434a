"""The line formats of logs: when a line was written, whether it tells of an error, and what it says."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import regex

from runbooks.errors import StepError
from runbooks.log_format import LogFormat
from runbooks.targets import LogsTarget

#: Levels that are errors, whoever writes them (Python, syslog, log4j, zap, Google Cloud).
ERROR_LEVELS = frozenset(
    ("ERROR", "ERR", "SEVERE", "FATAL", "CRITICAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC", "DPANIC")
)


class Line(NamedTuple):
    """A line that was read. `at` is in seconds since the epoch; `label` (a level, a status) and `text` are
    what it says."""

    at: float
    error: bool
    text: str
    label: str = ""


class Format(Protocol):
    """A line format. `total`: every line is one request. `multiline`: a line may go on in the next."""

    total: bool
    multiline: bool

    def read(self, line: str) -> Line | None:
        """The line, or None when it is not in this format. Never raises on what a line holds."""
        ...


def make_format(target: LogsTarget, now: datetime) -> Format:
    """The format of the target's lines. `now` gives syslog's dates their year."""
    zone = UTC if target.timezone == "UTC" else ZoneInfo(target.timezone)
    if isinstance(target.format, LogFormat):
        return Custom(target.format, zone)
    makers: Mapping[str, Callable[[], Format]] = {
        "nginx": Nginx,
        "json": lambda: JsonLines(zone),
        "python": lambda: PythonLogging(zone),
        "syslog": lambda: Syslog(zone, now),
    }
    return makers[target.format]()


def _iso(text: str, zone: tzinfo) -> float | None:
    try:
        return _seconds(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return None


def _seconds(time: datetime, zone: tzinfo) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=zone)).timestamp()


# Not the locale's names, as strptime would read them.
_MONTHS = dict(zip(re.findall("...", "JanFebMarAprMayJunJulAugSepOctNovDec"), range(1, 13), strict=True))
_NGINX = re.compile(
    r"(\S+) \S+ [^\[\"]*\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "  # a user may have spaces
    r'"((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"(?: .*)?)?$',  # referer and agent, then anything: request_time
    re.ASCII,
)


@lru_cache(maxsize=1024)  # a busy log has many lines in one second
def _nginx_time(text: str) -> float | None:
    try:
        offset = timedelta(hours=int(text[22:24]), minutes=int(text[24:26]))
        zone = timezone(-offset if text[21] == "-" else offset)
        hour, minute, second = int(text[12:14]), int(text[15:17]), int(text[18:20])
        day = datetime(int(text[7:11]), _MONTHS[text[3:6]], int(text[:2]), tzinfo=zone)
        return day.replace(hour=hour, minute=minute, second=second).timestamp()
    except (ValueError, KeyError, OverflowError):
        return None


class Nginx:
    """nginx's and Apache's `combined`, with or without more at the end; a status of 5xx is an error.

    Source: https://nginx.org/en/docs/http/ngx_http_log_module.html
    """

    total = True
    multiline = False

    def read(self, line: str) -> Line | None:
        found = _NGINX.match(line)
        at = _nginx_time(found[2]) if found else None
        if found is None or at is None:
            return None
        # What follows the path's `?` may hold tokens.
        return Line(at, found[4][0] == "5", found[3].partition("?")[0], found[4])


_TIME_KEYS = ("@timestamp", "timestamp", "time", "ts", "asctime")
_LEVEL_KEYS = ("level", "severity", "levelname", "log.level", "lvl")
_TEXT_KEYS = ("message", "msg", "event", "log", "request", "path", "uri", "url")
#: pino and bunyan: 50 is error, 60 is fatal.
_NUMERIC_ERROR = 50


class JsonLines:
    """One JSON object on each line, with a time, and a level or an HTTP `status`."""

    total = False
    multiline = False

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def read(self, line: str) -> Line | None:
        if not line.startswith("{"):
            return None
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None
        at = self._time(_first(record, _TIME_KEYS))
        level = _first(record, _LEVEL_KEYS)
        if level is None and "status" in record:
            level = record["status"]
            error = _is_failure(level)
        else:
            error = _is_error(level)
        if at is None or error is None:
            return None
        text = _first(record, _TEXT_KEYS)
        return Line(at, error, text if isinstance(text, str) else "", str(level))

    def _time(self, value: Any) -> float | None:
        if isinstance(value, str):
            at = _iso(value, self._zone)
            if at is not None:
                return at
        return _epoch(value)


def _first(record: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)


def _epoch(value: Any) -> float | None:
    """Seconds, or by their size milli-, micro- or nanoseconds, since the epoch."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not 0 < seconds < 1e20:  # NaN is neither
        return None
    while seconds > 1e11:
        seconds /= 1000
    return seconds


def _is_failure(status: Any) -> bool | None:
    try:
        return None if isinstance(status, bool) else int(status) >= 500
    except (ValueError, TypeError, OverflowError):
        return None


def _is_error(level: Any) -> bool | None:
    if isinstance(level, str):
        return level.upper() in ERROR_LEVELS
    if isinstance(level, int | float) and not isinstance(level, bool):
        return level >= _NUMERIC_ERROR
    return None


_PYTHON = re.compile(
    r"\[?(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?)\]?\s+(.*)$", re.ASCII
)
_PYTHON_LEVEL = re.compile(r"\b(DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b")


class PythonLogging:
    """`2026-11-21 09:00:00,123 ERROR name: message`, and its kin: the first level in a line counts.

    Also `time - name - LEVEL - message` of the logging tutorial, and gunicorn's `[time] [pid] [LEVEL]`.
    """

    total = False
    multiline = True

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def read(self, line: str) -> Line | None:
        found = _PYTHON.match(line)
        level = _PYTHON_LEVEL.search(found[2], 0, 200) if found else None
        at = _iso(found[1], self._zone) if found else None
        if found is None or level is None or at is None:
            return None
        return Line(at, level[1] in ERROR_LEVELS, found[2])


_SYSLOG_5424 = re.compile(
    r"<(\d{1,3})>\d{1,3} (\S+) \S+ (\S+) \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: (.*))?$", re.ASCII
)
_SYSLOG = re.compile(
    r"(?:<(\d{1,3})>)?"
    r"(?:([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)|(\d{4}-\d\d-\d\dT\S{8,22})) \S+ (.*)$",
    re.ASCII,
)
#: Without a priority only the words tell.
_SYSLOG_WORDS = re.compile(
    r"\b(?:emerg|emergency|panic|alert|crit|critical|fatal|error|err|severe)\b", re.IGNORECASE
)


class Syslog:
    """RFC 3164, the same with ISO dates as rsyslog writes them to files, and RFC 5424.

    Severities 0 to 3 are errors. Files mostly lack the priority: there a word like `error` tells.
    """

    total = False
    multiline = False

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self._zone = zone
        self._now = now.astimezone(zone)

    def read(self, line: str) -> Line | None:
        if found := _SYSLOG_5424.match(line):
            return self._line(found[1], _iso(found[2], self._zone), f"{found[3]}: {found[4] or ''}")
        if found := _SYSLOG.match(line):
            at = _iso(found[7], self._zone) if found[7] else self._guess_year(found)
            return self._line(found[1], at, found[8])
        return None

    def _line(self, priority: str | None, at: float | None, text: str) -> Line | None:
        if at is None or (priority and int(priority) > 191):  # RFC 5424, 6.2.1
            return None
        error = int(priority) % 8 <= 3 if priority else bool(_SYSLOG_WORDS.search(text, 0, 500))
        return Line(at, error, text)

    def _guess_year(self, found: re.Match[str]) -> float | None:
        """The newest year in which the date is not in the future, but for a day of wrong clocks."""
        for year in range(self._now.year + 1, self._now.year - 9, -1):  # 29 February may be 8 years away
            try:
                clock = (int(found[4]), int(found[5]), int(found[6]))
                time = datetime(year, _MONTHS[found[2]], int(found[3]), *clock, tzinfo=self._zone)
            except (ValueError, KeyError):
                continue
            if time <= self._now + timedelta(days=1):
                return time.timestamp()
        return None


#: Seconds of matching that one line may cost, and how many lines may cost more.
MATCH_SECONDS = 0.1
SLOW_LINES = 10


class Custom:
    """The format of a target's own pattern.

    Raises StepError from `read` when the pattern takes too long for too many lines: a pattern that can
    be read in many ways takes as long as a line likes, and lines come from outside.
    """

    multiline = True

    def __init__(self, settings: LogFormat, zone: tzinfo) -> None:
        self.total = settings.total
        self._pattern = regex.compile(settings.pattern)
        self._levels = frozenset(level.upper() for level in settings.error_levels)
        self._zone = zone
        self._slow = 0
        self._time = lru_cache(maxsize=1024)(self._make_time(settings.time))

    def _make_time(self, time: str) -> Callable[[str], float | None]:
        if time == "iso":
            return lambda text: _iso(text, self._zone)
        return _epoch if time == "epoch" else lambda text: self._strptime(text, time)

    def _strptime(self, text: str, time: str) -> float | None:
        try:
            return _seconds(datetime.strptime(text, time), self._zone)  # noqa: DTZ007 - the zone is put there
        except (ValueError, OverflowError):
            return None

    def read(self, line: str) -> Line | None:
        try:
            # `concurrent` lets go of the interpreter's lock: a slow match must not stop the event loop.
            found = self._pattern.match(line, timeout=MATCH_SECONDS, concurrent=True)
        except TimeoutError as error:
            self._slow += 1
            if self._slow < SLOW_LINES:
                return None
            raise StepError(
                f"the `pattern:` of the log's format takes more than {MATCH_SECONDS:g} s for a line, "
                "again and again: no repetition inside a repetition, as in `(.*)*`"
            ) from error
        groups = found.groupdict() if found else {}
        at = self._time(groups["time"]) if groups.get("time") else None
        is_error = self._is_error(groups.get("level"), groups.get("status"))
        if at is None or is_error is None:
            return None
        label = groups.get("level") or groups.get("status") or ""
        return (
            Line(at, is_error, groups["message"], label)
            if groups.get("message")
            else Line(at, is_error, line)
        )

    def _is_error(self, level: str | None, status: str | None) -> bool | None:
        if level and level.upper() in self._levels:
            return True
        if status and status.isascii() and status.isdigit() and len(status) < 10:
            return int(status) >= 500
        return False if level else None
