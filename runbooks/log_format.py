"""A log's line format, as people write it in maint.yaml."""

from datetime import UTC, datetime

import regex
from pydantic import Field, field_validator

from runbooks.spec.model import Spec


class LogFormat(Spec):
    """A line format of your own. `pattern` is a regular expression, matched from the start of a line, with
    the group `time`, `level` or `status` (or both), and as there is one `message`; `time` is a strptime
    format, `iso` or `epoch`. `total: true` says that every line is one request, so a rate can be computed."""

    pattern: str
    time: str
    error_levels: tuple[str, ...] = Field(
        default=("ERROR", "FATAL", "CRITICAL", "ALERT", "EMERG"), strict=False
    )
    total: bool = False

    @field_validator("pattern")
    @classmethod
    def _can_be_read(cls, pattern: str) -> str:
        try:
            groups = set(regex.compile(pattern).groupindex)
        except regex.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        if "time" not in groups:
            raise ValueError("needs a group (?P<time>...): without it no line can be told to be recent")
        if not groups & {"level", "status"}:
            raise ValueError("needs a group (?P<level>...) or (?P<status>...): it tells errors from the rest")
        return pattern

    @field_validator("time")
    @classmethod
    def _is_a_whole_time(cls, time: str) -> str:
        if time in ("iso", "epoch"):
            return time
        if "%Z" in time:
            raise ValueError("names of time zones are ambiguous: use %z, or `timezone:` of the target")
        sample = datetime(2026, 11, 21, 21, 34, 56, tzinfo=UTC if "%z" in time else None)
        try:
            read = datetime.strptime(sample.strftime(time), time)  # noqa: DTZ007 - %z where it has one
        except ValueError as error:
            raise ValueError(f"is no strptime format, `iso` or `epoch`: {error}") from error
        if read.replace(second=56) != sample:
            raise ValueError("needs the year, month, day, hour and minute: %Y-%m-%d %H:%M:%S, say")
        return time
