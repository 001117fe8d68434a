"""Delivers notices: at least once, in order, again and again, and with a word about it when it cannot."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import aiohttp
import structlog

from bot.notify import AnyService
from bot.notify.delivery import ChannelRefuses, Means, NotDelivered
from bot.notify.who import Who
from bot.slack.notices import SlackNotices, is_refusal, pause_of
from runbooks.engine.hold import Database
from runbooks.errors import MaintError, SlackError
from runbooks.records import notices, subjects
from runbooks.records.asks import Transaction
from runbooks.records.notices import NoticeRow
from runbooks.watch.policies import DIRECT, MENTION

log = structlog.get_logger()

#: Seconds between two looks for what is due.
POLL = 1.0
#: Seconds until the next try, doubled each time, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0
#: After so long a notice is given up.
PATIENCE = timedelta(hours=24)
#: Seconds that one delivery may take: less than a claim, after which another replica tries.
LONGEST_DELIVERY = 0.7 * notices.CLAIM
#: Deliveries that are under way at a time.
AT_ONCE = 8
#: A mention waits so long for the card of what it is about, so that it stands in its thread.
CARD_PATIENCE, CARD_PAUSE = timedelta(seconds=30), 0.5


class Trouble(Protocol):
    """Takes down that something does not arrive, or does again; within the caller's transaction."""

    def failed(self, connection: Transaction, kind: str, target: str, why: str) -> None: ...
    def arrived(self, connection: Transaction, kind: str, target: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How notices go out. `link`: the address of a message, from its channel and ts."""

    services: Mapping[str, AnyService]
    slack: SlackNotices
    who: Who
    session: aiohttp.ClientSession
    link: Callable[[str, str], Awaitable[str]]
    fallback: str = ""


class Courier:
    """One for each process; whoever claims a notice first delivers it."""

    def __init__(self, database: Database, ways: Ways, trouble: Trouble, now: Callable[[], datetime]) -> None:
        self._database = database
        self._ways = ways
        self._trouble = trouble
        self._now = now
        self._nudged = asyncio.Event()
        self._pause = POLL  # until something here is tried again, if that is sooner
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to deliver, in the running event loop."""
        self._loop = asyncio.create_task(self._keep_delivering(), name="courier")

    def nudge(self) -> None:
        """There is something new: looks at once."""
        self._nudged.set()

    async def stop(self) -> None:
        """What is under way is tried again, here or by another replica, when its claim is over."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def round(self) -> int:
        """Tries everything that is due now; how much there was. Raises RecordsError."""
        if not await self._database.read(partial(notices.any_due, now=self._now())):
            return 0
        claimed = await self._database.write(partial(notices.claim, now=self._now(), limit=AT_ONCE))
        await asyncio.gather(*(self._deliver(notice) for notice in claimed))
        return len(claimed)

    async def _keep_delivering(self) -> None:
        while True:
            self._nudged.clear()
            try:
                self._pause = POLL
                while await self.round():
                    pass
            except MaintError as error:
                log.warning("courier.database", error=str(error))
            except Exception:
                log.exception("courier.crashed")  # the next round may do better
            try:
                async with asyncio.timeout(self._pause):
                    await self._nudged.wait()
            except TimeoutError:
                pass

    async def _deliver(self, notice: NoticeRow) -> None:
        try:
            try:
                async with asyncio.timeout(LONGEST_DELIVERY):
                    await self._try(notice)
            except TimeoutError as error:
                raise NotDelivered("there was no answer in time") from error
        except NotDelivered as error:
            await self._quietly(partial(self._not_delivered, notice=notice, error=error))
        except MaintError as error:
            log.warning("courier.not_recorded", notice=notice.id, error=str(error))
        except Exception:
            log.exception("courier.crashed", notice=notice.id)
            failed = NotDelivered("Maint failed: its log says how")
            await self._quietly(partial(self._not_delivered, notice=notice, error=failed))
        else:
            await self._quietly(partial(self._delivered, notice=notice))

    async def _try(self, notice: NoticeRow) -> None:
        """Returns when it has arrived. Raises NotDelivered."""
        place = await self._database.read(
            partial(subjects.place_of, about=notice.about, subject=notice.subject)
        )
        if notice.kind in (MENTION, DIRECT):
            try:
                await (self._mention if notice.kind == MENTION else self._direct)(notice, place)
            except SlackError as error:
                if is_refusal(error):
                    raise ChannelRefuses(str(error)) from error
                pause = pause_of(error)
                raise NotDelivered(str(error), seconds=pause, counts=pause is None) from error
            return
        service = self._ways.services.get(notice.target)
        if service is None:
            raise NotDelivered(f"maint.yaml has no service {notice.target} any more", for_good=True)
        means = Means(
            session=self._ways.session,
            addresses=self._ways.who.addresses,
            now=self._now,
            link=await self._link(place),
        )
        await service.deliver(notice, means)

    async def _mention(self, notice: NoticeRow, place: subjects.Place | None) -> None:
        thread = place.ts if place and place.channel == notice.target else None
        young = self._now() - notice.created_at < CARD_PATIENCE
        if place and place.channel == notice.target and thread is None and young:
            raise NotDelivered("its card is not posted yet", seconds=CARD_PAUSE, counts=False)
        await self._ways.slack.mention(notice, notice.target, thread)

    async def _direct(self, notice: NoticeRow, place: subjects.Place | None) -> None:
        people = await self._ways.who.people(notice.target)
        if people == (notice.target,):
            await self._ways.slack.direct(notice, notice.target, await self._link(place))
        elif people:
            await self._database.write(partial(notices.split, notice=notice, targets=people, at=self._now()))
        else:
            log.warning("courier.nobody", who=notice.target)
            raise NotDelivered(f"nobody in Slack is {notice.target}", for_good=True, quiet=True)

    async def _link(self, place: subjects.Place | None) -> str:
        if place is None or place.ts is None:
            return ""
        try:
            return await self._ways.link(place.channel, place.ts)
        except SlackError:
            return ""

    def _delivered(self, connection: Transaction, notice: NoticeRow) -> None:
        # Alerts first: whoever changes them holds their lock before any other.
        self._trouble.arrived(connection, notice.kind, notice.target)
        notices.arrived(connection, notice, self._now())

    def _not_delivered(self, connection: Transaction, notice: NoticeRow, error: NotDelivered) -> None:
        now, why = self._now(), str(error)
        log.warning("courier.not_delivered", kind=notice.kind, target=notice.target, error=why)
        if not error.for_good and now - notice.created_at < PATIENCE:
            pause = max(_pause(notice.attempts) if error.counts else 0.0, error.seconds or 0.0)
            self._pause = min(self._pause, pause)
            notices.try_later(connection, notice, now + timedelta(seconds=pause), why, tried=error.counts)
            return
        if not error.quiet:
            self._trouble.failed(connection, notice.kind, notice.target, why)
        if not notices.give_up(connection, notice, now, why):
            return
        fallback = self._ways.fallback
        if notice.kind == MENTION and fallback and fallback != notice.target:
            notices.send_elsewhere(connection, notice, fallback, why, now)

    async def _quietly(self, work: Callable[[Transaction], None]) -> None:
        try:
            await self._database.write(work)
        except MaintError as error:
            # The claim ends by itself, and it is tried again.
            log.warning("courier.not_recorded", error=str(error))


def _pause(attempts: int) -> float:
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** max(0, attempts - 1))
