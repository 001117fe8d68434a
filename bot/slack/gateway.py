"""The way in from Slack: acknowledge, identify, authorise, record, hand over. Nothing here works.

A listener only acknowledges and puts the request into a queue; a few workers identify the person, record
the request and start what was asked. So a slow Slack, database or target never costs the three seconds
that Slack gives.
"""

import asyncio
import hashlib
import html
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.places import place_of
from bot.slack.looking_up import look_somebody_up
from bot.slack.people import People
from bot.slack.publisher import Card, Destination, Publisher
from bot.slack.throttle import Throttle
from commands.command import (
    Actor,
    ActorKind,
    Command,
    Holds,
    LookUp,
    Request,
    holds_nothing,
    knows_nobody,
)
from commands.dispatch import Admission, Dispatcher, crashed, message
from commands.reply import Reply, RunForm
from runbooks.access import Access, Grant, Place
from runbooks.errors import MaintError, Refused
from runbooks.ids import new_id
from runbooks.records.audit import Outcome

log = structlog.get_logger()

COMMAND = "/maint"
#: Requests that may wait to be looked at; more than that is a flood, and is answered at once.
LONGEST_QUEUE = 1000
WORKERS = 6
#: Seconds for telling people that their request was interrupted.
LAST_WORD = 3.0
#: What a card says that nobody works on any more.
INTERRUPTED = message("Interrupted", "Maint was stopped before this was done. Ask again.")
#: Slack's id of a message within its channel.
_TS = re.compile(r"[0-9]{1,15}\.[0-9]{1,8}")
NOBODY = Access(frozenset(), (), Place(id=""))


@dataclass(frozen=True)
class Envelope:
    """What Slack delivered: a slash command, or a button or a form, which know their command and its words.

    `react` takes the answer to a button or a form; without it the answer is shown as a command's is.
    `refused`: why nothing is done, where the person has been told already: it is recorded, and no more.
    """

    body: Mapping[str, Any]
    correlation: str
    command: Command | None = None
    words: tuple[str, ...] = ()
    react: "Callable[[Envelope, Reply], Awaitable[None]] | None" = None
    refused: str = ""

    @property
    def person(self) -> str:
        return f"{self.body.get('team_id', '')}/{self.body.get('user_id', '')}"

    @property
    def fingerprint(self) -> str:
        """The same for the same request: for one that has no id of its own."""
        return hashlib.sha256(repr(sorted(self.body.items())).encode()).hexdigest()

    @property
    def destination(self) -> Destination:
        return Destination(
            channel=str(self.body.get("channel_id", "")), response_url=str(self.body.get("response_url", ""))
        )


#: Shows a form to whoever sent the envelope; False when that is not possible any more.
ShowForm = Callable[[Envelope, RunForm], Awaitable[bool]]


class Gateway:
    """Takes slash commands from Bolt and carries them out; and what buttons and forms ask for."""

    def __init__(
        self,
        *,
        dispatcher: Dispatcher,
        people: People,
        publisher: Publisher,
        throttle: Throttle,
        grants: tuple[Grant, ...],
        channels: Mapping[str, str],
        show_form: ShowForm | None = None,
        workspace_url: str = "",
    ) -> None:
        self._dispatcher = dispatcher
        self._show_form = show_form
        self._people = people
        self._publisher = publisher
        self._throttle = throttle
        self._grants = grants
        self._channels = channels
        self._workspace_url = workspace_url
        self._queue: asyncio.Queue[Envelope] = asyncio.Queue(LONGEST_QUEUE)
        self._flooded = False
        self._workers: list[asyncio.Task[None]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def listen(self, app: AsyncApp) -> None:
        """Registers what the bot answers to."""
        app.command(COMMAND)(self._on_command)
        app.event("subteam_members_changed")(self._on_group_changed)
        app.event("subteam_updated")(self._on_group_changed)
        app.event("user_change")(self._on_person_changed)

    def start(self) -> None:
        """Starts the workers, in the running event loop."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(WORKERS)]

    async def drain(self, seconds: float) -> bool:
        """Lets everything that was acknowledged come to its end; False if that took too long."""
        try:
            async with asyncio.timeout(seconds):
                await self._queue.join()
                while self._under_way:
                    await asyncio.wait(self._under_way)
        except TimeoutError:
            return False
        finally:
            for task in (*self._workers, *self._under_way):
                task.cancel()
            await asyncio.gather(*self._workers, *self._under_way, return_exceptions=True)
        return True

    async def _on_command(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        refusal = self.enqueue(Envelope(body, new_id()))
        await (ack(text=refusal) if refusal else ack())

    async def _on_group_changed(self, event: dict[str, Any]) -> None:
        """Who was in that usergroup counts no more: the next who asks asks Slack."""
        subteam = event.get("subteam")
        self._people.forget_group(
            str(subteam.get("id", "") if isinstance(subteam, dict) else event.get("subteam_id", ""))
        )

    async def _on_person_changed(self, event: dict[str, Any]) -> None:
        """The same of an account, which may have been closed."""
        user = event.get("user")
        self._people.forget_person(str(user.get("id", "") if isinstance(user, dict) else user))

    def enqueue(self, envelope: Envelope) -> str:
        """Has the envelope carried out; what to tell the person when it is not."""
        refusal = ""
        wait = self._throttle.admit(envelope.person)
        if wait is not None:
            refusal = f"That is too many commands at once. Try again in {max(1, round(wait))} s."
            if not self._throttle.first_refusal(envelope.person):
                return refusal
            envelope = replace(envelope, body={**envelope.body, "throttled": True})
        if self._queue.full():
            if not self._flooded:
                log.warning("slack.flood", waiting=self._queue.qsize())
            self._flooded = True
            return "Maint has more to do than it can take. Nothing was done; try again in a moment."
        self._flooded = False
        self._queue.put_nowait(envelope)
        return refusal

    async def _work(self) -> None:
        while True:
            envelope = await self._queue.get()
            structlog.contextvars.bind_contextvars(correlation=envelope.correlation)
            try:
                await self._take(envelope)
            except Exception:
                log.exception("slack.request.crashed")
                await self._answer(envelope, crashed(envelope.correlation))
            finally:
                structlog.contextvars.clear_contextvars()
                self._queue.task_done()

    async def _take(self, envelope: Envelope) -> None:
        request, refusal = await self.identify(envelope)
        delivery = f"slack:{envelope.body.get('trigger_id') or envelope.fingerprint}"
        if envelope.body.get("throttled"):
            await self._dispatcher.refuse(request, Outcome.THROTTLED, "too many commands at once", delivery)
            return
        if envelope.refused:
            outcome = Outcome.DENIED if refusal else Outcome.INVALID
            await self._dispatcher.refuse(request, outcome, refusal or envelope.refused, delivery)
            return
        if refusal:
            answer: Admission | Reply | None = await self._dispatcher.refuse(
                request, Outcome.DENIED, refusal, delivery
            )
        elif envelope.command is not None:
            answer = await self._dispatcher.admit_command(request, envelope.command, envelope.words, delivery)
        else:
            answer = await self._dispatcher.admit(request, delivery)
        if answer is None:
            log.info("slack.duplicate", text=request.text)
            return
        if isinstance(answer, Reply) or answer.command.instant:
            # Answered right here: however many ask at once, a few answers are under way at a time, and
            # acknowledging the next request never waits behind hundreds of them.
            await self._answer(envelope, answer)
            return
        task = asyncio.create_task(self._answer(envelope, answer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def identify(self, envelope: Envelope) -> tuple[Request, str]:
        """The request with who makes it, and why they are refused already, if they are."""
        body = envelope.body
        user, team = str(body.get("user_id", "")), str(body.get("team_id", ""))
        name = str(body.get("user_name") or user)
        channel, called = str(body.get("channel_id", "")), str(body.get("channel_name", ""))
        place = place_of(channel, called, self._channels)
        access, refusal, timezone = NOBODY, "", "UTC"
        holds: Holds = holds_nothing
        look_up: LookUp = knows_nobody
        try:
            person = await self._people.identify(user, team)
            name, timezone = person.name, person.timezone
            holds = partial(self._people.holds, person)
            look_up = partial(look_somebody_up, self._people, self._grants, place, team)
            access = Access(await self._people.roles_of(person), self._grants, place)
        except Refused as error:
            refusal = str(error)
        request = Request(
            actor=Actor(kind=ActorKind.SLACK, id=user, name=name, team=team),
            place=place,
            access=access,
            correlation=envelope.correlation,
            filled=envelope.command is not None,
            permalink=self._permalink(body),
            holds=holds,
            look_up=look_up,
            timezone=timezone,
            # Slack sends & < > as entities; as text they are themselves.
            text=html.unescape(str(body.get("text") or "")),
        )
        return request, refusal

    def _permalink(self, body: Mapping[str, Any]) -> str:
        """The message whose button was pressed, as Slack's `chat.getPermalink` has it."""
        channel, ts = str(body.get("channel_id", "")), str(body.get("message_ts", ""))
        if not self._workspace_url or not channel or not _TS.fullmatch(ts):
            return ""
        thread = str(body.get("thread_ts", ""))
        within = f"?thread_ts={thread}&cid={channel}" if _TS.fullmatch(thread) else ""
        return f"{self._workspace_url}archives/{channel}/p{ts.replace('.', '')}{within}"

    async def _answer(self, envelope: Envelope, answer: Admission | Reply) -> None:
        card, destination = None, envelope.destination
        try:
            if envelope.react is not None:
                if not isinstance(answer, Reply):
                    answer = await self._dispatcher.carry_out(answer, lambda _: None)
                await envelope.react(envelope, answer)
                return
            if isinstance(answer, Reply):
                await self._publisher.answer_privately(destination, answer)
                return
            card = self._publisher.card(destination, answer.request.correlation)
            reply = await self._dispatcher.carry_out(answer, card.show)
            if reply.form and self._show_form and await self._show_form(envelope, reply.form):
                return
            await card.finish(reply)
        except MaintError as error:
            log.error("slack.answer.failed", error=str(error))
        except Exception:
            log.exception("slack.answer.crashed")  # as a task of its own nobody else would hear of it
        except asyncio.CancelledError:
            if card is not None:
                await self._interrupt(card)
            raise

    async def _interrupt(self, card: Card) -> None:
        try:
            async with asyncio.timeout(LAST_WORD):
                await card.finish(INTERRUPTED)
        except (MaintError, TimeoutError) as error:
            log.warning("slack.answer.failed", error=str(error))
