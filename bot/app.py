"""The composition root: settings in, a working Maint out; started and stopped in order."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from bot import __version__
from bot.anchors import Anchoring
from bot.authority import Granted
from bot.clock import Clock
from bot.config_event import config_loaded, slack_connected, this_process
from bot.core import Core, open_core
from bot.digests import open_digests
from bot.doctor import group_findings
from bot.hooks.receiving import Receiving
from bot.hooks.silences import Silenced
from bot.hooks.told import Known
from bot.http import HttpServer, make_http
from bot.logs import set_up_logs
from bot.notify.opening import open_courier
from bot.settings import Loaded, SlackCredentials, load_settings, slack_credentials
from bot.slack.app import Bot, make_app, who_are_we
from bot.slack.client import SlackClient
from bot.slack.connection import SocketConnections
from bot.slack.edge import Edge
from bot.slack.gateway import INTERRUPTED
from bot.slack.publisher import Publisher
from bot.slack.requests import slack_route
from runbooks.engine.crew import Crew
from runbooks.engine.replica import Rhythm
from runbooks.errors import MaintError, RecordsError
from runbooks.records.only_process import only_process
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.status import Status
from runbooks.steps.reach import utc_now
from runbooks.watch.schedules import Schedules
from runbooks.watch.sentry import Sentry
from runbooks.watch.thinning import Thinning

log = structlog.get_logger()

#: Seconds that requests under way get after SIGTERM; Docker kills after 10.
DRAIN = 7.0
#: Seconds between two rounds of removing what is old.
TIDY_INTERVAL = 600.0
#: Seconds that the database has to answer /readyz; who asks waits hardly longer.
LONGEST_PROBE = 3.0
#: No command works for that long: a card older than this that is not finished never will be.
CARD_AGE = timedelta(minutes=30)


async def load(path: Path, environ: Mapping[str, str]) -> tuple[Loaded, SlackCredentials]:
    """What a Server needs. Raises ConfigError."""
    loaded = await asyncio.to_thread(load_settings, path, environ)
    credentials = await asyncio.to_thread(slack_credentials, environ, loaded.settings.slack.mode)
    loaded.scrub.add(*credentials.secrets())
    return loaded, credentials


async def serve(path: Path, environ: Mapping[str, str]) -> int:
    """Answers Slack until SIGTERM or SIGINT. Raises MaintError for what keeps it from starting."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loaded, credentials = await load(path, environ)
    set_up_logs(loaded.scrub, loaded.settings.log.format, loaded.settings.log.level)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(stack.enter_async_context(Server(loaded, credentials)))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, told}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            log.info("maint.ready", **starting.result().facts())
            await told
        else:
            # A Slack or a database that does not answer must not hold up who wants us gone.
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        log.info("maint.stopping")
    log.info("maint.stopped")
    return 0


class Server:
    """A Maint that is connected to Slack, from entering to leaving."""

    def __init__(
        self,
        loaded: Loaded,
        credentials: SlackCredentials,
        *,
        now: Callable[[], datetime] = utc_now,
        rhythm: Rhythm | None = None,
    ) -> None:
        """`now`: the time of runs. `rhythm`: how often it looks after them."""
        self._loaded = loaded
        self._now = now
        self._rhythm = rhythm
        self._credentials = credentials
        self._stack = AsyncExitStack()
        self._sockets: SocketConnections | None = None
        self._records: Records | None = None
        self._bot: Bot | None = None
        self.port: int | None = None

    async def __aenter__(self) -> "Server":
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings, credentials = self._loaded.settings, self._credentials
        stack.enter_context(only_process(settings.database_url()))
        authority = Granted(self._loaded)
        by = this_process()
        core = await stack.enter_async_context(open_core(self._loaded, authority, by=by, now=self._now))
        self._records = core.records
        for event in config_loaded(self._loaded, by, self._now()):
            await core.records.record(event)
        client = await stack.enter_async_context(
            SlackClient(credentials.bot_token.get_secret_value(), credentials.api_url)
        )
        bot = self._bot = await who_are_we(client.web)
        await core.records.record(slack_connected(bot, by, self._now()))
        if bot.missing_scopes:
            log.warning(
                "slack.scopes.missing", scopes=bot.missing_scopes, do="update the app: maint manifest"
            )
        warned = asyncio.create_task(self._warn(client))
        stack.callback(warned.cancel)
        crew = Crew(
            core.engine,
            core.records,
            core.records.engine,
            version=__version__,
            rhythm=self._rhythm,
            now=self._now,
        )
        edge = Edge(
            client=client,
            records=core.records,
            services=core.services,
            dispatcher=core.dispatcher,
            scrub=self._loaded.scrub,
            workspace_url=bot.url,
            teams=frozenset({bot.team, *settings.slack.teams}),
            roles=settings.roles,
            grants=settings.grants,
            commands_per_minute=settings.limits.commands_per_minute,
        )
        authority.connect(edge.people.roles_by_id)
        core.engine.on_change(edge.board.nudge)
        core.services.alerts.on_change(edge.board.nudge)
        secret = credentials.signing_secret.get_secret_value() if credentials.signing_secret else ""
        app = make_app(client.web, bot, secret)
        edge.listen(app)
        await crew.start()
        edge.start()
        stack.push_async_callback(self._drain, edge, crew)
        await core.services.alerts.let_go(settings.targets)
        courier = await stack.enter_async_context(
            open_courier(
                settings,
                slack=client,
                people=edge.people,
                records=core.records,
                alerts=core.services.alerts,
                channels=core.services.channels,
                now=self._now,
            )
        )
        core.services.alerts.on_change(courier.nudge)
        await self._watch_the_clock(core, by, edge, stack)
        tidying = asyncio.create_task(self._tidy(core.records, edge.publisher, crew))
        stack.callback(tidying.cancel)
        anchoring = asyncio.create_task(Anchoring(core.services.proof, self._now).run(), name="anchoring")
        stack.callback(anchoring.cancel)
        if core.silences.sources:
            looking = Silenced(core.silences, core.services.alerts).run()
            stack.callback(asyncio.create_task(looking, name="silenced").cancel)
        over_http = settings.slack.mode == "http"
        if over_http or settings.http is not None:
            address = settings.http_address()
            routes = [slack_route(app, secret)] if over_http else []
            if settings.hooks:
                known = Known(targets=settings.targets, runbooks=self._loaded.runbooks)
                alerts = core.services.alerts
                routes.append(Receiving(settings.hooks, known, core.records, alerts, self._now).route())
            http = make_http(self._faults, routes)
            server = HttpServer(http, address.host, address.port)
            stack.push_async_callback(server.stop)
            self.port = await server.start()
        if credentials.app_token is not None:
            self._sockets = SocketConnections(
                app, credentials.app_token.get_secret_value(), settings.slack.connections
            )
            stack.push_async_callback(self._sockets.close)
            await self._sockets.connect(client.web)

    async def _watch_the_clock(self, core: Core, by: Person, edge: Edge, stack: AsyncExitStack) -> None:
        """What is on a schedule begins by itself from now on, a freeze ends, and what is due is done."""
        fit = {name: each for name, each in self._loaded.runbooks.items() if name not in self._loaded.unfit}
        rhythm = self._rhythm or Rhythm()
        digests = await stack.enter_async_context(open_digests(core, fit, edge.people, edge.board.nudge))
        schedules = Schedules(
            database=core.records,
            runbooks=fit,
            starter=core.engine,
            now=self._now,
            reporter=digests.reporter,
        )
        await schedules.begin()
        clock = Clock(
            {"freezes": partial(core.engine.end_freezes, by), "schedules": schedules.look},
            {id_: entry.times for id_, entry in schedules.entries.items()},
            rhythm.sweep,
        )
        stack.push_async_callback(schedules.stop)
        clock.start()
        stack.push_async_callback(clock.stop)
        duties = (*core.duties, digests.duty(schedules.entries))
        sentry = Sentry(core.records, duties, self._now, sweep=rhythm.sweep)
        sentry.start()
        stack.push_async_callback(sentry.stop)

    async def _warn(self, client: SlackClient) -> None:
        """Says in the log which usergroups of roles are not there, or empty: nobody has those roles."""
        for finding in await group_findings(client, self._loaded):
            if finding.status is not Status.OK:
                log.warning("slack.usergroup", what=finding.what, found=finding.found, do=finding.do)

    def facts(self) -> dict[str, object]:
        """What a person wants to read in the line that says that we are ready."""
        assert self._bot is not None
        return {
            "workspace": self._bot.team_name,
            "mode": self._loaded.settings.slack.mode,
            "targets": len(self._loaded.settings.targets),
            "runbooks": len(self._loaded.runbooks),
            **({"port": self.port} if self.port else {}),
        }

    async def _faults(self) -> dict[str, str]:
        """What is wrong now, for /readyz."""
        faults = {}
        assert self._records is not None
        try:
            async with asyncio.timeout(LONGEST_PROBE):
                await self._records.ping()
        except (RecordsError, TimeoutError):
            faults["database"] = "does not answer"
        if self._sockets is not None and not await self._sockets.connected():
            faults["slack"] = "not connected"
        return faults

    async def _drain(self, edge: Edge, crew: Crew) -> None:
        """Both at once: whoever stops us kills us after ten seconds."""
        done, _ = await asyncio.gather(edge.drain(DRAIN), crew.stop(DRAIN))
        if not done:
            log.warning("maint.drain.cut_off", seconds=DRAIN)

    async def _tidy(self, records: Records, publisher: Publisher, crew: Crew) -> None:
        """Removes what is old, and mends cards that nobody works on any more."""
        # Nobody else works on a SQLite file; on PostgreSQL another replica may, on a young card.
        alone = self._loaded.settings.database_url().startswith("sqlite")
        keep = self._loaded.settings.alerts.keep
        age = timedelta(0) if alone else CARD_AGE
        thinning = Thinning(records, self._loaded.settings.trends.keep(), self._now)
        while True:
            try:
                await publisher.mend(datetime.now(UTC) - age, INTERRUPTED)
                await records.prune(watch_days=keep / timedelta(days=1))
                await thinning.round()
                await crew.tidy()
            except MaintError as error:
                log.warning("maint.tidy.failed", error=str(error))
            except Exception:
                log.exception("maint.tidy.crashed")  # the next round may do better
            age = CARD_AGE
            await asyncio.sleep(TIDY_INTERVAL)
