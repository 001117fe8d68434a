"""Runs on a real database, carried by a real queue: what is done, what is asked, what is kept."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from runbooks.engine.decided import Verdict
from runbooks.engine.runners import RUNNERS
from runbooks.errors import Refused, UsageError
from runbooks.records.person import Person
from runbooks.records.runs import RunState
from runbooks.records.schema import metadata
from runbooks.scrub import PLACEHOLDER
from runbooks.steps.command import Command
from runbooks.steps.gate import Gate
from tests.runs.conftest import OLGA, RITA, SAM

Build = Callable[..., Any]

THREE = """
    name: three
    title: Three steps
    params:
      word: {type: string, default: c}
    locks: [here]
    steps:
      - id: a
        command:
          target: here
          run: [sh, -c, 'echo a >> effects; echo KEY=7']
          directory: DIR
          repeatable: true
          outputs: {key: {pattern: '^KEY=(.*)$', number: true}}
      - id: b
        command: {target: here, run: [sh, -c, 'echo b$0 >> effects', '{{ steps.a.key }}'], directory: DIR}
      - id: c
        command: {target: here, run: [sh, -c, 'echo $0 >> effects', '{{ params.word }}'], directory: DIR}
"""


def texts(house_folder: Any, **named: str) -> dict[str, str]:
    """Runbooks whose commands work in that folder."""
    return {name: text.replace("DIR", str(house_folder)) for name, text in named.items()}


async def test_steps_are_done_in_order_and_pass_values_on(build: Build, tmp_path: Any) -> None:
    """Each step runs once, after the one before; a later one uses what an earlier one printed."""
    async with build(texts(tmp_path, three=THREE)) as house:
        run = await house.start("three", word="d")
        view = await house.over(run)

        assert house.effects() == ["a", "b7", "d"]
        assert [step.state for step in view.steps] == ["ok", "ok", "ok"]
        assert view.step("a").outputs == {"key": 7, "exit_code": 0} | view.step("a").outputs
        assert await house.engine.locks() == ()


async def test_the_same_key_starts_one_run(build: Build, tmp_path: Any) -> None:
    """Who asks twice with the same key gets the same run."""
    async with build(texts(tmp_path, three=THREE)) as house:
        first = await house.engine.start("three", {}, RITA, key="click-1")
        second = await house.engine.start("three", {}, RITA, key="click-1")
        await house.over(first.id)

        assert first.id == second.id
        assert house.effects() == ["a", "b7", "c"]


async def test_everything_that_happened_is_in_the_audit_log(build: Build, tmp_path: Any) -> None:
    """A run's events tell of its start, of every effect before and after it, and of its end."""
    async with build(texts(tmp_path, three=THREE)) as house:
        run = await house.start("three")
        await house.over(run)

        actions = await house.actions(run)
        assert actions[0] == "run.started"
        assert actions[1:7] == ["effect.started", "effect.finished"] * 3
        assert actions[-1] == "run.succeeded"


FAILS = """
    name: fails
    title: Fails
    steps:
      - id: first
        command: {target: here, run: [sh, -c, 'echo first >> effects'], directory: DIR, repeatable: true}
        rollback:
          command: {target: here, run: [sh, -c, 'echo unfirst >> effects'], directory: DIR, repeatable: true}
      - id: second
        skippable: true
        command:
          target: here
          run: [sh, -c, 'echo second >> effects; test -e fixed']
          directory: DIR
          repeatable: true
      - id: third
        command: {target: here, run: [sh, -c, 'echo third >> effects'], directory: DIR, repeatable: true}
"""


async def test_a_retry_goes_on_at_the_failed_step(build: Build, tmp_path: Any) -> None:
    """After a failure the run asks; Retry does the failed step again, and none before it."""
    async with build(texts(tmp_path, fails=FAILS)) as house:
        run = await house.start("fails")
        view = await house.asking(run)
        assert view.open_asks[0].choices == ("retry", "skip", "rollback", "abandon")
        (tmp_path / "fixed").touch()
        decided = await house.answer(run, "retry")
        assert decided.outcome is Verdict.CLOSED
        await house.over(run)

        assert house.effects() == ["first", "second", "second", "third"]


async def test_a_skip_needs_a_reason_and_is_noted(build: Build, tmp_path: Any) -> None:
    """Without a reason nothing is skipped; with one the step says who skipped it and why."""
    async with build(texts(tmp_path, fails=FAILS)) as house:
        run = await house.start("fails")
        await house.asking(run)
        assert (await house.answer(run, "skip")).outcome is Verdict.REASON_NEEDED
        await house.answer(run, "skip", reason="known, TICKET-1")
        view = await house.over(run)

        assert view.step("second").state == "skipped"
        assert "Sam" in view.step("second").summary
        assert "TICKET-1" in view.step("second").summary
        assert house.effects() == ["first", "second", "third"]


async def test_a_rollback_undoes_what_was_done(build: Build, tmp_path: Any) -> None:
    """Roll back after a failure runs the inverse of each step that was done, and ends as rolled back."""
    async with build(texts(tmp_path, fails=FAILS)) as house:
        run = await house.start("fails")
        await house.asking(run)
        await house.answer(run, "rollback")
        view = await house.over(run, RunState.ROLLED_BACK)

        assert house.effects() == ["first", "second", "unfirst"]
        assert view.step("rollback:first").state == "ok"


async def test_an_abandoned_run_is_over_and_frees_its_locks(build: Build, tmp_path: Any) -> None:
    """Abandon ends the run as it stands."""
    async with build(texts(tmp_path, fails=FAILS.replace("steps:", "locks: [here]\n    steps:", 1))) as house:
        run = await house.start("fails")
        await house.asking(run)
        assert len(await house.engine.locks()) == 1
        await house.answer(run, "abandon", reason="not today")
        await house.over(run, RunState.ABANDONED)

        assert await house.engine.locks() == ()
        late = await house.engine.cancel(run, SAM, "too late")
        assert late.outcome is Verdict.LATE


GATED = """
    name: gated
    title: Gated
    locks: [here]
    steps:
      - id: go
        gate: {approvers: [sre], quorum: 2, expires: 4h}
      - id: act
        command: {target: here, run: [sh, -c, 'echo acted >> effects'], directory: DIR}
"""


async def test_a_gate_opens_after_enough_distinct_people(build: Build, tmp_path: Any) -> None:
    """One person's word counts once, the requester's not at all; the second person opens the gate."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        await house.waiting(run, "gate")
        outcomes = [
            (await house.answer(run, "approve", RITA)).outcome,
            (await house.answer(run, "approve", SAM)).outcome,
            (await house.answer(run, "approve", SAM)).outcome,
        ]
        assert house.effects() == []
        outcomes.append((await house.answer(run, "approve", OLGA)).outcome)
        await house.over(run)

        assert outcomes == [Verdict.DENIED, Verdict.COUNTED, Verdict.DUPLICATE, Verdict.CLOSED]
        assert house.effects() == ["acted"]


FREE = GATED.replace("name: gated", "name: free").replace("quorum: 2", "requester_may_approve: true")
LED_BACK = """
    name: back
    title: Led back
    steps:
      - id: act
        command: {target: here, run: [sh, -c, 'echo acted >> effects'], directory: DIR}
    rollback:
      - id: sure
        gate: {approvers: [sre]}
"""


async def test_who_is_unknown_starts_nothing_that_others_must_approve(build: Build, tmp_path: Any) -> None:
    """Four eyes are two people's: a login of nobody in particular would be a second person to its owner."""
    login = Person(kind="terminal", id="rita@bastion", name="rita")
    async with build(texts(tmp_path, gated=GATED, back=LED_BACK, free=FREE)) as house:
        for name in ("gated", "back"):
            with pytest.raises(Refused, match="does not know who rita@bastion is"):
                await house.start(name, login)
        free = await house.start("free", login)
        known = await house.start("gated", replace(login, id="U0RITA"))

        assert {run.id for run in await house.engine.runs()} == {free, known}


async def test_a_gate_that_expires_denies(build: Build, tmp_path: Any) -> None:
    """Nobody approved in time: nothing is done, and the run asks how to go on."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        await house.waiting(run, "gate")
        house.clock.turn(hours=5)
        view = await house.asking(run)

        assert "rollback" in view.open_asks[0].choices
        assert house.effects() == []


async def test_runs_that_want_the_same_target_queue_in_order(build: Build, tmp_path: Any) -> None:
    """The second waits until the first is over, the third for the second; each then goes on by itself."""
    async with build(texts(tmp_path, gated=GATED, three=THREE)) as house:
        first = await house.start("gated")
        await house.waiting(first, "gate")
        second = await house.start("three", word="second")
        view = await house.waiting(second, "lock")
        third = await house.start("three", word="third")
        await house.waiting(third, "lock")
        assert [lock.run for lock in view.in_the_way] == [first]
        await house.answer(first, "reject", SAM, reason="no")
        await house.asking(first)
        await house.answer(first, "abandon", reason="no")
        await house.over(second)
        await house.over(third)

        assert house.effects() == ["a", "b7", "second", "a", "b7", "third"]


async def test_an_unlocked_target_goes_to_the_next(build: Build, tmp_path: Any) -> None:
    """A lock that somebody takes away with a reason lets the next run go on."""
    async with build(texts(tmp_path, gated=GATED, three=THREE)) as house:
        first = await house.start("gated")
        await house.waiting(first, "gate")
        second = await house.start("three")
        await house.waiting(second, "lock")
        assert (await house.engine.unlock("here", SAM, "")).outcome is Verdict.REASON_NEEDED
        await house.engine.unlock("here", SAM, "the first is stuck")

        await house.over(second)


async def test_cancelling_stops_what_is_under_way_and_offers_the_way_back(
    build: Build, tmp_path: Any
) -> None:
    """A long command is ended, and people are asked whether to roll back what was done before it."""
    slow = FAILS.replace("echo second >> effects; test -e fixed", "echo second >> effects; exec sleep 60")
    async with build(texts(tmp_path, fails=slow)) as house:
        run = await house.start("fails")
        await house.until(run, lambda _: house.effects() == ["first", "second"], "at the second step")
        decided = await house.engine.cancel(run, SAM, "wrong day")
        assert decided.outcome is Verdict.CLOSED
        view = await house.asking(run)
        assert view.step("second").state == "cancelled"
        assert view.open_asks[0].choices == ("rollback", "abandon")
        await house.answer(run, "rollback")
        await house.over(run, RunState.ROLLED_BACK)

        assert house.effects() == ["first", "second", "unfirst"]


async def test_nothing_starts_while_everything_is_stopped(build: Build, tmp_path: Any) -> None:
    """A new run is refused, an approved gate holds; both go on when everything does."""
    async with build(texts(tmp_path, gated=GATED, three=THREE)) as house:
        run = await house.start("gated")
        await house.waiting(run, "gate")
        await house.engine.stop_everything(SAM, "fire")
        with pytest.raises(Refused, match="Sam: fire"):
            await house.start("three")
        await house.answer(run, "approve", SAM)
        await house.answer(run, "approve", OLGA)
        await house.waiting(run, "pause")
        assert house.effects() == []
        await house.engine.resume_everything(SAM)
        await house.over(run)

        assert house.effects() == ["acted"]


async def test_a_runbook_that_is_edited_does_not_change_its_runs(build: Build, tmp_path: Any) -> None:
    """A run goes on by the file as it was when the run began, also in another process."""
    async with build(texts(tmp_path, gated=GATED)) as house:
        run = await house.start("gated")
        await house.waiting(run, "gate")
    edited = GATED.replace("echo acted", "echo edited")
    async with build(texts(tmp_path, gated=edited)) as house:
        await house.answer(run, "approve", SAM)
        await house.answer(run, "approve", OLGA)
        await house.over(run)

        assert house.effects() == ["acted"]


async def test_an_unknown_runbook_is_refused_with_the_nearest(build: Build, tmp_path: Any) -> None:
    """A slip of the pen names what was meant."""
    async with build(texts(tmp_path, three=THREE)) as house:
        with pytest.raises(UsageError, match="Did you mean three"):
            await house.start("thre")


async def test_a_finished_run_is_undone_by_a_run_of_its_own(build: Build, tmp_path: Any) -> None:
    """Rolling back what succeeded is a new run with the inverse steps; a second time it is refused."""
    (tmp_path / "fixed").touch()
    async with build(texts(tmp_path, fails=FAILS)) as house:
        run = await house.start("fails")
        await house.over(run)
        back = await house.engine.rollback(run, SAM, "it was wrong")
        view = await house.over(back.id, RunState.ROLLED_BACK)

        assert view.run.rollback_of == run
        assert house.effects() == ["first", "second", "third", "unfirst"]
        with pytest.raises(Refused):
            await house.engine.rollback(back.id, SAM, "again")


async def test_branches_go_at_the_same_time_and_meet(build: Build, tmp_path: Any) -> None:
    """Steps of a group wait for each other only at its end."""
    both = """
        name: both
        title: Both
        steps:
          - id: group
            parallel:
              - id: left
                command: {target: here, run: [sh, -c, 'touch left; until test -e right; do sleep 0.05; done'],
                          directory: DIR, repeatable: true}
              - id: right
                command: {target: here, run: [sh, -c, 'touch right; until test -e left; do sleep 0.05; done'],
                          directory: DIR, repeatable: true}
          - id: after
            command: {target: here, run: [sh, -c, 'echo after >> effects'], directory: DIR}
    """
    async with build(texts(tmp_path, both=both)) as house:
        view = await house.over(await house.start("both"))

        assert view.step("group.left").state == view.step("group.right").state == "ok"
        assert house.effects() == ["after"]


async def test_a_list_makes_a_step_for_each_of_its_items(build: Build, tmp_path: Any) -> None:
    """One row for each item, in order."""
    many = """
        name: many
        title: Many
        params: {hosts: {type: list}}
        steps:
          - id: each
            for_each: '{{ params.hosts }}'
            command: {target: here, run: [sh, -c, 'echo $0 >> effects', '{{ item }}'], directory: DIR}
    """
    async with build(texts(tmp_path, many=many)) as house:
        view = await house.over(await house.start("many", hosts=["x", "y", "z"]))

        assert house.effects() == ["x", "y", "z"]
        assert [step.path for step in view.steps] == ["each", "each[0]", "each[1]", "each[2]"]


async def test_a_condition_that_does_not_hold_skips_the_step(build: Build, tmp_path: Any) -> None:
    """The step says why it was skipped, and the run goes on."""
    choosy = """
        name: choosy
        title: Choosy
        params: {where: {type: choice, choices: [staging, production]}}
        steps:
          - id: only
            when: {params.where: {equals: production}}
            command: {target: here, run: [sh, -c, 'echo only >> effects'], directory: DIR}
          - id: always
            command: {target: here, run: [sh, -c, 'echo always >> effects'], directory: DIR}
    """
    async with build(texts(tmp_path, choosy=choosy)) as house:
        view = await house.over(await house.start("choosy", where="staging"))

        assert view.step("only").state == "skipped"
        assert house.effects() == ["always"]


async def test_nothing_leads_past_a_gate_that_is_broken(
    build: Build, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in the gate itself is neither continued past nor skipped: the run asks without Skip."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    careless = GATED.replace(
        "- id: go\n", "- id: go\n        skippable: true\n        on_failure: continue\n"
    )
    monkeypatch.setitem(RUNNERS, Gate, broken)
    async with build(texts(tmp_path, gated=careless)) as house:
        view = await house.asking(await house.start("gated"))

        assert view.open_asks[0].choices == ("retry", "rollback", "abandon")
        assert house.effects() == []


async def test_a_secret_is_in_no_row_that_another_process_shows(
    build: Build, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in a message, nor in what the journal keeps of the state that an action left."""
    canary = "c4nary-of-the-run"
    telling = """
        name: telling
        title: Telling
        params: {token: {secret: true}}
        steps:
          - id: say
            slack.message: {text: 'it is {{ params.token }}'}
          - id: act
            command:
              target: here
              run: [sh, -c, 'echo "$1" >> effects', sh, '{{ params.token }}']
              directory: DIR
    """

    async def record(*_: object) -> dict[str, Any]:
        return {
            "there": (tmp_path / "effects").read_text().split() if (tmp_path / "effects").exists() else []
        }

    monkeypatch.setattr(Command, "reversible", True)
    monkeypatch.setattr(Command, "record", record)
    async with build(texts(tmp_path, telling=telling)) as house:
        run = await house.start("telling", token=canary)
        await house.over(run)
        (effect,) = await house.engine.journal(run)
        rows = await house.records.read(
            lambda connection: "".join(
                str(row)
                for table in ("runs", "run_steps", "effects", "outbox", "audit_events")
                for row in connection.execute(text(f"SELECT * FROM {table}"))
            )
        )

        assert house.effects() == [canary]
        assert effect.result["after"] == {"there": [PLACEHOLDER]}
        assert f"it is {PLACEHOLDER}" in rows
        assert canary not in rows


async def test_a_run_that_waits_is_cancelled_at_once(build: Build, tmp_path: Any) -> None:
    """One that never began, and one at a gate with nothing done before it: there is nothing to ask."""
    async with build(texts(tmp_path, gated=GATED, three=THREE)) as house:
        at_gate = await house.start("gated")
        await house.waiting(at_gate, "gate")
        in_queue = await house.start("three")
        await house.waiting(in_queue, "lock")
        await house.engine.cancel(in_queue, SAM, "not needed")
        await house.over(in_queue, RunState.CANCELLED)
        await house.engine.cancel(at_gate, SAM, "nor this")
        view = await house.over(at_gate, RunState.CANCELLED)

        assert "Sam: nor this" in view.run.note
        assert view.open_asks == ()
        assert house.effects() == []
        assert await house.engine.locks() == ()


def every_row(house: Any) -> list[str]:
    """All that stands in the database."""
    with house.records.engine.connect() as connection:
        tables = metadata.tables.values()
        return [str(row) for table in tables for row in connection.execute(select(table))]


async def test_a_secret_parameter_is_in_no_row(build: Build, tmp_path: Any) -> None:
    """It waits encrypted, reaches the step that needs it, and is forgotten when the run is over."""
    secretive = """
        name: secretive
        title: Secretive
        params: {token: {type: string, secret: true}}
        steps:
          - id: go
            gate: {approvers: [sre]}
          - id: use
            command:
              target: here
              run: [sh, -c, 'test "$TOKEN" = hunter22hunter22 && echo used $TOKEN && echo used >> effects']
              directory: DIR
              environment: {TOKEN: '{{ params.token }}'}
    """
    async with build(texts(tmp_path, secretive=secretive)) as house:
        run = await house.start("secretive", token="hunter22hunter22")
        await house.waiting(run, "gate")
        kept = every_row(house)
        await house.answer(run, "approve", SAM)
        view = await house.over(run)
        left = every_row(house)

        assert house.effects() == ["used"]
        assert [row for row in (*kept, *left) if "hunter22" in row] == []
        assert view.run.secrets == {}


UNDONE = """
    name: undone
    title: Undone
    params: {token: {type: string, secret: true}}
    steps:
      - id: use
        command:
          target: here
          run: [sh, -c, 'echo used >> effects']
          directory: DIR
          environment: {TOKEN: '{{ params.token }}'}
        rollback:
          command:
            target: here
            run: [sh, -c, 'test "$TOKEN" = hunter22hunter22 && echo undone >> effects']
            directory: DIR
            environment: {TOKEN: '{{ params.token }}'}
      - id: go
        gate: {approvers: [sre]}
"""


async def test_a_rollback_has_the_secrets_of_the_run_while_it_is_not_over(
    build: Build, tmp_path: Any
) -> None:
    """Of one that is over it says which secret it would need; and this process knows none of it any more."""
    async with build(texts(tmp_path, undone=UNDONE)) as house:
        back = await house.start("undone", token="hunter22hunter22")
        await house.waiting(back, "gate")
        assert await house.engine.forget_secrets() == 0
        assert house.scrub("hunter22hunter22") == PLACEHOLDER
        await house.engine.rollback(back, SAM, "not now")
        await house.over(back, RunState.ROLLED_BACK)
        done = await house.start("undone", token="hunter22hunter22")
        await house.waiting(done, "gate")
        await house.answer(done, "approve", SAM)
        await house.over(done)

        with pytest.raises(Refused, match="use needs token, and secrets are removed when a run is over"):
            await house.engine.rollback(done, SAM, "too late")
        await house.crew.tidy()

        assert house.effects() == ["used", "undone", "used"]
        assert house.scrub.owners == ()
        assert house.scrub("hunter22hunter22") == "hunter22hunter22"
