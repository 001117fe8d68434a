"""A Maint whose runs are watched, approved and undone in the sandbox, with a clock that tests turn."""

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.app import Server
from bot.sandbox import Message, Sandbox
from bot.sandbox.delivery import Delivery
from bot.sandbox.model import View
from runbooks.engine.replica import Rhythm
from runbooks.records.audit import Filter
from runbooks.records.records import Records
from runbooks.records.runs import RunState, RunView, view

if TYPE_CHECKING:
    from tests.scenario.conftest import Site, Workplace

#: Looks often: what is due is due when a test turns the clock.
RHYTHM = Rhythm(sweep=0.05, reap=0.2)


def until_wednesday() -> timedelta:
    """How long it is to the coming Wednesday, noon.

    No test meets the hour, or the day, that its schedules are set to, because of when it was started.
    """
    now = datetime.now(UTC)
    noon = now.replace(hour=12, minute=0, second=5, microsecond=0)
    ahead = noon + timedelta(days=(2 - now.weekday()) % 7) - now
    return ahead if ahead > timedelta(0) else ahead + timedelta(days=7)


@dataclass
class Clock:
    """The time of runs: it begins on a Wednesday at noon, goes on as the real one does, and tests turn it."""

    turned: timedelta = field(default_factory=until_wednesday)

    def __call__(self) -> datetime:
        """The time."""
        return datetime.now(UTC) + self.turned

    def as_it_is(self) -> None:
        """The real time, where other programs' clocks have a say."""
        self.turned = timedelta(0)

    def turn(self, **by: float) -> None:
        """Some time passes."""
        self.turned += timedelta(**by)


@dataclass
class Floor:
    """The people of the sandbox at work with runs."""

    sandbox: Sandbox
    workplace: "Workplace"
    site: "Site"
    clock: Clock = field(default_factory=Clock)

    @property
    def folder(self) -> Path:
        """Where maint.yaml is, and where steps work."""
        return self.workplace.folder

    def runbook(self, name: str, text: str) -> None:
        """Writes a runbook of the team's own; DIR in it is a folder for what its steps do."""
        text = textwrap.dedent(text).lstrip().replace("DIR", str(self.folder))
        (self.folder / "runbooks" / f"{name}.yaml").write_text(text)

    def effects(self) -> list[str]:
        """What steps wrote into the file `effects`, in order."""
        log = self.folder / "effects"
        return log.read_text().split() if log.exists() else []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Server]:
        """Maint serves."""
        async with self.workplace.serving(now=self.clock, rhythm=RHYTHM) as server:
            yield server

    async def type(self, user: str, line: str, channel: str = "ops") -> Delivery:
        """A member types `/maint LINE`."""
        return await self.sandbox.slash(user, channel, f"/maint {line}")

    def find(self, words: str, channel: str = "ops", user: str | None = None) -> Message | None:
        """The newest message with those words, as that member sees the channel; of the channel itself, not
        of a thread."""
        for message in reversed(self.sandbox.messages(channel, user)):
            if words in message.shown and not message.thread_ts:
                return message
        return None

    async def sees(self, words: str, channel: str = "ops", user: str | None = None) -> Message:
        """That message, once it is there; fails with what is there instead."""
        return await self.until(
            lambda: self.find(words, channel, user),
            lambda: (
                f"no message with {words!r} but {[m.shown for m in self.sandbox.messages(channel, user)]}"
            ),
        )

    async def told(self, user: str, words: str, channel: str = "ops") -> Message:
        """What a member is told in private, once it is there."""
        member = self.sandbox.workspace.member(user).id

        def look() -> Message | None:
            for message in reversed(self.sandbox.messages(channel, user)):
                if message.ephemeral_to == member and words in message.shown:
                    return message
            return None

        return await self.until(
            look, lambda: f"no {words!r} but {[m.shown for m in self.sandbox.messages(channel, user)]}"
        )

    async def start(
        self, line: str, user: str = "admin", channel: str = "ops", card: str = "run "
    ) -> Message:
        """Starts a run; its card, which is redrawn in place. `card`: words on it."""
        await self.type(user, f"run {line}", channel)
        return await self.card(card, channel)

    async def card(self, words: str, channel: str = "ops") -> Message:
        """The newest card with those words that everybody sees."""

        def look() -> Message | None:
            for message in reversed(self.sandbox.messages(channel)):
                is_card = "maint_card" in str(message.metadata)
                if is_card and words in message.shown and not message.thread_ts:
                    return message
            return None

        return await self.until(
            look, lambda: f"no {words!r} but {[m.shown for m in self.sandbox.messages(channel, 'admin')]}"
        )

    async def shows(self, card: Message, *words: str) -> str:
        """The card's text once it has all of these; fails with what it shows instead."""
        await self.until(
            lambda: all(word in card.shown for word in words),
            lambda: f"{[word for word in words if word not in card.shown]} not in {card.shown!r}",
        )
        return card.shown

    async def lacks(self, card: Message, *words: str) -> str:
        """The card's text once it has none of these."""
        await self.until(
            lambda: not any(word in card.shown for word in words), lambda: f"{words} still in {card.shown!r}"
        )
        return card.shown

    async def press(self, user: str, where: Message, what: str, **how: Any) -> Delivery:
        """A member presses a button, by the text on it."""
        return await self.sandbox.click(user, where, what, **how)

    async def form(self, user: str) -> View:
        """The form that opens for a member."""
        return await self.until(
            lambda: next(iter(self.sandbox.views(user)[-1:]), None), lambda: f"no form for {user}"
        )

    async def press_and_say(self, user: str, where: Message, what: str, words: str) -> None:
        """A member presses a button, and gives the reason that its form asks for."""
        await self.press(user, where, what)
        await self.sandbox.submit(user, await self.form(user), {"said": words})

    def offers(self, message: Message, choice: str) -> bool:
        """Whether a message has a button for that."""
        buttons = (each for block in message.blocks for each in block.get("elements", ()))
        return any(each.get("action_id") == f"maint:{choice}" for each in buttons)

    async def replies(self, card: Message, words: str, least: int = 1) -> str:
        """What stands in the card's thread with those words, once there is so much of it."""

        def look() -> list[str]:
            found = [each.shown for each in self.sandbox.thread(card) if words in each.shown]
            return found if len(found) >= least else []

        found = await self.until(look, lambda: str([each.shown for each in self.sandbox.thread(card)]))
        return str(found[-1])

    async def until(self, find: Callable[[], Any], otherwise: Callable[[], str]) -> Any:
        """What `find` returns once that is true; looks at every change in Slack."""
        try:
            return await self.sandbox.wait_for(find, 10)
        except TimeoutError:
            raise AssertionError(otherwise()) from None

    async def view(self, card: Message) -> RunView:
        """What the records say of the run that a card shows."""
        buttons = (each for block in card.blocks for each in block.get("elements", ()))
        run = next(each["value"] for each in buttons if each.get("action_id") == "maint:details")
        records = await Records.open(str(self.workplace.settings["database"]))
        try:
            found = await records.read(lambda connection: view(connection, run))
        finally:
            await records.close()
        assert found is not None
        return found

    async def states(self, card: Message) -> dict[str, str]:
        """The states of the steps of the run that a card shows, by path."""
        return {row.path: str(row.state) for row in (await self.view(card)).steps}

    async def pass_time(self, card: Message, **by: float) -> None:
        """Lets time pass once the run rests: what it waits for is counted from before that."""
        async with asyncio.timeout(10):
            while True:
                run = (await self.view(card)).run
                if run.state == RunState.WAITING and (run.wake_at is None or run.wake_at > self.clock()):
                    break
                await asyncio.sleep(0.05)
        self.clock.turn(**by)

    async def audited(self, action: str) -> list[tuple[str, str]]:
        """Who did that and how it went, oldest first."""
        events = [each.event for each in await self.workplace.audit(Filter(action=action))]
        return [(event.actor_name, str(event.outcome)) for event in events]
