"""What Slack and the terminal share: the records, the engine of runs, and the commands on top of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from bot.anchors import make_proof
from bot.config_event import this_process
from bot.escalation import alert_route, climbing_setup
from bot.hooks.silences import Silences
from bot.settings import Loaded
from bot.trends import can_draw
from commands import COMMANDS
from commands.command import Services
from commands.dispatch import Dispatcher
from runbooks.engine.authority import Authority
from runbooks.engine.catalogue import KeptCatalogue
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.engine.engine import Engine
from runbooks.engine.remembering import KeptMemory
from runbooks.engine.sealing import Sealer
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.steps.reach import utc_now
from runbooks.watch.alerts import Alerts, Missing, Waking
from runbooks.watch.climbing import Climber
from runbooks.watch.following import Escalating
from runbooks.watch.from_checks import FromChecks
from runbooks.watch.sentry import Duty
from runbooks.watch.settle import Setting


@dataclass(frozen=True, kw_only=True)
class Core:
    """Opened and closed together. The engine is connected to a queue by whoever needs one."""

    loaded: Loaded
    records: Records
    engine: Engine
    services: Services
    dispatcher: Dispatcher
    silences: Silences
    duties: tuple[Duty, ...]  # what is done by itself when its time has come


@asynccontextmanager
async def open_core(
    loaded: Loaded, authority: Authority, *, by: Person, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[Core]:
    """Opens the database and puts the commands together. `authority`: who says at each step whether a run
    still may; `by`: who has the database migrated, if it is behind; `now`: the time of runs. Raises
    RecordsError."""
    settings = loaded.settings
    records = await Records.open(settings.database_url(), loaded.scrub, by)
    try:
        limits = Limits(total=settings.checks.concurrency, per_target=settings.checks.per_target)
        setting = Setting(
            route=alert_route(settings, now),
            by=this_process(),
            followers=(Escalating(),),
            most_cards=settings.alerts.storm,
        )
        alerts = Alerts(records, FromChecks(loaded.runbooks, settings.alerts.stale), setting, now)
        checks = CheckRunner(
            settings.targets,
            records,
            loaded.scrub,
            limits,
            now=now,
            watch=alerts,
            memory=KeptMemory(records, now),
            backups=KeptCatalogue(records, now),
        )
        engine = Engine(
            database=records,
            runbooks=loaded.runbooks,
            targets=settings.targets,
            channels=settings.slack.channels,
            checks=checks,
            scrub=loaded.scrub,
            sealer=Sealer(
                loaded.secret_key.get_secret_value(),
                [key.get_secret_value() for key in loaded.old_secret_keys],
            ),
            now=now,
            authority=authority,
        )
        silences = Silences(settings.hooks, now)
        services = Services(
            targets=settings.targets,
            runbooks=loaded.runbooks,
            checks=checks,
            commands=COMMANDS,
            runs=engine,
            alerts=alerts,
            records=records,
            proof=make_proof(loaded, records, now),
            unfit=loaded.unfit,
            channels=settings.slack.channels,
            rotations=settings.rotations,
            silencer=silences,
            now=now,
            timezone=settings.alerts.timezone,
            charts=can_draw(),
        )
        climbing = climbing_setup(settings, loaded.runbooks.values())
        dispatcher = Dispatcher(services, records, loaded.scrub)
        yield Core(
            loaded=loaded,
            records=records,
            engine=engine,
            services=services,
            dispatcher=dispatcher,
            silences=silences,
            duties=(
                Waking(records, setting, alerts.told),
                Missing(records, setting, alerts.told),
                Climber(records, climbing, this_process(), alerts.told),
            ),
        )
    finally:
        await records.close()
