"""Denials and approvals, as people meet them when they type and press."""

from dataclasses import replace

import pytest

from commands.press import Press
from commands.rights import refused_now
from runbooks.access import Access, Approval
from runbooks.access.grants import as_json
from runbooks.records.runs import RunRow
from tests.commands.world import (
    OPS,
    RUN,
    TARGETS,
    Engine,
    World,
    ask,
    at_terminal,
    grant,
    in_slack,
    read,
    run_row,
    view,
)

SECOND = grant(7, role="dev", runbooks=("deploy",), approval=Approval(by=("sre",)))
PLAIN = grant(8, role="admin", runbooks=("deploy",))


async def test_a_run_under_an_approval_is_planned_and_started_with_it() -> None:
    """The plan that is shown has the gate first, and its digest is that of the run."""
    world = World()
    typed = in_slack("sam", "run deploy version=1.2")
    sam = replace(typed, access=Access(frozenset({"dev"}), (SECOND,), OPS))

    await world.ask(sam)
    shown = await world.ask(replace(sam, text="plan deploy version=1.2"))

    approval = {"by": ["sre"], "people": 1, "expires": "4h", "grant": "maint.yaml:7"}
    assert world.engine.done[0][-1] == approval
    assert isinstance(shown.data, dict)
    assert shown.data["plan"]["steps"][0]["path"] == "approval"
    assert shown.data["digest"] == (await world.engine.plan("deploy", {"version": "1.2"}, approval)).digest
    assert "1 person of sre must approve" in read(shown)


async def test_who_has_a_grant_without_it_starts_at_once() -> None:
    """The grant that asks for nobody is enough."""
    world = World()
    typed = in_slack("sam", "run deploy version=1.2")

    await world.ask(replace(typed, access=Access(frozenset({"dev", "admin"}), (SECOND, PLAIN), OPS)))

    assert world.engine.done[0][-1] == f"request:{typed.correlation}"


@pytest.mark.parametrize("word", ["run", "plan"])
async def test_a_denied_target_is_refused_with_the_line(word: str) -> None:
    """Though another grant allows the runbook everywhere."""
    denial = grant(9, role="dev", runbooks=("*",), targets=("app",), deny=True)
    world = World()
    typed = in_slack("sam", f"{word} deploy version=1.2")

    reply = await world.ask(replace(typed, access=Access(frozenset({"dev", "admin"}), (PLAIN, denial), OPS)))

    assert reply.title == "Not allowed"
    assert "maint.yaml:9 denies it" in read(reply)
    assert world.engine.done == []


@pytest.mark.parametrize(
    ("denied", "words"),
    [
        ("approve", ("approve", f"{RUN}.ask-go")),
        ("reject", ("reject", f"{RUN}.ask-go", "no")),
        ("answer", ("retry", f"{RUN}.ask-shift")),
        ("cancel", ("cancel", RUN, "why")),
        ("rollback", ("undo", RUN, "why")),
    ],
)
async def test_a_denied_word_is_denied_on_its_button(denied: str, words: tuple[str, ...]) -> None:
    """Typed or pressed, it is the same thing; somebody without the denial may."""
    denial = grant(9, role="contractor", commands=(denied,), deny=True)
    for more, allowed in ((("sre", "admin"), True), (("sre", "admin", "contractor"), False)):
        asked = (ask("go"), ask("shift", "failed", ("retry", "abandon")))
        world = World(Engine().put(view(run_row(), *asked)))
        typed = in_slack("sam", "press", *more)
        access = Access(typed.access.roles, (*typed.access.all, denial), OPS)
        pressed = replace(typed, access=access)
        admission = await world.dispatcher.admit_command(pressed, Press(), words, "key")
        reply = await world.dispatcher.carry_out(admission, lambda _: None)  # type: ignore[arg-type]

        assert bool(world.engine.done) is allowed, reply.fallback
        assert ("maint.yaml:9 denies it" in reply.fallback) is not allowed


def test_what_denies_every_word_leaves_people_a_way_to_see_that() -> None:
    """`commands: ['*']` denies all but who one is, why, and what there is."""
    from commands import COMMANDS
    from commands.command import may_use

    denial = grant(9, role="dev", commands=("*",), deny=True)
    somebody = Access(
        frozenset({"dev", "admin"}), (denial, grant(4, role="admin", commands=("*",), runbooks=("*",))), OPS
    )

    assert {word for word, command in COMMANDS.items() if may_use(somebody, command)} == {
        "whoami",
        "access",
        "help",
    }


@pytest.mark.parametrize(
    "line", ["health", "run deploy version=1.2", "approve", "runs", "targets", "runbooks"]
)
async def test_a_stranger_at_the_terminal_is_told_what_to_write(line: str) -> None:
    """Nothing is granted to nobody there either, not even what is open to all in Slack."""
    world = World()
    typed = at_terminal(line)
    stranger = replace(typed, access=Access(frozenset({"(terminal)"}), typed.access.all[1:], typed.place))

    reply = await world.ask(stranger)

    assert reply.title == "Not allowed"
    assert "only the owner of that file" in read(reply)
    assert "`terminal: [{users: [alice], " in read(reply)
    assert [event.outcome for event in world.audit.events] == ["denied"]


def row(approval: Approval | None) -> RunRow:
    """A run that began so."""
    plan = {"targets": {"app": "…"}, **({"approval": as_json(approval)} if approval else {})}
    return run_row(plan=plan)


@pytest.mark.parametrize(
    ("now", "began", "refused"),
    [
        ((PLAIN,), None, ""),
        ((SECOND,), Approval(by=("sre",)), ""),
        ((SECOND,), Approval(by=("sre",), people=2), ""),
        ((SECOND,), None, "only after 1 of sre approved it"),
        ((SECOND,), Approval(by=("dba",)), "only after 1 of sre approved it"),
        ((), None, "may not run deploy any more"),
        ((PLAIN, grant(9, role="admin", runbooks=("deploy",), deny=True)), None, "maint.yaml:9 denies it"),
    ],
)
def test_whether_a_run_may_go_on_is_judged_by_the_grants_of_now(
    now: tuple[object, ...], began: Approval | None, refused: str
) -> None:
    """An approval that is needed now must be the one with which the run began."""
    access = Access(frozenset({"dev", "admin"}), now, OPS)  # type: ignore[arg-type]

    why = refused_now(access, row(began), TARGETS)

    assert (refused in why) if refused else why == ""
