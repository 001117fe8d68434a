"""Whatever happens at whichever write of a run, it comes to the same end: kill -9 at every moment."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbooks.records.audit import Filter
from runbooks.records.records import Records
from runbooks.records.runs import RunView
from runbooks.records.runs import effect_rows as journal_of
from tests.faults.dying import Harm, Story, ready
from tests.runs.conftest import Clock

#: More writes than any of these runs needs.
MOST_WRITES = 80

STRAIGHT = """
    name: straight
    title: A gate, effects of both kinds, a soak
    locks: [here]
    steps:
      - id: go
        gate: {approvers: [sre], quorum: 2, expires: 4h}
      - id: again
        command: {target: here, run: [sh, -c, 'echo again >> effects'], directory: DIR, repeatable: true}
      - id: once
        command: {target: here, run: [sh, -c, 'echo once >> effects'], directory: DIR}
      - id: watch
        soak: {for: 2m, every: 1m, checks: [{host.load: {target: here, critical: {load1: {above: 100000}}}}]}
"""
FAILS = """
    name: fails
    title: Fails for certain, and people are asked
    steps:
      - id: first
        command: {target: here, run: [sh, -c, 'echo first >> effects'], directory: DIR}
        rollback:
          command: {target: here, run: [sh, -c, 'echo unfirst >> effects'], directory: DIR}
      - id: bad
        command: {target: here, run: [sh, -c, 'echo bad >> effects; exit 1'], directory: DIR}
"""
GOES_BACK = FAILS.replace("name: fails", "name: goesback").replace(
    "- id: bad", "- id: bad\n        on_failure: rollback"
)
TRIES = """
    name: tries
    title: Tries again by itself
    steps:
      - id: bad
        retry: {attempts: 2, wait: 1m}
        skippable: true
        command:
          target: here
          run: [sh, -c, 'echo bad >> effects; exit 1']
          directory: DIR
          repeatable: true
"""
UNWELL = """
    name: unwell
    title: Its checks fail, and it goes back by itself
    steps:
      - id: first
        command: {target: here, run: [sh, -c, 'echo first >> effects'], directory: DIR}
        rollback:
          command: {target: here, run: [sh, -c, 'echo unfirst >> effects'], directory: DIR}
      - id: watch
        soak:
          for: 2m
          every: 1m
          on_failure: rollback
          checks: [{host.load: {target: here, critical: {load1: {above: -1}}}}]
"""
SIDE_BY_SIDE = """
    name: sides
    title: Several at the same time
    steps:
      - id: both
        parallel:
          - id: one
            command: {target: here, run: [sh, -c, 'echo one >> effects'], directory: DIR}
          - id: two
            manual: {instructions: Look at it}
      - id: each
        for_each: [1, 2]
        command: {target: here, run: [sh, -c, 'echo $0 >> effects', '{{ item }}'], directory: DIR}
"""
TEXTS = {
    "straight": STRAIGHT,
    "fails": FAILS,
    "goesback": GOES_BACK,
    "tries": TRIES,
    "unwell": UNWELL,
    "sides": SIDE_BY_SIDE,
}
ANSWERS = {"gate": "approve", "manual": "done", "failed": "rollback", "in_doubt": "retry"}
TRIED = {**ANSWERS, "failed": "skip"}
#: By runbook: what people answer, how it ends, what it has done outside, and its steps' ends.
ENDS = {
    "straight": (ANSWERS, "succeeded", {"again": 1, "once": 1}),
    "fails": (ANSWERS, "rolled_back", {"first": 1, "bad": 1, "unfirst": 1}),
    "goesback": (ANSWERS, "rolled_back", {"first": 1, "bad": 1, "unfirst": 1}),
    "tries": (TRIED, "succeeded", {"bad": 2}),
    "unwell": (ANSWERS, "rolled_back", {"first": 1, "unfirst": 1}),
    "sides": (ANSWERS, "succeeded", {"one": 1, "1": 1, "2": 1}),
}
#: What a run does again that is repeatable; everything else only on a person's word.
REPEATABLE = {"straight": {"again"}, "tries": {"bad"}}


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[Records]:
    """An empty database of each kind, with a queue."""
    records = await Records.open(database_url)
    await ready(records)
    yield records
    await records.close()


@dataclass(frozen=True)
class Outcome:
    """What came of a run, as far as people care."""

    state: str
    steps: tuple[tuple[str, str], ...]
    asked: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, view: RunView) -> "Outcome":
        """Without what a doubt adds: that people were asked, and said to go on."""
        asked = sorted((ask.kind, ask.path) for ask in view.asks if ask.kind != "in_doubt")
        return cls(view.run.state, tuple((row.path, row.state) for row in view.steps), tuple(asked))


@pytest.mark.parametrize("harm", [harm for harm in Harm if harm is not Harm.NONE])
@pytest.mark.parametrize("runbook", sorted(TEXTS))
async def test_the_end_is_the_same_wherever_it_is_struck(
    runbook: str, harm: Harm, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of the run and of its steps, and who was asked; nothing is done twice that may not be."""
    monkeypatch.setattr("runbooks.engine.hold.PATIENCE", 0.001)
    asyncio.get_running_loop().set_debug(False)  # hundreds of runs: it would take half of the time
    policy, state, _ = ENDS[runbook]
    wanted: Outcome | None = None
    for at in (-1, *range(0, MOST_WRITES, stride(harm, records))):
        folder = tmp_path / f"at-{at}"
        folder.mkdir()
        story = Story(records, folder, TEXTS[runbook], runbook, policy, Clock())
        view = await story.tell(Harm.NONE if at < 0 else harm, at)
        if view is None:
            return
        outcome = Outcome.of(view)
        wanted = wanted or outcome
        assert outcome == wanted, f"struck at write {at}"
        assert outcome.state == state
        await demand_no_doubles(records, story, view, f"struck at write {at}")
    raise AssertionError("it has more writes than were struck")


def stride(harm: Harm, records: Records) -> int:
    """How many writes one step is: all of them are struck where it tells most, or where it was asked for."""
    if os.environ.get("MAINT_TEST_FAULTS") == "all":
        return 1
    tells_most = harm in (Harm.DEATH_BEFORE, Harm.UNHEARD)
    if records.engine.dialect.name == "sqlite":
        return 1 if tells_most else 5
    return 4 if tells_most else 7


async def demand_no_doubles(records: Records, story: Story, view: RunView, when: str) -> None:
    """What was done outside is what was to be done, but for repetitions that are noted and retries that
    people asked for."""
    done = Counter((story.folder / "effects").read_text().split())
    rows = await records.read(lambda connection: journal_of(connection, view.run.id))
    expected = ENDS[story.runbook][2]
    assert set(done) == set(expected), when
    for word, times in done.items():
        again = [path for kind, path, choice in story.answers if (kind, choice) == ("in_doubt", "retry")]
        if word in REPEATABLE.get(story.runbook, ()):
            assert times <= len([row for row in rows if row.repeatable]), when
        else:
            assert expected[word] <= times <= expected[word] + len(again), (when, word, story.answers)
    assert all(row.state != "started" for row in rows), when
    events = [each.event for each in await records.events(Filter(correlation=view.run.id), limit=500)]
    actions = Counter((event.action, event.object, event.details.get("attempt")) for event in events)
    ends = {action: n for action, n in actions.items() if action[0].startswith(("run.", "step.", "effect."))}
    assert [action for action, times in ends.items() if times > 1] == [], when
    assert (view.held, view.open_asks) == ((), ()), when
