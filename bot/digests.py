"""Puts together what makes digests, posts them and sees that they are out."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog

from bot.core import Core
from bot.dead_man import DeadMan
from bot.escalation import fallback_of
from bot.trends import can_draw
from runbooks.spec.runbook import Runbook
from runbooks.watch.desk import Desk
from runbooks.watch.entries import Entry
from runbooks.watch.gone_out import GoneOut
from runbooks.watch.reporter import DigestReporter

log = structlog.get_logger()


class Names(Protocol):
    """Who is called what: `bot.slack.people.People`."""

    async def name_of(self, user: str) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Digests:
    """What a serving Maint needs of them. `duty`: the sentry's, of what is on a schedule."""

    reporter: DigestReporter
    duty: Callable[[Mapping[str, Entry]], GoneOut]


@asynccontextmanager
async def open_digests(
    core: Core, runbooks: Mapping[str, Runbook], people: Names, nudge: Callable[[], None]
) -> AsyncIterator[Digests]:
    """Ready from entering to leaving. `runbooks`: those that can be run. `nudge`: there is a card to draw."""
    settings, services = core.loaded.settings, core.services
    heart = DeadMan(settings.heartbeat.get_secret_value()) if settings.heartbeat else None
    if services.charts is False and (wanting := without_charts(runbooks)):
        log.warning("digest.without_charts", runbooks=wanting, do=INSTALL)
    desk = Desk(
        database=core.records,
        checks=services.checks,
        targets=services.targets,
        runbooks=runbooks,
        rotations=services.rotations,
        now=services.now,
        names=people.name_of,
    )

    def duty(schedules: Mapping[str, Entry]) -> GoneOut:
        return GoneOut(
            core.records,
            services.alerts,
            schedules,
            channel=fallback_of(settings),
            heart=heart,
            told=services.alerts.told,
        )

    if heart is not None:
        heart.begin()
    try:
        yield Digests(
            reporter=DigestReporter(desk, told=nudge, heart=heart, charts=services.charts), duty=duty
        )
    finally:
        if heart is not None:
            await heart.stop()


#: What to do about digests without pictures.
INSTALL = "pip install 'maintbot[charts]', or leave it: digests come without their trends"


def without_charts(runbooks: Mapping[str, Runbook]) -> tuple[str, ...]:
    """The runbooks whose digests would have pictures, if any could be drawn here; empty when they can."""
    if can_draw():
        return ()
    return tuple(
        sorted(name for name, each in runbooks.items() if any(s.report == "digest" for s in each.schedule))
    )
