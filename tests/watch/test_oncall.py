"""`/maint oncall`, with a real database behind it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands import COMMANDS
from commands.command import Request, Services
from commands.dispatch import Admission, Dispatcher
from commands.oncall import OnCall
from runbooks.records.audit import Filter
from runbooks.records.records import Records
from runbooks.scrub import Scrubber
from runbooks.watch.rotations import Rotation
from tests.commands.world import at_terminal, in_slack, read

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


@dataclass
class Desk:
    """Where people type."""

    records: Records
    dispatcher: Dispatcher
    now: datetime = NOON

    async def ask(self, request: Request) -> Any:
        answer = await self.dispatcher.admit(request)
        return (
            await self.dispatcher.carry_out(answer, lambda _: None)
            if isinstance(answer, Admission)
            else answer
        )


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """With one rotation: Sam has this week, Kim the next."""
    records = await Records.open(database_url)
    said = {"people": ["USAM", "UKIM"], "hand_over": "Monday 09:00", "since": "2026-11-16"}
    services = Services(
        targets={},
        runbooks={},
        checks=None,  # type: ignore[arg-type]
        commands=COMMANDS,
        runs=None,  # type: ignore[arg-type]
        alerts=None,  # type: ignore[arg-type]
        records=records,
        proof=None,  # type: ignore[arg-type]
        rotations={"ops": Rotation.model_validate(said | {"timezone": "Europe/Berlin"})},
        now=lambda: NOON,
    )
    yield Desk(records, Dispatcher(services, records, Scrubber(), lambda: NOON))
    await records.close()


async def test_it_shows_who_is_on_call_now_and_next(desk: Desk) -> None:
    """By name, and until when."""
    reply = await desk.ask(in_slack("sam", "oncall"))

    assert "ops  sam (USAM) until 2026-11-23 08:00 UTC; then kim (UKIM) until 2026-11-30 08:00 UTC" in read(
        reply
    )
    assert reply.fallback == "On call: ops: sam (USAM)"
    assert reply.data["rotations"][0]["next"]["person"] == "UKIM"


async def test_somebody_stands_in_and_it_is_in_the_log(desk: Desk) -> None:
    """Until Monday, on the clocks of the rotation's zone; then whose turn it is."""
    text = "oncall override ops <@UKIM|kim> until tomorrow 8:00"
    reply = await desk.ask(in_slack("dana", text))
    later = await desk.ask(in_slack("sam", "oncall ops"))

    assert "UKIM stands in for USAM, until 2026-11-23 07:00 UTC." in read(reply)
    assert "kim (UKIM), in place of USAM as dana said, until 2026-11-23 07:00 UTC" in read(later)
    (event,) = [each.event for each in await desk.records.events(Filter(action="oncall.overridden"))]
    assert (event.actor_id, event.object, event.details["person"]) == ("UDANA", "ops", "UKIM")

    back = await desk.ask(in_slack("dana", "oncall override ops off"))
    assert "UKIM does not stand in any more." in read(back)
    assert await desk.records.events(Filter(action="oncall.restored"))


@pytest.mark.parametrize(
    ("who", "text", "said"),
    [
        ("sam", "oncall override ops <@USAM> until 18:00", "may not use oncall here"),
        ("nobody", "oncall", "has no grant here"),
        (
            "dana",
            "oncall override ops <@UGUEST> until 18:00",
            "cannot be on call: Maint does not answer guests",
        ),
        ("dana", "oncall override ops @kim until 18:00", "is nobody"),
        ("dana", "oncall override ops UKIM", "Say until when"),
        ("dana", "oncall override ops UKIM until whenever", "is no time to come"),
        ("dana", "oncall override ops UKIM until 2026-11-01 8:00", "is not to come"),
        ("dana", "oncall override osp UKIM until 18:00", "Did you mean ops?"),
        ("dana", "oncall override ops off", "Nobody stands in"),
    ],
)
async def test_what_does_not_fit_or_is_not_allowed_changes_nothing(
    desk: Desk, who: str, text: str, said: str
) -> None:
    """And says why."""
    reply = await desk.ask(in_slack(who, text))

    assert said in f"{reply.fallback}\n{read(reply)}"
    assert not await desk.records.events(Filter(action="oncall.overridden"))


async def test_the_examples_can_be_typed(desk: Desk) -> None:
    """Those of the help, and of docs/commands.md, in their order."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    typed = [line.split("  #")[0].strip().removeprefix("maint ") for line in lines]
    examples = [example for example, _ in OnCall.examples]
    for line in [*examples, *(each for each in typed if each.startswith("oncall"))]:
        reply = await desk.ask(at_terminal(line, "UDANA", "admin"))
        assert reply.title == "On call", reply.fallback
