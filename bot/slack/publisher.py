"""Puts replies into Slack: a card that is edited as its reply changes, or a private answer.

A post whose answer was lost may have arrived, so it is looked for before it is sent again. Edits are
coalesced: the latest reply wins, at most one a second for each card, and all cards together stay below
Slack's 50 edits a minute (tier 3), of which some are kept back for final cards. The cards of runs are the
business of board.py.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.slack.client import SlackClient
from bot.slack.pace import FINAL, TICK, Edits
from bot.slack.render import LISTING_LENGTH, blocks, clean, fallback, listing_blocks
from bot.slack.trouble import CONNECTION_ERRORS, Gone, NoEntry, as_slack_error, is_doubtful
from commands.reply import Attachment, Listing, Note, Reply
from runbooks.errors import MaintError, RecordsError, SlackError
from runbooks.records.cards import Card as CardRecord

log = structlog.get_logger()


class CardRecords(Protocol):
    """The database, as far as it knows about cards. All raise RecordsError."""

    async def add_card(self, card: CardRecord) -> None: ...
    async def card_posted(self, card_id: str, ts: str) -> bool: ...
    async def card_finished(self, card_id: str) -> None: ...
    async def unfinished_cards(self, before: datetime) -> Sequence[CardRecord]: ...


#: Seconds between two edits of one card.
EDIT_INTERVAL = 1.0
#: Seconds before a lost post is looked for: it may still be on its way.
DOUBT_PAUSE = 1.0
POST_ATTEMPTS = 3
METADATA = "maint_card"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where an answer goes: the channel, and the address that answers only the person who asked."""

    channel: str
    response_url: str


@dataclass(frozen=True)
class _Found:
    """A card in Slack. `done` says that it shows its last reply, whatever the database knows of that."""

    ts: str
    done: bool


def _metadata(card_id: str, reply: Reply) -> dict[str, object]:
    return {"event_type": METADATA, "event_payload": {"card": card_id, "done": reply.done}}


class Publisher:
    """Posts and edits, for every card of this process."""

    def __init__(
        self,
        slack: SlackClient,
        records: CardRecords,
        edits: Edits,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slack = slack
        self._records = records
        self._sleep = sleep
        self._edits = edits

    def card(self, destination: Destination, card_id: str) -> "Card":
        """A card that is not posted before it is shown."""
        return Card(self, destination, card_id)

    async def answer_privately(self, destination: Destination, reply: Reply) -> None:
        """An answer that only the person who asked sees, after its files. Raises SlackError when Slack takes
        it not."""
        for attached in reply.files:
            await self._upload(destination, attached)
        try:
            response = await self._slack.webhook(destination.response_url).send(
                text=fallback(reply),
                blocks=blocks(reply),
                response_type="ephemeral",
                replace_original=reply.replaces or None,
            )
        except CONNECTION_ERRORS as error:
            raise SlackError(f"Slack could not be reached: {type(error).__name__}") from error
        if response.status_code != 200:
            raise SlackError(f"Slack refused a private answer: {response.status_code} {response.body[:200]}")

    async def _upload(self, destination: Destination, attached: Attachment) -> None:
        if not destination.channel.startswith("D"):
            raise SlackError("A file for one person alone goes into a direct message, and this is none.")
        try:
            await self._slack.web.files_upload_v2(
                channel=destination.channel,
                filename=attached.name,
                title=attached.name,
                file=attached.content,
            )
        except (SlackClientError, *CONNECTION_ERRORS) as error:
            raise as_slack_error(error) from error  # a refused upload is no SlackApiError

    async def post(self, channel: str, reply: Reply, card_id: str) -> str:
        """Posts a card once and returns its ts. Raises NoEntry, or SlackError when it did not get there
        or nobody can tell whether it did, or RecordsError."""
        card = CardRecord(kind="command", correlation=card_id, channel=channel, id=card_id)
        await self._records.add_card(card)
        ts = await self._post(card, reply)
        try:
            await self._records.card_posted(card.id, ts)
        except RecordsError as error:
            # This process knows where it stands, and after a crash the next one finds it.
            log.warning("slack.card.not_recorded", card=card.id, error=str(error))
        return ts

    async def finished(self, card_id: str) -> None:
        """Notes that the card says its last, so that it is not mended."""
        await self._records.card_finished(card_id)

    async def mend(self, before: datetime, reply: Reply) -> int:
        """Draws `reply` on every card from before that time that never said its last: whoever worked on
        it is gone. Returns how many there were. Raises RecordsError."""
        cards = await self._records.unfinished_cards(before)
        for card in cards:
            try:
                found = await self._find(card)
                if found is not None and not found.done:
                    await self.edit(card.channel, found.ts, reply, card.id)
            except (NoEntry, Gone) as error:
                log.info("slack.card.gone", card=card.id, error=str(error))
            except SlackError as error:
                log.warning("slack.card.not_mended", card=card.id, error=str(error))
                continue  # it stays unfinished, and the next round tries again
            await self._records.card_finished(card.id)
        return len(cards)

    async def _post(self, card: CardRecord, reply: Reply) -> str:
        for attempt in range(1, POST_ATTEMPTS + 1):
            try:
                response = await self._slack.web.chat_postMessage(
                    channel=card.channel,
                    text=fallback(reply),
                    blocks=blocks(reply),
                    metadata=_metadata(card.id, reply),
                    unfurl_links=False,
                    unfurl_media=False,
                )
                return str(response["ts"])
            except (SlackApiError, *CONNECTION_ERRORS) as error:
                if not is_doubtful(error):
                    raise as_slack_error(error) from error
                log.warning("slack.post.in_doubt", card=card.id, attempt=attempt, error=type(error).__name__)
            await self._sleep(DOUBT_PAUSE * attempt)
            if found := await self._find(card):
                return found.ts
        raise SlackError("Slack did not take the card after several tries.")

    async def _find(self, card: CardRecord) -> "_Found | None":
        """The card as it stands in Slack, also when it was posted although its answer was lost."""
        since = f"{card.created_at.timestamp() - 60:.6f}"
        span = {"oldest": card.ts, "latest": card.ts, "inclusive": True} if card.ts else {"oldest": since}
        try:
            history = await self._slack.web.conversations_history(
                channel=card.channel, include_all_metadata=True, limit=200, **span
            )
            messages = [message async for page in history for message in page["messages"]]
        except (SlackApiError, *CONNECTION_ERRORS) as error:
            if isinstance(known := as_slack_error(error), NoEntry):
                raise known from error
            raise SlackError("Nobody can tell whether the card arrived, so it is not sent again.") from error
        for message in messages:
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if metadata.get("event_type") == METADATA and payload.get("card") == card.id:
                return _Found(str(message["ts"]), done=bool(payload.get("done")))
        return None

    async def edit(self, channel: str, ts: str, reply: Reply, card_id: str) -> bool:
        """Draws the card anew. An unfinished one only if edits are to spare: False says it was not drawn."""
        while wait := await self._edits.take(FINAL if reply.done else TICK):
            if not reply.done:
                return False
            await self._sleep(wait)
        try:
            await self._slack.web.chat_update(
                channel=channel,
                ts=ts,
                text=fallback(reply),
                blocks=blocks(reply),
                metadata=_metadata(card_id, reply),
            )
        except (SlackApiError, *CONNECTION_ERRORS) as error:
            raise as_slack_error(error) from error
        return True

    async def add_details(self, channel: str, ts: str, details: tuple[Listing, ...]) -> None:
        """The listings in the card's thread; a long one as a file."""
        for listing in details:
            try:
                if len(listing.text) <= LISTING_LENGTH:
                    await self._slack.web.chat_postMessage(
                        channel=channel,
                        thread_ts=ts,
                        text=f"Details: {listing.name}",
                        blocks=listing_blocks(listing),
                        unfurl_links=False,
                        unfurl_media=False,
                    )
                else:
                    await self._slack.web.files_upload_v2(
                        channel=channel,
                        thread_ts=ts,
                        filename=listing.name,
                        title=listing.name,
                        content=clean(listing.text),
                    )
            except (SlackClientError, *CONNECTION_ERRORS) as error:
                raise as_slack_error(error) from error  # a refused upload is no SlackApiError


class Card:
    """One message and the latest reply that it has to show. `show` never waits; `finish` does."""

    def __init__(self, publisher: Publisher, destination: Destination, card_id: str) -> None:
        self._publisher = publisher
        self._destination = destination
        self._id = card_id
        self._latest: Reply | None = None
        self._changed = asyncio.Event()
        self._drawing = asyncio.Lock()
        self._posting: asyncio.Task[str] | None = None
        self._editing: asyncio.Task[None] | None = None

    def show(self, reply: Reply) -> None:
        """Makes this the reply to show: soon, or never if a newer one comes first."""
        self._latest = reply
        if self._posting is None:
            self._posting = asyncio.create_task(
                self._publisher.post(self._destination.channel, reply, self._id)
            )
            self._editing = asyncio.create_task(self._keep_edited(self._posting))
        else:
            self._changed.set()

    async def _keep_edited(self, posting: "asyncio.Task[str]") -> None:
        try:
            ts = await posting
            while True:
                await self._changed.wait()
                await asyncio.sleep(EDIT_INTERVAL)
                self._changed.clear()
                async with self._drawing:
                    if self._latest is not None:
                        await self._publisher.edit(self._destination.channel, ts, self._latest, self._id)
        except MaintError as error:
            log.warning("slack.card.not_shown", card=self._id, error=str(error))

    async def finish(self, reply: Reply) -> None:
        """Shows the final reply: on the card if there is one, else as the reply says. Raises MaintError
        when the person cannot be answered at all."""
        if self._posting is None and reply.private:
            await self._publisher.answer_privately(self._destination, reply)
            return
        shown = self._posting is None  # posted right here, with nothing left to edit
        if self._posting is None:
            post = self._publisher.post(self._destination.channel, reply, self._id)
            self._posting = asyncio.create_task(post)
        self._latest = None
        posted = await self._settle(self._posting)
        try:
            if isinstance(posted, MaintError):
                raise posted
            if not shown:
                await self._publisher.edit(self._destination.channel, posted, reply, self._id)
        except MaintError as error:
            await self._in_private(reply, error)
            if isinstance(posted, str) and not isinstance(error, NoEntry | Gone):
                return  # the card is still there and says otherwise: it stays unfinished, to be mended
            posted = error
        try:
            await self._publisher.finished(self._id)
        except RecordsError as error:
            # Slack knows it too: whoever mends cards sees there that this one is done.
            log.warning("slack.card.not_recorded", card=self._id, error=str(error))
        if isinstance(posted, str):
            await self._publisher.add_details(self._destination.channel, posted, reply.details)

    async def _in_private(self, reply: Reply, error: MaintError) -> None:
        why = (
            "Only you see this: Maint is not in this channel. /invite it, and everybody sees the next one."
            if isinstance(error, NoEntry)
            else f"Only you see this: {error}"
        )
        shown = Reply(
            title=reply.title,
            fallback=reply.fallback,
            status=reply.status,
            elements=(*reply.elements, Note(why)),
        )
        await self._publisher.answer_privately(self._destination, shown)

    async def _settle(self, posting: "asyncio.Task[str]") -> str | MaintError:
        """The card's ts once nothing is under way any more, or why there is none."""
        try:
            return await asyncio.shield(posting)
        except MaintError as error:
            return error
        finally:
            # An edit under way is let finish: if it was cut off, nobody knew which of two Slack drew last.
            async with self._drawing:
                if self._editing is not None:
                    self._editing.cancel()
