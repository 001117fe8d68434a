"""Keeps the cards of runs, alerts and reports equal to the database, on every replica.

One loop claims what is stale, the most urgent first, and draws it from the records as they are then: ten
changes of a run are one drawing. What a replica could not finish another one does. From time to time, and
at the start, what stands in Slack is held against the database, so a card that somebody deleted comes back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot.slack.client import SlackClient
from bot.slack.letters import Letters, fit_together
from bot.slack.messages import Messages
from bot.slack.pace import UPDATES, posts, price
from bot.slack.trouble import Gone, NoEntry, TooOften
from bot.trends import NoCharts, can_draw
from commands.alert_card import Remedies, alert_card, no_remedies
from commands.digest_card import report_card
from commands.reply import Reply
from commands.run_card import gate_card, run_card
from runbooks.errors import MaintError, RecordsError, SlackError
from runbooks.records.board import BoardRecords
from runbooks.records.cards import ALERT, CLAIM, GATE, REPORT, RUN, Card, Claim
from runbooks.records.outbox import Batch
from runbooks.records.runs import RunView
from runbooks.scrub import Scrubber, scrubbed
from runbooks.steps.reach import utc_now

log = structlog.get_logger()

#: Seconds after which it looks again although nobody nudged: another replica may have changed something. It
#: draws that itself; this is for what a command at the terminal changed, and for what a dead one left.
POLL = 3.0
#: Seconds until it looks again when the database does not answer.
TROUBLE = 5.0
#: Calls to Slack that are under way at a time.
AT_ONCE = 4
#: Seconds that one drawing may take: less than the claim, after which another replica draws the card.
LONGEST_DRAWING = 0.7 * CLAIM
#: Seconds until something that Slack refused is tried again.
RETRY = 15.0
#: Seconds between two comparisons of what stands in Slack with the database.
RECONCILE = 600.0


class Board:
    """Draws the cards of runs and of gates, and posts what belongs into their threads."""

    def __init__(
        self,
        slack: SlackClient,
        records: BoardRecords,
        *,
        called: Callable[[str], Awaitable[tuple[str, ...]]],
        channels: Mapping[str, str],
        scrub: Scrubber,
        now: Callable[[], datetime] = utc_now,
        remedies: Remedies = no_remedies,
        silenceable: Collection[str] = (),
    ) -> None:
        """`called`: the ids that a mention of a role, a person or a usergroup calls. `channels`: maint.yaml's
        names of channels. `remedies`: the runbooks that may help against an alert. `silenceable`: the sources
        that can be told to keep one back."""
        self._alert_card = partial(alert_card, remedies=remedies, silenceable=silenceable, charts=can_draw())
        self._messages = Messages(slack, channels)
        self._letters = Letters(slack, called, channels)
        self._records = records
        self._scrub = scrub
        self._now = now
        self._nudged = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begins to draw, in the running event loop."""
        self._loops = [
            asyncio.create_task(self._keep_drawn(), name="board"),
            asyncio.create_task(self._keep_reconciled(), name="board-reconcile"),
        ]

    def nudge(self) -> None:
        """Something has become stale: looks at once."""
        self._nudged.set()

    async def stop(self, seconds: float) -> None:
        """Lets what is under way come to its end, for so long; another replica does the rest."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def reconcile(self) -> int:
        """Holds what stands in Slack against the database; how many cards have to be drawn again.

        Raises RecordsError. A channel that cannot be read is left for the next time.
        """
        by_channel: dict[str, list[Card]] = {}
        for card in await self._records.standing_cards():
            by_channel.setdefault(card.channel, []).append(card)
        stale = 0
        for channel, cards in by_channel.items():
            try:
                standing = await self._messages.standing(channel, min(card.created_at for card in cards))
            except SlackError as error:
                log.info("board.not_reconciled", channel=channel, error=str(error))
                continue
            for card in cards:
                shown = standing.versions.get(card.id)
                if shown is None and float(card.ts or 0) > standing.since:
                    await self._records.card_lost(card, self._now())
                    stale += 1
                elif shown is not None and shown[1] != card.drawn:
                    await self._records.doubt_card(card.id)
                    stale += 1
        if stale:
            log.info("board.reconciled", stale=stale)
            self.nudge()
        return stale

    async def _keep_reconciled(self) -> None:
        while True:
            try:
                await self.reconcile()
            except MaintError as error:
                log.warning("board.reconcile.failed", error=str(error))
            except Exception:
                log.exception("board.reconcile.crashed")  # the next round may do better
            await asyncio.sleep(RECONCILE)

    async def _keep_drawn(self) -> None:
        while True:
            self._nudged.clear()
            pause = POLL
            try:
                pause = min(await self._round(), POLL)
            except RecordsError as error:
                log.warning("board.failed", error=str(error))
                pause = TROUBLE
            except Exception:
                log.exception("board.crashed")
                pause = TROUBLE
            try:
                async with asyncio.timeout(pause):
                    await self._nudged.wait()
            except TimeoutError:
                pass

    async def _round(self) -> float:
        """Begins everything that can be drawn and posted now; the seconds until there may be more."""
        pause = POLL
        cards = letters = True
        while (cards or letters) and len(self._under_way) < AT_ONCE:
            if cards:
                claim = await self._records.claim_card(self._now(), price)
                cards = isinstance(claim, Claim)
                if isinstance(claim, Claim):
                    self._begin(self._draw(claim))
                elif claim is not None:
                    pause = min(pause, claim)
            if letters and len(self._under_way) < AT_ONCE:
                batch = await self._records.claim_letters(self._now(), posts, fit_together)
                letters = isinstance(batch, Batch)
                if isinstance(batch, Batch):
                    self._begin(self._post(batch))
                elif batch is not None:
                    pause = min(pause, batch)
        return pause

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._nudged.set()  # there may be more to do, and there is room for it now

    async def _draw(self, claim: Claim) -> None:
        card = claim.card
        try:
            async with asyncio.timeout(LONGEST_DRAWING):
                await self._draw_now(claim)
        except TooOften as error:
            await self._stop(card.channel if card.ts is None else "", error.seconds)
            await self._quietly(self._records.release_card(claim))
        except Gone:
            log.info("board.card.gone", card=card.id)
            await self._quietly(self._records.card_lost(card, self._now()))
        except NoEntry as error:
            log.warning("board.card.no_entry", card=card.id, channel=card.channel, error=str(error))
            await self._quietly(self._records.give_card_up(claim, self._now()))
        except (MaintError, TimeoutError) as error:
            log.warning("board.card.not_drawn", card=card.id, error=str(error) or "no answer in time")
            await self._quietly(self._records.release_card(claim, self._later()))
        except Exception:
            log.exception("board.card.crashed", card=card.id)
            await self._quietly(self._records.release_card(claim, self._later()))

    async def _draw_now(self, claim: Claim) -> None:
        card = claim.card
        link = await self._link(card.correlation) if card.kind == GATE else ""
        shown = await self._shown(card, link)
        if shown is None:
            log.error("board.card.of_nothing", card=card.id, of=card.correlation)
            await self._records.give_card_up(claim, self._now())
            return
        reply, version, posted = scrubbed(shown[0], self._scrub), shown[1], None
        if card.ts is None and claim.tried:
            posted = await self._messages.find(card)
        if card.ts is None and posted is None:
            posted = await self._messages.post(card, reply, version)
        else:
            await self._messages.edit(replace(card, ts=posted or card.ts), reply, version)
        ours = await self._records.card_drawn(claim, version, now=self._now(), ts=posted, done=reply.done)
        if posted and not ours:
            log.warning("board.card.late", card=card.id)
        if posted and card.kind == RUN:
            await self._records.doubt_gates(card.correlation)
        if card.kind == GATE and not link and await self._link(card.correlation):
            # The run's card was posted in between, and its word of it came before we noted ours.
            await self._records.doubt_card(card.id)

    async def _shown(self, card: Card, link: str) -> tuple[Reply, int] | None:
        """What the card should show, and of which version that is; None when it is of nothing."""
        if card.kind == ALERT:
            alert = await self._records.alert(card.correlation)
            return (self._alert_card(alert), alert.alert.version) if alert else None
        if card.kind == REPORT:
            report = await self._records.report(card.correlation)
            return (report_card(report), report.version) if report else None
        view = await self._records.view(card.correlation)
        reply = _reply(card, view, link) if view else None
        return (reply, view.run.version) if view and reply else None

    async def _link(self, run: str) -> str:
        """Where the run's own card is; empty while nobody knows."""
        card = await self._records.card_of_run(run)
        if card is None or card.ts is None:
            return ""
        try:
            return await self._messages.link(card.channel, card.ts)
        except SlackError as error:
            log.info("board.no_link", run=run, error=str(error))
            return ""

    async def _post(self, batch: Batch) -> None:
        ids = [letter.id for letter in batch.letters]
        try:
            async with asyncio.timeout(LONGEST_DRAWING):
                ts = await self._letters.post(batch)
                await self._records.letters_sent(batch.letters, ts, self._now())
        except TooOften as error:
            await self._stop(batch.channel, error.seconds)
            await self._quietly(self._records.release_letters(batch, self._now(), tried=False))
        except Gone:
            # The card was deleted under its thread: both come back.
            await self._quietly(self._lost_thread(batch))
        except NoCharts as error:
            log.warning("board.letters.no_charts", letters=ids, error=str(error))
            await self._quietly(self._records.letters_sent(batch.letters, "", self._now()))
        except NoEntry as error:
            log.warning("board.letters.no_entry", channel=batch.channel, letters=ids, error=str(error))
            await self._quietly(self._records.letters_sent(batch.letters, "", self._now()))
        except (MaintError, TimeoutError) as error:
            log.warning("board.letters.not_posted", letters=ids, error=str(error) or "no answer in time")
            await self._quietly(self._records.release_letters(batch, self._later(), tried=True))
        except Exception:
            log.exception("board.letters.crashed", letters=ids)
            await self._quietly(self._records.release_letters(batch, self._later(), tried=True))

    async def _lost_thread(self, batch: Batch) -> None:
        card = await self._records.card(batch.card) if batch.card else None
        if card is not None and card.ts == batch.thread:
            await self._records.card_lost(card, self._now())
        await self._records.release_letters(batch, self._later(), tried=False)

    async def _stop(self, channel: str, seconds: float) -> None:
        """Nobody asks Slack for that while it does not want to hear: neither this process nor another."""
        budget = posts(channel) if channel else UPDATES
        log.warning("slack.limited", budget=budget.name, seconds=seconds)
        await self._quietly(self._records.stop(budget, self._now(), seconds))

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except RecordsError as error:
            # The claim ends by itself, and whoever comes then looks at what stands in Slack.
            log.warning("board.not_recorded", error=str(error))

    def _later(self) -> datetime:
        return self._now() + timedelta(seconds=RETRY)


def _reply(card: Card, view: RunView, link: str) -> Reply | None:
    if card.kind != GATE:
        return run_card(view)
    ask = next((ask for ask in view.asks if ask.id == card.id), None)
    return gate_card(view, ask, link) if ask else None
