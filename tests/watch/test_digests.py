"""Digests are made once, whoever makes them, and say what is otherwise than before."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from bot.slack.render import MESSAGE_LENGTH, blocks
from commands.digest_card import changes_card, digest_card, report_card
from commands.reply import Lines, Paragraph, plain
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.errors import Refused
from runbooks.records import cards, reports
from runbooks.records.board import BoardRecords
from runbooks.records.budgets import Budget
from runbooks.records.cards import Claim
from runbooks.records.records import Records
from runbooks.records.reports import ReportRow, report_id
from runbooks.records.run_tables import outbox
from runbooks.records.schedules import TickRow
from runbooks.records.schema import cards as card_table
from runbooks.scrub import Scrubber
from runbooks.spec.runbook import Runbook, from_source
from runbooks.status import Status
from runbooks.steps import KINDS
from runbooks.targets import HostTarget
from runbooks.watch.desk import Desk
from runbooks.watch.digest import Digest, State, Unmeasured, changed, digest_body, read_digest
from runbooks.watch.found import Found
from runbooks.watch.gone_out import GoneOut
from runbooks.watch.reporter import DigestReporter
from runbooks.watch.rotations import Rotation
from tests.watch.conftest import START, Post

HERE = {"here": HostTarget(type="host", name="here")}
LOOK = """
name: look
title: Look around
schedule:
  - {on: 'daily 9:00', report: digest, channel: ops}
  - {every: 5m, report: changes, channel: alerts}
  - {on: 'every Monday 9:00', report: weekly, channel: ops}
  - {on: 'daily 10:00', report: digest}
steps:
  - {id: memory, title: memory, host.memory: {target: here, warning: {available_percent: {below: 0}}}}
  - {id: load, title: load, host.load: {target: here}}
"""


@dataclass
class Heard:
    """A heart that remembers."""

    beats: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.beats.append("start")

    def success(self) -> None:
        self.beats.append("success")

    def fail(self) -> None:
        self.beats.append("fail")


class Room:
    """One process that makes digests, with a clock that stands still."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.post = Post(records)
        self.heart = Heard()
        self.runbook: Runbook = from_source("look.yaml", LOOK, KINDS, {"here": HostTarget})
        checks = CheckRunner(HERE, records, Scrubber([]), Limits(), now=lambda: self.post.now)
        self.desk = Desk(
            database=records,
            checks=checks,
            targets=HERE,
            runbooks={"look": self.runbook},
            rotations={"ops": Rotation(people=("U0ANN",))},
            now=lambda: self.post.now,
        )
        self.reporter = self.another()
        self.duty = GoneOut(records, self.post.alerts, {}, heart=self.heart, told=lambda: None)

    def another(self) -> DigestReporter:
        """A replica's reporter."""
        return DigestReporter(self.desk, told=lambda: None, heart=self.heart, charts=True)

    def tick(self, n: int, at: datetime = START) -> TickRow:
        """A time of its nth schedule."""
        return TickRow(
            id=f"schedule:look:{n}:{at:%Y-%m-%dT%H:%M}",
            schedule=f"look:{n}",
            fire_at=at,
            local=f"{at:%Y-%m-%dT%H:%M}",
            state="claimed",
            kind="report",
            at=at,
        )

    async def report(self, n: int, minutes: float = 0) -> ReportRow | None:
        """Makes the report of a time so many minutes after the start."""
        self.post.now = START + timedelta(minutes=minutes)
        tick = self.tick(n, self.post.now)
        await self.reporter.report(tick, self.runbook, self.runbook.schedule[n])
        return await self.records.read(partial(reports.by_id, id_=report_id(tick.id)))

    async def rows(self, table: Any) -> list[Any]:
        """What stands in a table."""
        return await self.records.read(lambda connection: list(connection.execute(select(table))))


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    """On both databases."""
    records = await Records.open(database_url)
    yield Room(records)
    await records.close()


async def test_replicas_that_make_a_digest_at_once_make_one(room: Room) -> None:
    """One report, one card, its thread once: and again later nothing more."""
    tick, schedule = room.tick(0), room.runbook.schedule[0]
    replicas = [room.another() for _ in range(3)]

    await asyncio.gather(*(each.report(tick, room.runbook, schedule) for each in replicas))
    await room.reporter.report(tick, room.runbook, schedule)

    assert len(await room.rows(reports.reports)) == 1
    assert [(card.kind, card.channel) for card in await room.rows(card_table)] == [("report", "ops")]
    kinds = [letter.kind for letter in await room.rows(outbox)]
    # Whether the looks of the others were there in time for a picture is chance.
    assert sorted(kinds) in (["output"], ["chart", "output"])


async def test_a_digest_is_kept_as_it_was(room: Room) -> None:
    """What is drawn of it tomorrow is what was found today."""
    row = await room.report(0)

    assert row is not None
    digest = read_digest(row.body)
    assert digest_body(digest) == row.body
    assert (digest.checks, digest.ran, digest.status) == (2, 2, "ok")
    assert digest.around.on_call[0].person == "U0ANN"
    assert report_card(row).title == "Look around: ok"


async def test_looks_that_change_nothing_are_one_line_a_day(room: Room) -> None:
    """The first look knows no before: what is well is no news. The next day has a line of its own."""
    for minutes in (0, 5, 10, 24 * 60):
        await room.report(1, minutes)

    rows = await room.rows(reports.reports)
    lines = [row for row in rows if row.kind == "line"]
    assert sorted(row.body["looks"] for row in lines) == [1, 3]
    assert [row.posted_channel for row in rows if row.kind == "changes"] == [""] * 4
    wanted = sorted(card.wanted for card in await room.rows(card_table))
    assert wanted == [1, 3]
    assert room.heart.beats == ["start", "success"] * 4


async def test_a_report_without_a_channel_is_refused(room: Room) -> None:
    """Its tick says why; nothing is looked at."""
    with pytest.raises(Refused, match="no channel to report to"):
        await room.report(3)
    assert room.heart.beats == []


async def test_a_fault_is_told_to_the_dead_mans_switch(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """And raised: the tick is not done."""

    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(CheckRunner, "run", broken)
    with pytest.raises(ZeroDivisionError):
        await room.report(0)
    assert room.heart.beats == ["start", "fail"]
    assert await room.rows(reports.reports) == []


async def test_the_weekly_form_needs_no_checks(room: Room) -> None:
    """It is made from what was kept."""
    await room.report(1)
    row = await room.report(2, minutes=5)

    assert row is not None
    card = report_card(row)
    assert card.title == "Look around: the week"
    assert "Always up: here" in [plain(each.text) for each in card.elements if isinstance(each, Paragraph)]


async def test_cards_of_reports_wait_for_those_before_them(room: Room) -> None:
    """One that was tried and failed is not overtaken by the next; one of another channel is."""
    first = await room.report(0)
    await room.report(1)
    second = await room.report(0, minutes=24 * 60)
    board, now = BoardRecords(room.records), datetime.now(UTC)
    fast = Budget("fast", size=100, per_second=100)
    claims = []
    for _ in range(3):
        claim = await board.claim_card(now, lambda _: (fast, 0.0))
        claims.append(claim.card.channel if isinstance(claim, Claim) else None)
        if isinstance(claim, Claim) and claim.card.channel == "ops":
            assert first is not None
            assert claim.card.correlation == first.id
            await board.release_card(claim, now + timedelta(seconds=15))
    assert claims == ["ops", "alerts", None]

    later = now + timedelta(seconds=20)
    claim = await board.claim_card(later, lambda _: (fast, 0.0))
    assert isinstance(claim, Claim)
    await board.card_drawn(claim, 1, now=later, ts="1.1", done=True)
    after = await board.claim_card(later, lambda _: (fast, 0.0))
    assert isinstance(after, Claim)
    assert second is not None
    assert after.card.correlation == second.id


async def test_a_digest_that_stands_is_noted_once(room: Room) -> None:
    """Then the heart beats, once however many replicas look."""
    row = await room.report(0)
    assert row is not None
    await room.records.write(lambda connection: reports.posted(connection, row.id, "1.1"))

    await asyncio.gather(*(room.duty.attend(("out", row.id), START) for _ in range(3)))

    assert room.heart.beats == ["start", "success"]
    assert await room.records.read(lambda connection: room.duty.due(connection, START)) == []


states = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(
        State,
        name=st.just("n"),
        status=st.sampled_from([str(each) for each in Status]),
        value=st.none() | st.floats(-1e9, 1e9),
    ),
)


@given(before=states, after=states)
def test_changes_are_just_what_is_otherwise(before: dict[str, State], after: dict[str, State]) -> None:
    """Nothing changed is nothing said; every status that is otherwise is said."""
    said = changed(before, after, values=False)

    assert changed(after, after, values=True) == ()
    otherwise = [key for key in {**before, **after} if _status(before, key) != _status(after, key)]
    assert len(said) == len(otherwise)


def _status(found: dict[str, State], key: str) -> str:
    return found[key].status if key in found else ""


def test_a_digest_of_any_size_fits_into_a_message() -> None:
    """What does not fit is counted; what is not fine comes first."""
    bad = tuple(
        Found(name=f"web-{n} disk", status="critical", value="99 %", note="x" * 500) for n in range(300)
    )
    digest = replace(EMPTY, status="critical", troubles=bad, changes=changed({}, MANY, values=False))

    for card in (digest_card(digest), changes_card(digest)):
        drawn = blocks(card)
        assert len(drawn) <= 50
        assert sum(len(str(block.get("text", ""))) for block in drawn) < MESSAGE_LENGTH
        assert "more that did not fit" in str(drawn[-1])


MANY = {f"disk on web-{n}": State(name=f"web-{n} disk", status="critical") for n in range(300)}
EMPTY = Digest(title="Look", status="ok", at=START, duration_ms=5.0, checks=0, ran=0)


def test_a_digest_names_the_check_that_was_silent_longest() -> None:
    """And says how many ran; one that is not held against anything says nothing of changes."""
    card = digest_card(
        replace(EMPTY, checks=3, ran=2, oldest=Unmeasured(name="db connections", since=START), previous=None)
    )

    notes = [plain(each.text) for each in card.elements if hasattr(each, "text")]
    assert notes == [
        "2 of 3 checks ran, in 5 ms  ·  longest silent: db connections, last measured 2026-11-22 09:00 UTC"
    ]
    assert not any(isinstance(each, Lines) for each in card.elements)
    assert cards.REPORT in cards.DRAWN
