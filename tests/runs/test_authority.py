"""Whether a run still may, asked before each effect: what is done on which answer, on both databases."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from runbooks.engine import authority as authority_module
from runbooks.engine.authority import Everybody
from runbooks.errors import Unsure
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.runs import RunRow, RunState
from tests.runs.conftest import OLGA, RITA, SAM

Build = Callable[..., Any]

THREE = """
    name: three
    title: Three steps
    steps:
      - id: a
        command: {target: here, run: [sh, -c, 'echo a >> effects'], directory: DIR, repeatable: true}
        rollback:
          command: {target: here, run: [sh, -c, 'echo una >> effects'], directory: DIR, repeatable: true}
      - id: b
        skippable: true
        command: {target: here, run: [sh, -c, 'echo b >> effects'], directory: DIR, repeatable: true}
      - id: c
        command: {target: here, run: [sh, -c, 'echo c >> effects'], directory: DIR, repeatable: true}
"""
STUBBORN = """
    name: stubborn
    title: Tries again, and goes on whatever happens
    steps:
      - id: a
        on_failure: continue
        retry: {attempts: 3, wait: 1s}
        command: {target: here, run: [sh, -c, 'echo a >> effects'], directory: DIR, repeatable: true}
"""
LOOKS = """
    name: looks
    title: Looks, asks and speaks
    steps:
      - id: load
        host.load: {target: here}
      - id: go
        gate: {approvers: [sre]}
      - id: say
        slack.message: {channel: ops, text: hello}
"""


@dataclass
class Grants:
    """Who may, as a test says; `asked` are the people whom steps asked about, in order."""

    gone: set[str] = field(default_factory=set)
    away: bool = False
    patient: bool = False
    asked: list[str] = field(default_factory=list)
    #: Answers wait until this is set.
    release: asyncio.Event | None = None
    after: dict[int, str] = field(default_factory=dict)  # who is gone from that question on

    async def refusal(self, run: RunRow, by: Person, /) -> str:
        """Why that person may not."""
        self.asked.append(by.name)
        if leaver := self.after.get(len(self.asked)):
            self.gone.add(leaver)
        if self.release is not None:
            await self.release.wait()
        if self.away:
            raise Unsure("Slack is away.", patient=self.patient)
        return f"{by.name} may not run {run.runbook} any more" if by.name in self.gone else ""


def texts(folder: Any, **named: str) -> dict[str, str]:
    return {name: text.replace("DIR", str(folder)) for name, text in named.items()}


async def test_a_step_whose_requester_lost_the_right_does_not_begin(build: Build, tmp_path: Any) -> None:
    """06: what was allowed before is done; the next effect is refused with the reason, audited, and asked."""
    grants = Grants(after={2: "Rita"})
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        view = await house.asking(run)

        assert house.effects() == ["a"]
        assert view.step("b").error == "Rita may not run three any more"
        assert view.step("b").started_at is None
        assert view.open_asks[0].choices == ("retry", "skip", "rollback", "abandon")
        actions = await house.actions(run)
        assert actions.count("effect.started") == 1
        outcomes = [e.event.outcome for e in await house.records.events() if e.event.action == "step.failed"]
        assert outcomes == ["denied"]


async def test_retry_goes_on_at_the_word_of_who_says_it(build: Build, tmp_path: Any) -> None:
    """The step is done on the word of somebody who may; the next one asks about the requester again."""
    grants = Grants(after={2: "Rita"})
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        await house.asking(run)
        await house.answer(run, "retry", SAM)
        view = await house.until(run, lambda view: view.step("c").state == "failed", "refused again")

        assert house.effects() == ["a", "b"]
        assert grants.asked == ["Rita", "Rita", "Sam", "Rita"]
        grants.gone.clear()
        await house.answer(run, "retry", RITA)
        view = await house.over(run)
        assert [step.state for step in view.steps] == ["ok", "ok", "ok"]


async def test_who_may_not_either_changes_nothing_by_retry(build: Build, tmp_path: Any) -> None:
    """A click that was let through before its person lost the right is judged again when the step begins."""
    grants = Grants(gone={"Rita", "Olga"})
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        await house.asking(run)
        await house.answer(run, "retry", OLGA)
        view = await house.until(run, lambda view: view.step("a").attempt == 2 and view.open_asks, "refused")

        assert house.effects() == []
        assert view.step("a").error == "Olga may not run three any more"


async def test_the_way_back_asks_nobody(build: Build, tmp_path: Any) -> None:
    """What was done is undone although nobody may run the runbook any more."""
    grants = Grants(after={2: "Rita"})
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        await house.asking(run)
        await house.answer(run, "rollback", SAM)
        await house.over(run, RunState.ROLLED_BACK)

        assert house.effects() == ["a", "una"]
        assert grants.asked == ["Rita", "Rita"]


@pytest.mark.parametrize(
    ("choice", "state", "effects"),
    [("skip", RunState.SUCCEEDED, ["a", "c"]), ("abandon", RunState.ABANDONED, ["a"])],
)
async def test_other_answers_lead_on_as_ever(
    build: Build, tmp_path: Any, choice: str, state: RunState, effects: list[str]
) -> None:
    """A step that was refused can be skipped where that is allowed, and its run be abandoned."""
    grants = Grants(after={2: "Rita"})
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        await house.asking(run)
        grants.gone.clear()
        await house.answer(run, choice, SAM, reason="we know")
        await house.over(run, state)

        assert house.effects() == effects


async def test_neither_continue_nor_retry_leads_past_a_refusal(build: Build, tmp_path: Any) -> None:
    """A step that may fail and is tried again by itself is not begun, and asks, when nobody may."""
    async with build(texts(tmp_path, stubborn=STUBBORN), authority=Grants(gone={"Rita"})) as house:
        run = await house.start("stubborn")
        view = await house.asking(run)

        assert house.effects() == []
        assert view.step("a").state == "failed"
        assert view.step("a").attempt == 1


async def test_what_changes_nothing_asks_nobody(build: Build, tmp_path: Any) -> None:
    """Checks, gates and messages go on."""
    grants = Grants(gone={"Rita"})
    async with build(texts(tmp_path, looks=LOOKS), authority=grants) as house:
        run = await house.start("looks")
        await house.until(run, lambda view: bool(view.open_asks), "at its gate")
        await house.answer(run, "approve", SAM)
        await house.over(run)

        assert grants.asked == []


async def test_a_step_waits_while_nobody_knows(build: Build, tmp_path: Any) -> None:
    """It is held back, audited once, tried again with growing pauses, and goes on when there is an answer."""
    grants = Grants(away=True)
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        view = await house.waiting(run, "time")
        first = view.run.wake_at
        assert view.step("a").progress == "held back: Slack is away."
        assert (first - house.clock.now).total_seconds() == 5
        house.clock.turn(seconds=5)
        view = await house.until(
            run, lambda view: view.run.wake_at not in (None, first) and view.run.state == "waiting", "again"
        )
        assert (view.run.wake_at - house.clock.now).total_seconds() == 10
        assert house.effects() == []

        grants.away = False
        house.clock.turn(seconds=10)
        await house.over(run)
        assert house.effects() == ["a", "b", "c"]
        assert (await house.actions(run)).count("step.held_back") == 1


async def ten_minutes(house: Any, run: str) -> None:
    """Time passes, a minute at a time, until nobody has known for ten minutes."""
    for _ in range(18):
        view = await house.until(
            run,
            lambda view: (
                view.run.state == "asking" or (view.run.wake_at or house.clock.now) > house.clock.now
            ),
            "at rest",
        )
        if view.run.state == "asking":
            return
        house.clock.turn(minutes=1)


async def test_after_ten_minutes_people_are_asked(build: Build, tmp_path: Any) -> None:
    """The step fails with what could not be found out; Retry waits for ten minutes anew."""
    grants = Grants(away=True)
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        await ten_minutes(house, run)
        view = await house.asking(run)
        assert view.step("a").error == "Slack is away."
        assert house.effects() == []

        await house.answer(run, "retry", SAM)
        await house.waiting(run, "time")
        grants.away = False
        house.clock.turn(minutes=1)
        await house.over(run)
        assert house.effects() == ["a", "b", "c"]


async def test_what_another_process_will_know_is_waited_for(build: Build, tmp_path: Any) -> None:
    """Without a token nobody is asked, however long it takes: a Maint that serves carries it on."""
    grants = Grants(away=True, patient=True)
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        await ten_minutes(house, run)
        view = await house.waiting(run, "time")

        assert view.open_asks == ()


async def test_an_answer_that_does_not_come_is_none(
    build: Build, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not answer in time is asked again later; the run is held up, and not its process."""
    monkeypatch.setattr(authority_module, "LONGEST_ANSWER", 0.05)
    grants = Grants(release=asyncio.Event())
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        view = await house.waiting(run, "time")

        assert "could not be found out in time" in view.step("a").progress


async def test_what_is_done_is_noted_before_a_long_question(build: Build, tmp_path: Any) -> None:
    """A process that dies while it asks has not lost how the step before ended."""
    grants = Grants()
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        grants.release = asyncio.Event()
        grants.release.set()
        run = await house.start("three")
        await house.over(run)
        grants.release = asyncio.Event()
        run = await house.start("three")
        grants.after = {}
        await house.until(run, lambda _: len(grants.asked) == 4, "asked")
        grants.release.set()
        grants.release = asyncio.Event()
        await house.until(run, lambda _: len(grants.asked) == 5, "asked about b")
        view = await house.until(run, lambda view: view.step("a").state == "ok", "a noted")

        assert view.step("b").state == "pending"
        grants.release.set()
        grants.release = None
        await house.over(run)


async def test_a_stop_does_not_wait_for_an_answer(build: Build, tmp_path: Any) -> None:
    """Who cancels a run while it asks is heeded at once; nothing was begun."""
    grants = Grants(release=asyncio.Event())
    async with build(texts(tmp_path, three=THREE), authority=grants) as house:
        run = await house.start("three")
        await house.until(run, lambda _: bool(grants.asked), "asked")
        await house.engine.cancel(run, SAM, "enough")
        await house.over(run, RunState.CANCELLED)

        assert house.effects() == []


async def test_an_answer_at_hand_costs_no_transaction(
    build: Build, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run writes as often as one that asks nobody."""
    counts: list[int] = []
    run_it = Records._run

    async def counted(self: Records, *of: Any) -> Any:
        counts[-1] += any("hold.py" in str(getattr(work, "__code__", "")) for work in of)
        return await run_it(self, *of)

    monkeypatch.setattr(Records, "_run", counted)
    for authority in (Everybody(), Grants()):
        counts.append(0)
        async with build(texts(tmp_path, three=THREE), authority=authority) as house:
            await house.over(await house.start("three"))

    assert counts[0] == counts[1] > 0
