"""`approve`, `reject`, `answer`, `review`: which question is meant, and what the engine is told."""

from dataclasses import replace
from typing import Any

import pytest

from commands.command import Request
from runbooks.access import Access, Grant
from runbooks.engine.decided import Verdict
from tests.commands.world import (
    NOW,
    OPS,
    OTHER,
    RUN,
    Engine,
    World,
    ask,
    at_terminal,
    closed,
    in_slack,
    read,
    run_row,
    view,
    vote,
)

FAILED = ask("shift", "failed", ("retry", "skip", "rollback", "abandon"))
MANUAL = ask("restore", "manual", ("done", "failed", "cannot", "assign"))
DOUBT = ask("shift", "in_doubt", ("retry", "done", "rollback", "abandon"))
ROLLOUT = ask("shift", "rollout", ("promote", "hold", "resume", "rollback"))
REVIEW = ask("go", "review", ("reviewed",), id="ask-review", spec={"not": "UKIM", "ask": "ask-go"})
GATE = ask()
SRE = frozenset({"sre"})


@pytest.mark.parametrize(
    ("request_", "asks", "told"),
    [
        (in_slack("kim", "approve deploy01"), [GATE], ("ask-go", "approve", "UKIM", SRE, {})),
        (in_slack("kim", "approve deploy01/go"), [GATE], ("ask-go", "approve", "UKIM", SRE, {})),
        (
            in_slack("kim", 'reject deploy01 "not now"'),
            [GATE],
            ("ask-go", "reject", "UKIM", SRE, {"reason": "not now"}),
        ),
        (in_slack("kim", "answer deploy01 approve"), [GATE], ("ask-go", "approve", "UKIM", SRE, {})),
        (
            in_slack("sam", "answer deploy01 retry"),
            [FAILED],
            ("ask-shift", "retry", "USAM", frozenset(), {}),
        ),
        (
            in_slack("sam", "answer deploy01 SKIP done by hand"),
            [FAILED],
            ("ask-shift", "skip", "USAM", frozenset(), {"reason": "done by hand"}),
        ),
        (
            in_slack("sam", 'answer deploy01 done "snapshot 4711"'),
            [MANUAL],
            ("ask-restore", "done", "USAM", frozenset(), {"evidence": "snapshot 4711"}),
        ),
        (
            in_slack("sam", 'answer deploy01 done "it is at 25 %"'),
            [DOUBT],
            ("ask-shift", "done", "USAM", frozenset(), {"reason": "it is at 25 %"}),
        ),
        (
            in_slack("sam", "answer deploy01 promote"),
            [ROLLOUT],
            ("ask-shift", "promote", "USAM", frozenset(), {}),
        ),
        (
            in_slack("sam", "answer deploy01/shift rollback"),
            [FAILED, GATE],
            ("ask-shift", "rollback", "USAM", frozenset(), {}),
        ),
        (
            in_slack("dana", 'review deploy01 "right so"'),
            [closed(GATE), REVIEW],
            ("ask-review", "reviewed", "UDANA", frozenset(), {"reason": "right so"}),
        ),
        (
            at_terminal("approve deploy01", "UALICE", "sre"),
            [GATE],
            ("ask-go", "approve", "UALICE", SRE, {}),
        ),
        (
            at_terminal("answer deploy01 retry"),
            [FAILED],
            ("ask-shift", "retry", "alice@bastion", frozenset(), {}),
        ),
    ],
)
async def test_the_engine_is_told_what_was_meant(
    request_: Request, asks: list[Any], told: tuple[Any, ...]
) -> None:
    """The question, the choice, the person, what they hold, and their reason or evidence."""
    world = World(Engine().put(view(run_row(), *asks)))

    reply = await world.ask(request_)

    assert world.engine.done == [("decide", *told)]
    assert reply.title == "Decided"
    assert reply.private


@pytest.mark.parametrize(
    ("request_", "asks", "said"),
    [
        (in_slack("kim", "reject deploy01"), [GATE], 'Say why: /maint reject deploy01 "reason"'),
        (in_slack("kim", "reject"), [GATE], "Name the run"),
        (in_slack("kim", "approve deploy01 now"), [GATE], "needs no words after RUN"),
        (in_slack("sam", "answer deploy01"), [FAILED], "Say what: /maint answer deploy01 abandon|retry|"),
        (
            in_slack("sam", "answer deploy01 rerty"),
            [FAILED],
            "Did you mean retry? It asks:\nshift: May shift?",
        ),
        (in_slack("sam", "approve deploy01"), [FAILED], "does not ask for 'approve'"),
        (in_slack("sam", "answer deploy01/shfit retry"), [FAILED], "Did you mean deploy01/shift?"),
        (in_slack("sam", "answer deploy01 retry"), [], "asks nobody anything now: it is waiting"),
        (in_slack("sam", "approve 99999999"), [GATE], "There is no run '99999999'"),
        (in_slack("sam", "answer deploy01 assign somebody"), [MANUAL], "Say to whom"),
        (in_slack("dana", "review deploy01"), [REVIEW], 'Say why: /maint review deploy01 "what you found"'),
        (in_slack("nobody", "approve deploy01"), [GATE], "no run 'deploy01' that you may see"),
        (in_slack("kim", "answer deploy01 retry"), [FAILED, GATE], "You may not answer for deploy"),
        (at_terminal("approve deploy01"), [GATE], "`logins: {alice@bastion: U0123ABCD}`"),
        (at_terminal('review deploy01 "mine"'), [REVIEW], "does not know who alice@bastion is"),
    ],
)
async def test_what_fits_no_question_decides_nothing(request_: Request, asks: list[Any], said: str) -> None:
    """The reason and the next sensible command; the engine is not asked."""
    world = World(Engine().put(view(run_row(), *asks)))

    reply = await world.ask(request_)

    assert said in read(reply)
    assert world.engine.done == []


async def test_several_questions_of_one_sort_are_told_apart() -> None:
    """Who answers one of several is told which there are, and how each is named."""
    asks = (ask("one"), ask("two"))
    world = World(Engine().put(view(run_row(), *asks)))

    reply = await world.ask(in_slack("kim", "approve deploy01"))

    assert "/maint approve deploy01/one  May one?\n/maint approve deploy01/two  May two?" in read(reply)
    assert world.engine.done == []


async def test_who_is_late_hears_it_from_the_engine() -> None:
    """A gate that is decided already: the engine says by whom, and records it."""
    engine = Engine(outcome=Verdict.LATE).put(view(run_row(state="running"), closed(GATE)))

    reply = await World(engine).ask(in_slack("kim", "approve deploy01"))

    assert engine.done == [("decide", "ask-go", "approve", "UKIM", SRE, {})]
    assert reply.title == "Too late"


async def test_a_run_that_is_over_says_so_with_the_way_back() -> None:
    """What was never asked is not answered: how it ended, and what can be done now."""
    world = World(Engine().put(view(run_row(state="succeeded", ended_at=NOW), closed(GATE))))

    reply = await world.ask(in_slack("sam", "answer deploy01 retry"))

    assert "is over: succeeded. The last answer was approve, by kim." in read(reply)
    assert '/maint rollback deploy01 "why" undoes it' in read(reply)


async def test_who_may_not_approve_is_judged_by_the_engine() -> None:
    """The requester of the run sees it, holds nothing of the gate, and the engine says and records so."""
    engine = Engine(outcome=Verdict.DENIED).put(view(run_row(), GATE))

    reply = await World(engine).ask(in_slack("sam", "approve deploy01"))

    assert engine.done == [("decide", "ask-go", "approve", "USAM", frozenset(), {})]
    assert reply.title == "Not allowed"


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        (in_slack("kim", "approve deploy01 --break-glass “db is down”", "chief"), True),
        (in_slack("kim", 'approve deploy01 —break-glass "db is down"', "chief"), True),
        (in_slack("kim", 'approve deploy01 --break-glass "db is down"'), False),
        (in_slack("dana", 'approve deploy01 --break-glass "db is down"'), False),
        (at_terminal('approve deploy01 --break-glass "db is down"', "UALICE", "sre"), False),
        (at_terminal('approve deploy01 --break-glass "db is down"', "UALICE", "chief"), True),
        (at_terminal('approve deploy01 --break-glass "db is down"'), False),
    ],
)
async def test_the_glass_is_broken_by_those_whom_a_grant_names_so(request_: Request, allowed: bool) -> None:
    """`commands: ['*']` does not give it, nor does the terminal: the very word does, with a reason."""
    world = World(Engine().put(view(run_row(), GATE)))

    await world.ask(request_)

    said = [done[-1] for done in world.engine.done]
    assert said == ([{"reason": "db is down", "break_glass": True}] if allowed else [])


async def test_a_grant_for_staging_breaks_no_glass_in_production() -> None:
    """The grant's environments hold for it as for everything else, though the person holds the role."""
    world = World(Engine().put(view(run_row(), GATE)))
    grants = (Grant(role="chief", commands=("break-glass",), environments=("staging",)),)
    typed = in_slack("kim", 'approve deploy01 --break-glass "db is down"', "chief")

    reply = await world.ask(replace(typed, access=Access(frozenset({"chief", "sre"}), grants, OPS)))

    assert "its environments must be those" in read(reply)
    assert world.engine.done == []


async def test_breaking_the_glass_needs_a_reason() -> None:
    """Without a reason it is not even asked whether the person may."""
    world = World(Engine().put(view(run_row(), GATE)))

    reply = await world.ask(in_slack("kim", "approve deploy01 --break-glass", "chief"))

    assert "Say why" in read(reply)
    assert world.engine.done == []


async def test_a_manual_step_is_handed_over_to_somebody() -> None:
    """Slack sends a mention with an id and a name."""
    world = World(Engine().put(view(run_row(), MANUAL)))

    await world.ask(in_slack("sam", "answer deploy01 assign <@UKIM|kim>"))

    assert world.engine.done[0][-1]["to"].id == "UKIM"
    assert world.engine.done[0][-1]["to"].name == "kim"


async def test_who_could_have_approved_may_review() -> None:
    """A review names nobody: those of the gate may look at it, though they may not run the runbook."""
    world = World(Engine().put(view(run_row(), closed(GATE), REVIEW)))

    reply = await world.ask(in_slack("kim", 'review deploy01 "fine"'))

    assert reply.title == "Decided"


@pytest.mark.parametrize(
    ("request_", "said", "unsaid"),
    [
        (in_slack("kim", "approve"), "May go?", "May shift?"),
        (in_slack("sam", "approve"), "(sre may answer, you may not)", "May shift?"),
        (in_slack("sam", "answer"), "May shift?", "May go?"),
        (in_slack("nobody", "approve"), "Nothing is open that you may see", "May go?"),
        (in_slack("dana", "review"), "May go?", "May shift?"),
    ],
)
async def test_without_a_run_what_is_open_is_listed(request_: Request, said: str, unsaid: str) -> None:
    """What waits, for whom, and what can be answered; only of runs that are the person's business."""
    other = run_row(OTHER, title="Another")
    asks = (GATE, FAILED) if "review" not in request_.text else (REVIEW,)
    world = World(Engine().put(view(run_row(), *asks), view(other)))

    reply = await world.ask(request_)

    assert said in read(reply)
    assert unsaid not in read(reply)


async def test_who_is_asked_with_the_last_reminder_may_answer_from_then_on() -> None:
    """`then:` names somebody whose answer counts only once they were asked."""
    spec = {"approvers": ["sre"], "then": "admin"}
    early, late = ask(spec=spec, remind_at=NOW), ask(spec=spec, reminded=2)
    for question, held in ((early, frozenset()), (late, frozenset({"admin"}))):
        world = World(Engine().put(view(run_row(), question)))
        await world.ask(in_slack("dana", "approve deploy01"))
        assert world.engine.done[0][4] == held


async def test_a_vote_keeps_a_run_in_sight() -> None:
    """Who said something to a run sees how it went on, whatever they hold by now."""
    world = World(Engine().put(view(run_row(), votes=(vote("UNOBODY", "nobody"),))))

    assert RUN[-8:] in read(await world.ask(in_slack("nobody", "runs")))
