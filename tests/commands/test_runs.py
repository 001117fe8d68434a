"""`runs`, `cancel`, `rollback`, `unlock`, `stop`, `resume`: what is shown, and what the engine is told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commands.command import Request
from runbooks.access import Access, Grant
from tests.commands.world import (
    GONE,
    NOW,
    OPS,
    OTHER,
    RUN,
    Engine,
    World,
    ask,
    at_terminal,
    closed,
    effect,
    in_slack,
    lock,
    read,
    run_row,
    step_row,
    view,
    vote,
)

DONE = run_row(OTHER, title="Deploy the shop 1.1", state="succeeded", waiting_on="", ended_at=NOW)
CLEANED = run_row(
    GONE, runbook="clean", title="Clean", plan={"targets": {"preview": ""}}, requester_id="UDANA"
)


def world(**more: Any) -> World:
    """A run at a gate, one that succeeded, and one that sam may not see."""
    return World(Engine(**more).put(view(run_row(), ask()), view(DONE), view(CLEANED)))


@pytest.mark.parametrize(
    ("request_", "ids"),
    [
        (in_slack("sam", "runs"), {RUN, OTHER}),
        (in_slack("sam", "runs --open"), {RUN}),
        (in_slack("sam", "runs —open"), {RUN}),
        (in_slack("sam", "runs --all"), {RUN, OTHER}),
        (in_slack("kim", "runs"), {RUN}),
        (in_slack("dana", "runs"), {RUN, OTHER, GONE}),
        (in_slack("nobody", "runs"), set()),
        (at_terminal("runs"), {RUN, OTHER, GONE}),
    ],
)
async def test_people_see_the_runs_that_are_their_business(request_: Request, ids: set[str]) -> None:
    """Those of runbooks that they may run, that they asked for, or that they may approve."""
    reply = await world().ask(request_)

    assert isinstance(reply.data, dict)
    assert {run["run"] for run in reply.data["runs"]} == ids


async def test_the_list_says_what_each_run_waits_for() -> None:
    """State, title, who, when, and whom it waits for; a stop of everything is said first."""
    shown = read(await world(stopped="dana: fire").ask(in_slack("sam", "runs")))

    assert "Everything is stopped (dana: fire)" in shown
    assert "deploy01  waiting  Deploy the shop 1.2  by sam, 10 min ago\n  asks: May go? (sre)" in shown
    assert "other022  succeeded  Deploy the shop 1.1  by sam, 0 s ago, took 9 min" in shown


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"in_the_way": (lock(),)}, "waits for its turn: app (run other022)"),
        ({"paused": "dana: fire"}, "waits: everything is stopped"),
        ({"steps": (step_row("shift", "running", progress="25 %"),)}, "Shift: 25 %"),
    ],
)
async def test_a_run_under_way_says_where_it_is(more: dict[str, Any], said: str) -> None:
    """The lock that it waits for, the stop, or the step that runs, with its progress."""
    engine = Engine().put(view(run_row(state="running", waiting_on=""), **more))

    assert said in read(await World(engine).ask(in_slack("sam", "runs")))


async def test_a_run_that_waits_for_a_time_says_when_it_goes_on() -> None:
    """Soaks and waits have an end."""
    engine = Engine().put(view(run_row(waiting_on="soak", wake_at=NOW + timedelta(hours=3))))

    assert "goes on in 3 h" in read(await World(engine).ask(in_slack("sam", "runs")))


async def test_one_run_is_shown_with_steps_people_and_journal() -> None:
    """Times, attempts, outputs, who said what and why, and everything that was done outside."""
    gate = closed(ask(), reason="looks good")
    plan = {"targets": {"app": "x"}, "steps": [{"path": "shift", "title": "Shift", "kind": "command",
            "lines": ["app: shift 25"], "unresolved": ["steps.backup.key"]}]}  # fmt: skip
    engine = Engine(effects=(effect(state="doubted", repeatable=False),)).put(
        view(
            run_row(state="failed", ended_at=NOW, stop_reason="errors at 7 %", plan=plan),
            gate,
            steps=(
                step_row("backup", outputs={"key": "s3://b/1"}),
                step_row("shift", "failed", attempt=2, error="the shop answered 500"),
            ),
            votes=(vote(break_glass=True, reason="nobody answers"),),
        )
    )

    reply = await World(engine).ask(in_slack("sam", "runs deploy01"))

    shown = read(reply)
    assert "asked by sam 10 min ago, begun 11:51 UTC, ended 12:00 UTC after 9 min" in shown
    assert "errors at 7 %" in shown
    assert "the shop answered 500" in shown
    assert "kim said approve at go 4 min ago, alone, with the glass broken: nobody answers" in shown
    listings = {listing.name: listing.text for listing in reply.details}
    assert "app: shift 25\n  known only later: steps.backup.key" in listings["plan.txt"]
    assert "d1d1d1" in listings["plan.txt"]
    assert "key: s3://b/1" in listings["steps.txt"]
    assert "go gate: approve by kim, because: looks good" in listings["decisions.txt"]
    assert "shift set, attempt 1: doubted  (not repeatable" in listings["journal.txt"]
    assert reply.status == "critical"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("runs 99", "There is no run '99'"),
        ("runs 0", "fits several runs"),
        ("runs gone0333", "no run 'gone0333' that you may see. /maint runs lists"),
        ("runs --fast", "no option '--fast': only --open and --all"),
        ("runs a b", "takes one run"),
    ],
)
async def test_a_run_that_is_not_to_be_seen_is_not_shown(typed: str, said: str) -> None:
    """Unknown, ambiguous, or not the person's business: the reason, and the next command."""
    engine = world()
    engine.engine.put(view(run_row("x0")), view(run_row("y0")))

    assert said in read(await engine.ask(in_slack("sam", typed)))


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (in_slack("sam", 'cancel deploy01 "wrong one"'), ("cancel", RUN, "USAM", "wrong one")),
        (in_slack("sam", "cancel deploy01 wrong one"), ("cancel", RUN, "USAM", "wrong one")),
        (at_terminal("cancel deploy01 typo"), ("cancel", RUN, "alice@bastion", "typo")),
        (in_slack("dana", "rollback deploy01 slow"), ("rollback", RUN, "UDANA", "slow")),
        (in_slack("sam", "rollback other022 slow"), ("rollback", OTHER, "USAM", "slow")),
        (in_slack("dana", "unlock app it hangs"), ("unlock", "app", "UDANA", "it hangs")),
        (in_slack("dana", "stop everything fire"), ("stop", "UDANA", "fire")),
        (in_slack("dana", "resume everything"), ("resume", "UDANA", "")),
        (at_terminal("stop EVERYTHING fire", "UALICE"), ("stop", "UALICE", "fire")),
    ],
)
async def test_the_engine_is_told_to_stop_or_to_go_on(request_: Request, told: tuple[str, ...]) -> None:
    """Which run or lock, who, and why."""
    engine = world(held=(lock(),))

    reply = await engine.ask(request_)

    assert engine.engine.done == [told]
    assert reply.data is not None


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (in_slack("sam", "cancel"), 'Name the run: /maint cancel RUN "reason"'),
        (in_slack("sam", "cancel deploy01"), 'Say why: /maint cancel deploy01 "reason"'),
        (in_slack("sam", "cancel other022 no"), "is over: succeeded"),
        (in_slack("kim", "cancel deploy01 no"), "You may not stop deploy"),
        (in_slack("nobody", "cancel deploy01 no"), "that you may see"),
        (in_slack("kim", "rollback deploy01 no"), "no grant for any runbook"),
        (in_slack("sam", "rollback other022"), "Say why"),
        (in_slack("sam", "rollback"), "Name the run"),
        (in_slack("sam", "unlock app x"), "have no grant for unlock"),
        (in_slack("dana", "unlock"), "Name the target"),
        (in_slack("dana", "unlock app"), 'Say why: /maint unlock app "reason"'),
        (in_slack("dana", "unlock ap x"), "Nobody holds a lock on 'ap'. Did you mean app?"),
        (in_slack("dana", "unlock preview x"), "Locked are: app."),
        (in_slack("sam", "stop everything x"), "have no grant for stop"),
        (in_slack("dana", "stop everything"), "Say why"),
        (in_slack("dana", "stop deploy01"), '/maint cancel deploy01 "reason"'),
        (in_slack("dana", "resume deploy01"), "/maint answer deploy01 resume"),
        (in_slack("sam", "resume everything"), "have no grant for resume"),
    ],
)
async def test_what_does_not_fit_stops_nothing(request_: Request, said: str) -> None:
    """The reason and the next sensible command; the engine is not asked."""
    engine = world(held=(lock(),))

    reply = await engine.ask(request_)

    assert said in read(reply)
    assert engine.engine.done == []


async def test_a_finished_run_is_undone_by_one_of_its_own() -> None:
    """The new run is named, so that it can be followed; one under way rolls back itself."""
    finished = await world().ask(in_slack("sam", "rollback other022 slow"))
    under_way = await world().ask(in_slack("sam", "rollback deploy01 slow"))

    assert "undone by a run of its own" in read(finished)
    assert under_way.run == RUN
    assert "asked to stop, and rolls back then" in read(under_way)


async def test_a_lock_is_taken_away_only_in_granted_environments() -> None:
    """A grant for staging unlocks nothing in production, nor a name that is no target."""
    for name in ("app", "the-bridge"):
        engine = world(held=(lock(name),))
        grant = Grant(role="sre", commands=("unlock",), environments=("staging",))
        access = Access(frozenset({"sre"}), (grant,), OPS)

        reply = await engine.ask(replace(in_slack("kim", f"unlock {name} x"), access=access))

        assert reply.title == "Not allowed"
        assert engine.engine.done == []


@pytest.mark.parametrize("typed", ["stop everything fire", "resume everything"])
async def test_a_grant_for_staging_neither_stops_nor_resumes_production(typed: str) -> None:
    """Everything is every environment."""
    engine = world()
    grant = Grant(role="dev", commands=("stop", "resume"), environments=("staging",))
    access = Access(frozenset({"dev"}), (grant,), OPS)

    reply = await engine.ask(replace(in_slack("sam", typed), access=access))

    assert "every environment" in read(reply)
    assert engine.engine.done == []
    assert engine.audit.events[-1].outcome == "denied"
