"""What the ladders are climbed by, and where alerts are shown, as maint.yaml says it."""

from collections.abc import Callable, Iterable
from datetime import datetime

from bot.settings import Settings
from runbooks.records.alerts import Alert
from runbooks.records.subjects import trouble_of
from runbooks.spec.runbook import Runbook
from runbooks.watch.climbing import Setup
from runbooks.watch.followers import Route
from runbooks.watch.following import UNDELIVERED


def alert_route(settings: Settings, now: Callable[[], datetime]) -> Route:
    """Where the card of an alert goes: as a route says, as it asks for itself, or where all do."""
    router = settings.escalation.router()  # runbooks say whom to call, and no channel

    def route(alert: Alert) -> str:
        # Routes lead to channels, and this one says that a channel does not work.
        routed = "" if UNDELIVERED in alert.labels else router.way(trouble_of(alert), now()).channel
        return routed or alert.channel or settings.alerts.channel or ""

    return route


def climbing_setup(settings: Settings, runbooks: Iterable[Runbook]) -> Setup:
    """What the ladders are climbed by."""
    return Setup(
        router=settings.escalation.router(runbooks),
        rotations=settings.rotations,
        services=settings.escalation.kinds(),
        channel=settings.alerts.channel or fallback_of(settings),
    )


def fallback_of(settings: Settings) -> str:
    """Where it is told what could not be told elsewhere; empty: nowhere."""
    return settings.escalation.fallback or settings.alerts.channel or ""
