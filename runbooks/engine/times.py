"""Times as people read them in a sentence."""

from datetime import UTC, datetime, timedelta

from runbooks.spec.model import show_duration


def show_time(at: datetime, now: datetime) -> str:
    """`14:03 UTC`, with the day when that is not today."""
    then = at.astimezone(UTC)
    today = then.date() == now.astimezone(UTC).date()
    return f"{then:%H:%M} UTC" if today else f"{then:%Y-%m-%d %H:%M} UTC"


def show_about(value: timedelta) -> str:
    """A length with no more than it takes: `45s`, `12m`, `3h5m`, `2d4h`."""
    seconds = value.total_seconds()
    step = 1 if seconds < 60 else 60 if seconds < 86_400 else 3600
    return show_duration(timedelta(seconds=seconds // step * step))
