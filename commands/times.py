"""Times as people say them: `12 min ago`, `in 4 h`, `since 09:12 UTC`."""

from datetime import UTC, datetime, timedelta

_STEPS = ((timedelta(days=2), 86400, "d"), (timedelta(hours=2), 3600, "h"), (timedelta(minutes=2), 60, "min"))


def span(length: timedelta) -> str:
    """`45 s`, `12 min`, `3 h`, `5 d`: as exact as anybody needs it."""
    for least, seconds, unit in _STEPS:
        if length >= least:
            return f"{round(length.total_seconds() / seconds)} {unit}"
    return f"{max(0, round(length.total_seconds()))} s"


def ago(at: datetime, now: datetime) -> str:
    """`12 min ago`, or `in 12 min` for what is to come."""
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def clock(at: datetime, now: datetime) -> str:
    """`09:12 UTC` today, `2026-11-21 09:12 UTC` on another day."""
    at = at.astimezone(UTC)
    today = at.date() == now.astimezone(UTC).date()
    return at.strftime("%H:%M UTC" if today else "%Y-%m-%d %H:%M UTC")
