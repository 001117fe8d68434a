"""What a Maint that carries runs was told to do, and as whom it is in Slack, as audit events."""

import socket
from collections.abc import Iterator
from datetime import datetime

from bot import __version__
from bot.settings import Loaded
from bot.slack.app import Bot
from runbooks.ids import new_id
from runbooks.records.audit import SLACK_CONNECTED, Event, Outcome, done_by
from runbooks.records.person import Person

#: Runbooks that one event names: their digests must not be cut off.
_MANY = 100


def this_process() -> Person:
    """Maint itself, on this machine."""
    return Person(kind="maint", id=socket.gethostname(), name="Maint")


def config_loaded(loaded: Loaded, by: Person, at: datetime) -> Iterator[Event]:
    """One event; of more than a hundred runbooks several, with one correlation id."""
    digests = [(name, runbook.digest) for name, runbook in loaded.runbooks.items()]
    parts = [digests[start : start + _MANY] for start in range(0, len(digests), _MANY)] or [[]]
    correlation = new_id()
    for number, part in enumerate(parts, start=1):
        details = {"maint.yaml": loaded.digest, "runbooks": dict(part), "version": __version__}
        if len(parts) > 1:
            details["part"] = f"{number} of {len(parts)}"
        yield done_by(
            by,
            "config.loaded",
            Outcome.OK,
            object=loaded.path,
            correlation=correlation,
            details=details,
            at=at,
        )


def slack_connected(bot: Bot, by: Person, at: datetime) -> Event:
    """Slack took our token: which workspace it is of, and which user we are there."""
    details = {"url": bot.url, "user": bot.user, "missing_scopes": bot.missing_scopes}
    return done_by(
        by, SLACK_CONNECTED, Outcome.OK, object=bot.team_name, team=bot.team, details=details, at=at
    )
