"""A run as its card: every state of it, at any length, with the buttons that fit the moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.sandbox.validate import message_blocks
from bot.slack.render import blocks
from commands.reply import Buttons, Element, Lines, Mark, Reply, plain
from commands.run_card import gate_card, run_card
from runbooks.records.runs import AskRow, LockRow, RunState, RunView, StepRow, StepState, VoteRow
from tests.commands.world import RUN, run_row

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SOAK = {
    "began": NOW.isoformat(),
    "ends_at": (NOW + timedelta(hours=1)).isoformat(),
    "next_tick": NOW.isoformat(),
    "rounds": 3,
    "failed_rounds": 1,
    "verdicts": ["ok", "critical", "ok"],
    "rows": [{"name": "error ratio", "value": "0.2 %", "bound": "> 1 %", "status": "ok", "reason": ""}],
}
ROLLOUT = {
    "stages": [10, 25, 50, 100],
    "stage": 1,
    "phase": "soak",
    "ending": "",
    "held": False,
    "soak": SOAK,
}


def step(path: str, state: str = "pending", **more: Any) -> StepRow:
    row: dict[str, Any] = {
        "ordinal": 0, "phase": "forward", "kind": "command", "title": path, "attempt": 1, "outputs": {},
        "summary": "", "progress": "", "error": "", "data": {}, "started_at": None, "ended_at": None,
    }  # fmt: skip
    return StepRow(run=RUN, path=path, state=state, **{**row, **more})


def ask(kind: str = "gate", **more: Any) -> AskRow:
    row: dict[str, Any] = {
        "id": "a" * 26, "path": "go", "round": 1, "state": "open", "title": "Go?", "digest": "",
        "choices": ("approve", "reject"), "spec": {"approvers": ["sre"], "quorum": 2}, "channel": "",
        "opened_at": NOW, "deadline": NOW + timedelta(hours=4), "remind_at": None, "reminded": 0,
        "answer": "", "answered_by": "", "answered_name": "", "reason": "", "evidence": "", "closed_at": None,
    }  # fmt: skip
    return AskRow(run=RUN, kind=kind, **{**row, **more})


def vote(**more: Any) -> VoteRow:
    row: dict[str, Any] = {"person": "U1", "name": "kim", "kind": "slack", "choice": "approve", "reason": ""}
    return VoteRow(ask="a" * 26, at=NOW, **{**row, "break_glass": False, **more})


def view(*steps: StepRow, asks: tuple[AskRow, ...] = (), **more: Any) -> RunView:
    rest: dict[str, Any] = {
        name: more.pop(name, default)
        for name, default in {"votes": (), "held": (), "in_the_way": (), "paused": ""}.items()
    }
    return RunView(run=run_row(**more), steps=steps, asks=asks, **rest)


def words(reply: Reply) -> str:
    """All that a card says."""
    return "\n".join([reply.title, *(_words(element) for element in reply.elements)])


def _words(element: Element) -> str:
    match element:
        case Lines(lines):
            return "\n".join(f"{line.mark}: {plain(line.text)}\n{plain(line.note)}" for line in lines)
        case Buttons(buttons):
            return " ".join(button.text for button in buttons)
    if hasattr(element, "pairs"):
        return "\n".join(f"{name}: {plain(text)}" for name, text in element.pairs)
    return plain(getattr(element, "text", ""))


def pressed(reply: Reply) -> set[str]:
    """What can be pressed."""
    return {b.action for e in reply.elements if isinstance(e, Buttons) for b in e.buttons}


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_is_a_card_that_slack_takes(state: RunState) -> None:
    """With its words, and with nothing to cancel once it is over."""
    reply = run_card(view(step("one", "ok"), state=state.value, waiting_on=""))

    message_blocks(blocks(reply))
    assert reply.done == (state in {"succeeded", "failed", "cancelled", "rolled_back", "abandoned"})
    assert ("cancel" in pressed(reply)) == (not reply.done)


def test_steps_show_their_state_and_how_long_they_took() -> None:
    """The live one with its last line, a failed one with its error."""
    reply = run_card(
        view(
            step("build", "ok", summary="142 MB", started_at=NOW, ended_at=NOW + timedelta(seconds=72)),
            step("shift", "running", progress="pod 3 of 9", started_at=NOW),
            step("verify", "failed", error="exit code 2"),
            step("clean"),
        )
    )
    said = words(reply)

    assert "done: build  1m12s  142 MB" in said
    assert "pod 3 of 9" in said
    assert "failed: verify" in said
    assert "exit code 2" in said
    assert "to do: clean" in said


def test_a_step_that_failed_and_let_the_run_go_on_says_why() -> None:
    """Nobody has to open the details of a run that is done, to learn what did not work."""
    shown = words(run_card(view(step("look", "warning", error="no pg_stat_statements there"))))

    assert "no pg_stat_statements there" in shown


def test_a_long_run_folds_what_is_done_and_what_is_to_come() -> None:
    """The live step stays, with those around it; every step is counted."""
    steps = [step(f"s{n}", "ok" if n < 40 else "running" if n == 40 else "pending") for n in range(100)]
    reply = run_card(view(*steps))
    (lines,) = [element.lines for element in reply.elements if isinstance(element, Lines)]

    assert len(lines) < 15
    assert plain(lines[0].text) == "38 steps done"
    assert plain(lines[-1].text) == "55 steps to come"
    assert any(line.mark is Mark.RUNNING and "s40" in plain(line.text) for line in lines)


def test_a_gate_says_who_decides_until_when_and_who_did() -> None:
    """With a button for each choice, whose value is ids only."""
    reply = run_card(view(step("go", "waiting"), asks=(ask(),), votes=(vote(),)))

    assert "sre: 2 of them, not who asked for it" in words(reply)
    assert "approved by kim" in words(reply)
    values = {b.value for e in reply.elements if isinstance(e, Buttons) for b in e.buttons}
    assert values == {f"{RUN}.{'a' * 26}", RUN}
    assert {"approve", "reject", "cancel", "details", "audit"} == pressed(reply)


def test_a_gate_says_what_its_plan_does_not_know_yet() -> None:
    """Who approves is not told that a value is fixed which an earlier step will only print."""
    plan = {"steps": [
        {"path": "backup", "unresolved": ["steps.look.host"]},
        {"path": "go"},
        {"path": "restore", "unresolved": ["steps.backup.key"]},
    ]}  # fmt: skip
    shown = view(step("backup", "ok"), step("go", "waiting"), asks=(ask(),), plan=plan)

    for card in (run_card(shown), gate_card(shown, ask())):
        assert "known only later: steps.backup.key (restore)" in words(card)
        assert "steps.look.host" not in words(card)
    assert "known only later" not in words(gate_card(shown, ask(state="closed", answer="approve")))


def test_a_decided_gate_has_no_buttons_left() -> None:
    """Neither on the run's card nor on its own."""
    closed = ask(state="closed", answer="approve", answered_name="kim", closed_at=NOW)
    shown = view(step("go", "ok"), asks=(closed,))

    assert pressed(run_card(shown)) == {"details", "cancel", "audit"}
    assert pressed(gate_card(shown, closed)) == set()
    assert "Approved by kim" in words(gate_card(shown, closed))


def test_broken_glass_is_red_until_somebody_looked_at_why() -> None:
    """And after the run is over it still waits for that."""
    shown = view(
        asks=(ask("review", choices=("reviewed",), spec={}),),
        votes=(vote(break_glass=True, reason="site is down"),),
        state="succeeded",
    )
    reply = run_card(shown)

    assert "Break-glass by kim: site is down" in words(reply)
    assert "Nobody has looked at why yet" in words(reply)
    assert "reviewed" in pressed(reply)
    assert not reply.done


def test_a_rollout_is_a_bar_with_its_numbers_beside_their_thresholds() -> None:
    """And the soak's verdicts."""
    said = words(run_card(view(step("shift", "waiting", kind="rollout", data={"rollout": ROLLOUT}))))

    assert "▓▓▓▓▓░" in said
    assert "10 ✓   25 …   50   100" in said
    assert "✓ error ratio  0.2 %  (limit > 1 %)" in said
    assert "✓✗✓" in said
    assert "3 rounds, 1 failed" in said


@pytest.mark.parametrize(
    "data", [{"rollout": "x"}, {"soak": [1]}, {"rollout": {"stages": ["a"], "stage": 9}}]
)
def test_what_a_step_keeps_of_another_version_costs_nobody_the_card(data: dict[str, Any]) -> None:
    """What is not understood is not shown."""
    message_blocks(blocks(run_card(view(step("shift", "waiting", data=data)))))


def test_what_is_in_the_way_is_named() -> None:
    """Which lock, and who has it; and that everything is stopped."""
    lock = LockRow(target="app", run="0" * 18 + "holder01", since=NOW, reason="deploys")
    reply = run_card(
        view(state="queued", waiting_on="lock", in_the_way=(lock,), paused="kim: incident", started_at=None)
    )

    assert "Waits: app is held by run holder01" in words(reply)
    assert "Everything is stopped. kim: incident" in words(reply)


def test_only_a_run_that_did_something_can_be_rolled_back() -> None:
    """One that succeeded and says how it is undone; a rollback itself is not undone."""
    plan = {"rollback": [{"path": "rollback:shift"}]}

    assert "undo" in pressed(run_card(view(state="succeeded", plan=plan)))
    assert "undo" not in pressed(run_card(view(state="succeeded", plan={"rollback": []})))
    assert "undo" not in pressed(run_card(view(state="running", plan=plan)))
    assert "undo" not in pressed(run_card(view(state="succeeded", plan=plan, rollback_of=RUN)))


def test_a_hundred_questions_and_steps_are_a_card_that_slack_takes() -> None:
    """And what can be pressed is never what is left out."""
    many = tuple(replace(ask(), id=f"{n:026}", title="x" * 400, path=f"g{n}") for n in range(100))
    steps = [step(f"s{n}", "failed", error="y" * 3000, title="z" * 500) for n in range(100)]
    reply = run_card(view(*steps, asks=many, note="n" * 1000))
    drawn = blocks(reply)

    message_blocks(drawn)
    assert "maint:approve" in str(drawn)
    assert "maint:cancel" in str(drawn)


def test_secrets_come_from_the_plan_which_hides_them() -> None:
    """A parameter that is a secret is dots."""
    said = words(run_card(view(plan={"params": {"token": "•••"}}, params={"token": "hunter2"})))

    assert "•••" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("state", list(StepState))
def test_every_state_of_a_step_has_a_mark(state: StepState) -> None:
    """None is forgotten."""
    message_blocks(blocks(run_card(view(step("one", state.value)))))
