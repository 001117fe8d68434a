"""Column types that give the same value back on SQLite and on PostgreSQL."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

#: SQLite gives a row its own number only in a column of exactly this type.
Serial = BigInteger().with_variant(Integer(), "sqlite")

# PostgreSQL refuses NUL; neither database can encode half a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with the characters replaced that a database cannot hold."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class Words(TypeDecorator[str]):
    """Text of at most `limit` characters: longer text is cut, and ends in an ellipsis."""

    impl = Text
    cache_ok = True

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the hook
        if value is None:
            return None
        text = storable(value)
        return text if len(text) <= self.limit else text[: self.limit - 1] + "…"

    def __repr__(self) -> str:
        return f"Words({self.limit})"


class UtcTime(TypeDecorator[datetime]):
    """A moment, to the microsecond: aware datetimes in, UTC out. It sorts by time on both databases.

    SQLite has no such type: there it is ISO text in UTC, always with six decimals.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone could be any of 26 hours: give an aware datetime")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if dialect.name == "sqlite" else moment.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A value of JSON's types, as text: the same bytes in both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - the hook
        return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the hook
        return None if value is None else json.loads(value)
