"""Who is called goes first: what else is posted in a channel waits while somebody is to be called there.

All posts of a channel are paid from one bucket of one token, so nothing can be left in it for what is urgent.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists

from runbooks.records.run_tables import outbox
from runbooks.records.watch_tables import notices

#: From this priority on it is urgent: approvals, failures, critical alerts.
URGENT = 3
#: What is tried later than that holds up nobody.
_SOON = timedelta(seconds=3)


def called_in(channel: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    """Whether somebody is about to be called in that channel because of a critical alert."""
    waits = (notices.c.wake_at.is_not(None), notices.c.wake_at <= now + _SOON)
    return exists().where(*waits, notices.c.priority >= URGENT, notices.c.target == channel)


def reminded_in(channel: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    """Whether people are about to be asked for an approval in that channel, or told of a failure."""
    free = outbox.c.claimed_until.is_(None) | (outbox.c.claimed_until <= now)
    return exists().where(
        outbox.c.sent_at.is_(None), outbox.c.priority >= URGENT, outbox.c.channel == channel, free
    )
