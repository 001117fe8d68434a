"""Whatever happens to a run is an event, on both databases; what cannot be recorded does not happen."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from runbooks.errors import RecordsError
from runbooks.records.audit import Filter
from runbooks.records.run_tables import outbox
from runbooks.records.runs import AskKind, StepState, WaitingOn
from tests.records.by_hand import by_hand
from tests.runs.conftest import OLGA, RITA, SAM, House
from tests.runs.test_running import texts

Build = Callable[..., Any]

GATED = """
    name: gated
    title: Asks two, and acts
    steps:
      - id: go
        gate: {approvers: [sre], quorum: 2, expires: 4h}
      - id: act
        command: {target: here, run: [sh, -c, 'echo acted >> effects; echo written'], directory: DIR}
"""
FAILS = """
    name: fails
    title: Fails, and goes back
    steps:
      - id: first
        command: {target: here, run: [sh, -c, 'echo first >> effects'], directory: DIR}
        rollback:
          command: {target: here, run: [sh, -c, 'echo unfirst >> effects'], directory: DIR}
      - id: bad
        command: {target: here, run: [sh, -c, 'echo what went wrong; exit 1'], directory: DIR}
"""
DOUBTFUL = """
    name: doubtful
    title: Is interrupted
    steps:
      - id: slow
        command: {target: here, run: [sleep, '60'], directory: DIR}
"""
WAITS = """
    name: waits
    title: Waits, and acts
    steps:
      - id: pause
        wait: {for: 1m}
      - id: act
        command: {target: here, run: [sh, -c, 'echo acted >> effects'], directory: DIR}
"""


async def events(house: House, run: str) -> list[tuple[str, str, str]]:
    """Who did what, and how it went; oldest first. In the details no name is: it would stay."""
    found = await house.records.events(Filter(correlation=run), limit=500)
    told = [str(each.event.details) for each in found]
    assert not [text for text in told for name in (RITA, SAM, OLGA) if name.name in text]
    return [(each.event.actor_name, each.event.action, each.event.outcome) for each in reversed(found)]


async def digests(house: House, run: str, action: str) -> list[str]:
    """What those events say about what was printed."""
    found = await house.records.events(Filter(correlation=run, action=action))
    return [each.event.details["output_sha256"] for each in found]


async def printed(house: House, run: str) -> list[str]:
    """What went into the thread of the card, digested."""
    query = select(outbox.c.body).where(outbox.c.run == run, outbox.c.kind == "output")
    rows = await house.records.read(lambda connection: connection.execute(query).scalars().all())
    return [sha256(body["text"].encode()).hexdigest() for body in rows]


@contextmanager
def no_log(engine: Engine) -> Iterator[None]:
    """A database in which no event can be written."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_events RENAME TO taken_away"))
    yield
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE taken_away RENAME TO audit_events"))


async def test_every_click_at_a_gate_is_an_event(build: Build, tmp_path: Any, database_url: str) -> None:
    """Of who may not, of who said so before, of who came too late; and the plan that it was about."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        view = await house.waiting(run, WaitingOn.GATE)
        (ask,) = view.open_asks
        decide = house.engine.decide
        for by, holds in ((RITA, {"sre"}), (OLGA, set()), (SAM, {"sre"}), (SAM, {"sre"})):
            await decide(ask.id, "approve", by, holds=frozenset(holds))
        await decide(ask.id, "approve", OLGA, holds=frozenset({"sre"}))
        await house.over(run)
        await decide(ask.id, "reject", SAM, holds=frozenset({"sre"}))

        assert [event for event in await events(house, run) if event[0] != "Maint"] == [
            ("Rita", "run.started", "accepted"),
            ("Rita", "gate.approve", "denied"),
            ("Olga", "gate.approve", "denied"),
            ("Sam", "gate.approve", "ok"),
            ("Sam", "gate.approve", "duplicate"),
            ("Olga", "gate.approve", "ok"),
            ("Sam", "gate.reject", "late"),
        ]
        started = await house.records.events(Filter(correlation=run, action="run.started"))
        approved = await house.records.events(Filter(correlation=run, action="gate.approve", outcome="ok"))
        plans = {started[0].event.details["plan"], *(each.event.details["digest"] for each in approved)}
        assert plans == {view.run.plan_digest}
    with by_hand(database_url) as hand:
        assert hand.verify() == ""


async def test_a_rejection_is_an_event(build: Build, tmp_path: Any) -> None:
    """And so is that the run ends by it."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        await house.waiting(run, WaitingOn.GATE)
        await house.answer(run, "reject", SAM, reason="not today")
        await house.asking(run)

        assert ("Sam", "gate.reject", "ok") in await events(house, run)
        assert ("Maint", "step.failed", "failed") in await events(house, run)


async def test_a_step_begins_and_ends_with_the_digest_of_what_it_printed(build: Build, tmp_path: Any) -> None:
    """It is the digest of the very text that people see in the thread."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        await house.waiting(run, WaitingOn.GATE)
        for by in (SAM, OLGA):
            await house.answer(run, "approve", by)
        await house.over(run)

        assert ("Maint", "effect.started", "accepted") in await events(house, run)
        assert await digests(house, run, "effect.finished") == await printed(house, run) != []
        assert await digests(house, run, "step.finished") == [sha256(b"").hexdigest()]  # the gate's


async def test_a_failure_and_the_way_back_are_events(build: Build, tmp_path: Any) -> None:
    """What it printed, what people chose, and each step that was undone."""
    async with build(texts(tmp_path, fails=FAILS)) as house:
        run = await house.start("fails")
        await house.asking(run)
        await house.answer(run, "rollback", SAM)
        await house.over(run, "rolled_back")

        found = await events(house, run)
        assert await digests(house, run, "effect.failed") == await printed(house, run) != []
        assert await digests(house, run, "step.failed") == await printed(house, run)
        assert ("Sam", "failed.rollback", "ok") in found
        assert ("Maint", "run.rollback", "accepted") in found
        back = found[found.index(("Maint", "run.rollback", "accepted")) :]
        assert ("Maint", "effect.started", "accepted") in back
        assert ("Maint", "effect.finished", "ok") in back


async def test_a_doubt_and_its_answer_are_events(build: Build, tmp_path: Any) -> None:
    """The process ended while the step was at work: who said that it is done is known."""
    async with build(texts(tmp_path, doubtful=DOUBTFUL)) as house:
        run = await house.start("doubtful")
        await house.until(run, lambda view: view.step("slow").state == StepState.RUNNING, "at work")
    async with build(texts(tmp_path, doubtful=DOUBTFUL)) as house:
        await house.asking(run)
        await house.answer(run, "done", SAM, reason="looked at it")
        await house.over(run)

        found = await events(house, run)
        assert ("Maint", "effect.in_doubt", "failed") in found
        assert ("Maint", "step.in_doubt", "failed") in found
        assert ("Sam", f"{AskKind.IN_DOUBT}.done", "ok") in found


async def test_what_people_stop_and_resume_are_events(build: Build, tmp_path: Any) -> None:
    """A run that is cancelled, everything that is stopped and resumed."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        await house.waiting(run, WaitingOn.GATE)
        await house.engine.stop_everything(OLGA, "a drill")
        await house.engine.resume_everything(OLGA, "it is over")
        await house.engine.cancel(run, SAM, "not needed")
        await house.over(run, "cancelled")

        assert ("Sam", "run.cancel", "accepted") in await events(house, run)
        for action in ("everything.stopped", "everything.resumed"):
            (found,) = await house.records.events(Filter(action=action))
            assert (found.event.actor_id, found.event.outcome) == (OLGA.id, "ok")


async def test_nothing_starts_and_nothing_is_decided_without_the_log(build: Build, tmp_path: Any) -> None:
    """It is refused, nothing of it stands, and with the log back it works."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        await house.waiting(run, WaitingOn.GATE)
        with no_log(house.records.engine):
            with pytest.raises(RecordsError):
                await house.start("gated")
            with pytest.raises(RecordsError):
                await house.answer(run, "approve", SAM)
            with pytest.raises(RecordsError):
                await house.engine.stop_everything(OLGA, "a drill")
        view = await house.engine.view(run)

        assert [each.id for each in await house.engine.runs()] == [run]
        assert view is not None
        assert [(ask.state, ask.answer) for ask in view.asks] == [("open", "")]
        assert await house.engine.paused() == ""
        for by in (SAM, OLGA):
            await house.answer(run, "approve", by)
        await house.over(run)
        assert house.effects() == ["acted"]


async def test_no_step_begins_without_the_log(build: Build, tmp_path: Any) -> None:
    """It waits for the database, and is done once when the log is back."""
    async with build(texts(tmp_path, waits=WAITS)) as house:
        run = await house.start("waits")
        await house.waiting(run, WaitingOn.TIME)
        with no_log(house.records.engine):
            house.clock.turn(minutes=2)
            await asyncio.sleep(1.5)
            without = house.effects()
        await house.over(run)

        assert (without, house.effects()) == ([], ["acted"])
