"""Line formats: what is a record, when it was written, whether it is an error."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.log_format import LogFormat
from runbooks.steps.log_formats import Format, Line, make_format
from runbooks.targets import LogsTarget

NOW = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
AT = NOW.timestamp()
NGINX_ERROR_LOG = LogFormat(
    pattern=r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>\w+)\] (?P<message>.*)",
    time="%Y/%m/%d %H:%M:%S",
)


def of(format_: object, timezone: str = "UTC") -> Format:
    """The format, as the step makes it."""
    target = {"type": "logs", "path": "/log", "format": format_, "timezone": timezone}
    return make_format(LogsTarget.model_validate(target), NOW)


@pytest.mark.parametrize(
    ("rest", "error", "label", "text"),
    [
        ('- {} "GET /a?token=x HTTP/1.1" 200 5 "-" "curl"', False, "200", "GET /a"),
        ('bob smith {} "GET / HTTP/1.1" 500 5 "-" "-" 0.12', True, "500", "GET / HTTP/1.1"),
        ('- {} "GET /x HTTP/1.1" 499 0 "-" "a \\"b\\" c" - "10.0.0.1"', False, "499", "GET /x HTTP/1.1"),
        ('- {} "" 400 0', False, "400", ""),
        ('- {} "GET /\ufffd HTTP/1.1" 502 - "-" "-"', True, "502", "GET /\ufffd HTTP/1.1"),
    ],
)
@pytest.mark.parametrize("time", ["[21/Nov/2026:09:00:00 +0000]", "[21/Nov/2026:10:30:00 +0130]"])
def test_an_nginx_line_is_read(rest: str, error: bool, label: str, text: str, time: str) -> None:
    """Users with spaces, escaped quotes, a missing request or time, and broken UTF-8 are all records."""
    line = f"::1 - {rest.format(time)}"

    assert of("nginx").read(line) == Line(AT, error, text, label)


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        'h - - [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "http://exam',  # cut at the end
        'h - - [99/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5',
        'h - - [21/Nuv/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5',
        'h - - [21/Nov/2026:09:00:00 +9900] "GET / HTTP/1.1" 200 5',
    ],
)
def test_what_is_no_nginx_line_is_not_read(line: str) -> None:
    """Garbage, a line without its end, and dates that do not exist are unreadable."""
    assert of("nginx").read(line) is None


@pytest.mark.parametrize(
    ("line", "error", "label", "text"),
    [
        ('{"time": "2026-11-21T09:00:00Z", "level": "error", "msg": "boom"}', True, "error", "boom"),
        (
            '{"@timestamp": "2026-11-21T09:00:00.000Z", "log.level": "INFO", "message": "x"}',
            False,
            "INFO",
            "x",
        ),
        ('{"ts": 1795251600, "level": "dpanic", "msg": "zap"}', True, "dpanic", "zap"),
        ('{"time": 1795251600000, "level": 50, "msg": "pino"}', True, "50", "pino"),
        ('{"timestamp": "2026-11-21 09:00:00", "severity": "WARNING", "event": "x"}', False, "WARNING", "x"),
        ('{"time": "2026-11-21T09:00:00+00:00", "status": "503", "path": "/a"}', True, "503", "/a"),
        ('{"time": "1795251600", "levelname": "CRITICAL", "message": {"a": 1}}', True, "CRITICAL", ""),
    ],
)
def test_a_json_line_is_read(line: str, error: bool, label: str, text: str) -> None:
    """The keys of common libraries are known; a time is ISO, or seconds to nanoseconds."""
    assert of("json").read(line) == Line(AT, error, text, label)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        '"text"',
        '{"time": "2026-11-21T09:00:00Z", "msg": "no level: nobody knows whether it is an error"}',
        '{"level": "error"}',
        '{"time": true, "level": "error"}',
        '{"time": "yesterday", "level": "error"}',
        '{"time": NaN, "level": "error"}',
        '{"time": 1e400, "level": "error"}',
        '{"time": 1795251600, "level": {"a": 1}}',
        '{"time": 1795251600, "status": Infinity}',
        '{"a":' * 20000,
        '{"time": "2026-11-21T09:00:00Z", "level": "err',
    ],
)
def test_what_is_no_json_record_is_not_read(line: str) -> None:
    """No time, no level, no object, too deep, or cut: unreadable, not an exception."""
    assert of("json").read(line) is None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("2026-11-21 09:00:00,000 ERROR app.db: no ERROR here", True),
        ("2026-11-21 09:00:00,000 INFO app: the last ERROR was long ago", False),
        ("2026-11-21 09:00:00,000 - app - CRITICAL - down", True),
        ("[2026-11-21 09:00:00 +0000] [42] [ERROR] worker", True),
        ("2026-11-21T09:00:00.000+00:00 WARNING x", False),
    ],
)
def test_a_python_line_is_read(line: str, error: bool) -> None:
    """logging's default with a time, the tutorial's, and gunicorn's; the first level counts."""
    record = of("python").read(line)

    assert record is not None
    assert (record.at, record.error) == (AT, error)


@pytest.mark.parametrize(
    "line", ["ERROR:app:no time", "2026-11-21 09:00:00,000 no level", "2026-13-21 09:00:00 ERROR x", ""]
)
def test_what_is_no_python_record_is_not_read(line: str) -> None:
    """Without a time that exists, or a level, a line is no record."""
    assert of("python").read(line) is None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("Nov 21 09:00:00 web-1 sshd[42]: error: kex failed", True),
        ("Nov 21 09:00:00 web-1 cron[42]: (root) CMD (true)", False),
        ("<11>Nov 21 09:00:00 web-1 app: user.err by its priority", True),
        ("<14>Nov 21 09:00:00 web-1 app: no error by its priority", False),
        ("2026-11-21T09:00:00.000000+00:00 web-1 app[1]: fatal", True),
        ('<165>1 2026-11-21T09:00:00.000Z host app 1 ID47 [a@1 b="c\\]d"][e] text', False),
        ("<131>1 2026-11-21T09:00:00Z host app - - -", True),
    ],
)
def test_a_syslog_line_is_read(line: str, error: bool) -> None:
    """RFC 3164, rsyslog's ISO dates and RFC 5424; a priority counts more than words."""
    record = of("syslog").read(line)

    assert record is not None
    assert (record.at, record.error) == (AT, error)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Dec 31 23:59:59", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Nov 22 08:00:00", datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)),  # its clock is ahead
        ("Feb 29 00:00:00", datetime(2024, 2, 29, 0, 0, 0, tzinfo=UTC)),
    ],
)
def test_a_date_without_a_year_is_the_last_such_day(date: str, expected: datetime) -> None:
    """RFC 3164 has no year: it is the newest that is not in the future, but for a day of wrong clocks."""
    record = of("syslog").read(f"{date} host app: x")

    assert record is not None
    assert record.at == expected.timestamp()


def test_on_new_years_eve_a_clock_ahead_is_in_the_next_year() -> None:
    """A line of 1 January that comes on 31 December is of tomorrow, not of a year ago."""
    target = LogsTarget(type="logs", path="/log", format="syslog")
    format_ = make_format(target, datetime(2026, 12, 31, 23, 59, tzinfo=UTC))

    record = format_.read("Jan  1 00:00:30 host app: x")

    assert record is not None
    assert record.at == datetime(2027, 1, 1, 0, 0, 30, tzinfo=UTC).timestamp()


def test_a_time_without_a_zone_is_in_the_targets_zone() -> None:
    """10:00 in Berlin in November is 09:00 UTC."""
    record = of("python", "Europe/Berlin").read("2026-11-21 10:00:00,000 INFO x")

    assert record is not None
    assert record.at == AT


def test_a_pattern_of_ones_own_is_read() -> None:
    """nginx's error log by a pattern: time, level and message."""
    line = of(NGINX_ERROR_LOG).read("2026/11/21 09:00:00 [alert] 12#12: worker exited")

    assert line == Line(AT, True, "12#12: worker exited", "alert")


@pytest.mark.parametrize("status", ["500", "599"])
def test_a_pattern_with_a_status_knows_errors(status: str) -> None:
    """Without a level a status of 5xx is an error; epoch seconds are a time."""
    format_ = of(LogFormat(pattern=r"(?P<time>\S+) (?P<status>\d+)", time="epoch", total=True))

    assert format_.read(f"{AT} {status}") == Line(AT, True, f"{AT} {status}")
    assert format_.total


def test_a_pattern_that_takes_for_ever_is_stopped() -> None:
    """A line that a pattern can be lost in costs a tenth of a second, and ten of them end the step."""
    slow = of(LogFormat(pattern=r"(?P<time>(a|aa)+)!(?P<level>x)", time="iso"))
    start = datetime.now(UTC)

    def read_many() -> None:
        for _ in range(30):
            assert slow.read("a" * 60 + "!y") is None

    with pytest.raises(StepError, match=r"takes more than 0\.1 s for a line, again and again"):
        read_many()

    assert datetime.now(UTC) - start < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("pattern", "time", "words"),
    [
        ("(", "iso", "is no regular expression"),
        ("(?P<level>x)", "iso", "needs a group (?P<time>...)"),
        ("(?P<time>x)", "iso", "needs a group (?P<level>...) or (?P<status>...)"),
        ("(?P<time>x)(?P<level>x)", "%H:%M:%S", "needs the year, month, day, hour and minute"),
        ("(?P<time>x)(?P<level>x)", "%Y-%m-%d %I:%M", "needs the year, month, day, hour and minute"),
        ("(?P<time>x)(?P<level>x)", "%Q", "is no strptime format"),
        ("(?P<time>x)(?P<level>x)", "%Y-%m-%d %H:%M %Z", "names of time zones are ambiguous"),
    ],
)
def test_a_format_that_cannot_work_is_refused_when_it_is_loaded(pattern: str, time: str, words: str) -> None:
    """Missing groups, broken expressions and times without a date say what they lack."""
    with pytest.raises(ValidationError) as caught:
        LogFormat(pattern=pattern, time=time)

    assert words in str(caught.value)


@pytest.mark.parametrize("timezone", ["Berlin", "", "../etc/passwd", "Europe"])
def test_a_time_zone_that_does_not_exist_is_refused(timezone: str) -> None:
    """Only names of the time zone database are taken."""
    with pytest.raises(ValidationError, match="is no time zone"):
        LogsTarget(type="logs", path="/log", format="nginx", timezone=timezone)


PIECES = st.one_of(
    st.sampled_from(
        ["[21/Nov/2026:09:00:00 +0000]", '"', "\\", " ", "500", "{", "}", "1e999", "NaN", '"level":',
         "2026-11-21 09:00:00,123", "2026-11-21T09:00:00Z", "0001-01-01 00:00:00", "ERROR",
         "<191>1 ", "Feb 29 00:00:00", "<11>", "Nov 21 25:00:00", "\n", "[", "\0", "\ud800", "²", "٣"]
    ),
    st.text(max_size=5),
    st.integers().map(str),
)  # fmt: skip


@pytest.mark.parametrize(
    "format_",
    ["nginx", "json", "python", "syslog", NGINX_ERROR_LOG],
    ids=["nginx", "json", "python", "syslog", "own"],
)
@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo"])
@given(pieces=st.lists(PIECES, max_size=12))
def test_no_line_breaks_a_format(format_: object, timezone: str, pieces: list[str]) -> None:
    """Whatever a line holds, it is a record with a finite time, or it is unreadable."""
    record = of(format_, timezone).read("".join(pieces))

    assert record is None or abs(record.at) < 1e12


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    key=st.sampled_from(["time", "level", "status", "msg"]),
)
def test_no_value_in_json_breaks_the_format(value: object, key: str) -> None:
    """Any JSON value in any of the known keys is read, or makes the line unreadable."""
    line = of("json").read(json.dumps({"time": AT, "level": "error", "msg": "x", key: value}))

    assert line is None or abs(line.at) < 1e12
