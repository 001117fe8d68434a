"""`run` and `plan`: who may, what is refused, what is started, and what is said of it."""

from dataclasses import replace

import pytest

from commands.reply import RunForm
from runbooks.access import Access, Grant, Place
from runbooks.spec.arranged import with_window
from runbooks.steps.action import Preview
from tests.commands.world import DEPLOY, OPS, RUNBOOKS, Engine, World, at_terminal, in_slack, lock, read


@pytest.mark.parametrize("word", ["run", "plan"])
@pytest.mark.parametrize(
    ("who", "typed", "place", "said"),
    [
        ("sam", "", OPS, "runbooks lists what you may run"),
        (
            "sam",
            "delpoy",
            OPS,
            "There is no runbook 'delpoy'. Did you mean deploy? You may run: clean, deploy.",
        ),
        ("nobody", "deploy", OPS, "no grant for any runbook"),
        ("kim", "deploy version=1", OPS, "no grant for any runbook"),
        ("sam", "deploy version=1", Place(id="C9"), "not from this channel"),
        ("sam", "clean", OPS, "You may not run clean on staging here"),
        ("sam", "deploy 1.2", OPS, "'1.2' is no key=value"),
        ("sam", "deploy version=1 version=2", OPS, "given twice"),
        ("sam", "deploy", OPS, "version: is missing"),
        ("sam", "deploy verison=1.2", OPS, "verison: there is no such parameter"),
    ],
)
async def test_bad_input_starts_nothing(word: str, who: str, typed: str, place: Place, said: str) -> None:
    """The reason and the next sensible command, privately, and nothing half-started."""
    world = World()

    reply = await world.ask(in_slack(who, f"{word} {typed}", place=place))

    assert said in read(reply)
    assert reply.private
    assert world.engine.done == []
    assert world.audit.events[-1].outcome in ("denied", "invalid")


async def test_hints_name_no_runbook_that_the_person_may_not_run() -> None:
    """Who has no grant for it does not learn from a typo that it is there."""
    reply = await World().ask(in_slack("sam", "run claen", place=Place(id="C1", aliases=frozenset({"x"}))))

    assert "Did you mean clean?" in read(reply)
    assert "deploy" not in read(reply)


async def test_a_run_starts_with_what_was_given() -> None:
    """The engine gets the texts, the person and the channel; the answer says where its card is."""
    world = World()

    reply = await world.ask(in_slack("sam", 'run deploy version=1.2 note="two words"'))

    (start,) = world.engine.done
    assert start[:3] == ("start", "deploy", {"version": "1.2", "note": "two words"})
    assert (start[3].kind, start[3].id, start[3].team) == ("slack", "USAM", "T1")
    assert start[4:] == ("C1", "request:" + "c" * 26)
    assert "run deploy01" in read(reply)
    assert "Its card is in this conversation." in read(reply)
    assert reply.run.endswith("deploy01")
    assert world.audit.events[-1].outcome == "ok"


@pytest.mark.parametrize(
    ("place", "channel", "said"),
    [
        (Place(id="C1", name="ops", aliases=frozenset({"ops"})), "C1", "in this conversation"),
        (Place(id="D1", name="directmessage", direct=True), "C2", "Its card is in #alerts"),
    ],
)
async def test_the_card_is_where_people_see_it(place: Place, channel: str, said: str) -> None:
    """In the channel where it was asked for; for a direct message in the channel that the runbook names."""
    world = World()
    grant = Grant(role="admin", runbooks=("deploy",), channels=("ops", "direct"))
    access = Access(frozenset({"admin"}), (grant,), place)

    reply = await world.ask(replace(in_slack("dana", "run deploy version=1.2", place=place), access=access))

    assert world.engine.done[0][4] == channel
    assert said in read(reply)


async def test_at_the_terminal_a_card_goes_to_the_runbooks_channel() -> None:
    """Who starts it at the terminal is the login, or the Slack user whose login it is."""
    world = World()

    await world.ask(at_terminal("run deploy version=1.2"))
    await world.ask(at_terminal("run deploy version=1.2", "UALICE"))

    assert [(start[3].kind, start[3].id, start[4]) for start in world.engine.done] == [
        ("terminal", "alice@bastion", "C2"),
        ("terminal", "UALICE", "C2"),
    ]


async def test_what_is_missing_becomes_a_form() -> None:
    """Slack gets what it needs for a modal; the words say the same to who cannot see one."""
    reply = await World().ask(in_slack("sam", "run deploy note=later"))

    assert reply.form == RunForm(
        runbook="deploy",
        given={"note": "later"},
        faults={"version": "is missing: Version to roll out"},
        word="run",
    )
    assert "Complete it: /maint run deploy version=VERSION note=later" in read(reply)


async def test_a_locked_target_is_waited_for_and_said() -> None:
    """The run is queued: behind whom, since when, and why."""
    reply = await World(Engine(in_the_way=(lock(),))).ask(in_slack("sam", "run deploy version=1.2"))

    assert reply.title.startswith("Started")
    assert "app is held by run other022 since 11:40 UTC (20 min ago): restart by kim" in read(reply)


async def test_a_run_while_everything_is_stopped_says_so() -> None:
    """Who starts a run then reads why nothing happens, and what would let it go on."""
    reply = await World(Engine(stopped="dana: fire")).ask(in_slack("sam", "run deploy version=1.2"))

    assert "everything is stopped (dana: fire). /maint resume everything" in read(reply)


async def test_no_secret_that_was_typed_is_in_the_audit_log_or_the_answer() -> None:
    """Values of secret parameters are replaced, also of a mistyped one; the others stand there."""
    world = World()
    for typed in ("run deploy version=1.2 token=hunter22", "plan deploy version=1.2 tokne=hunter22"):
        reply = await world.ask(in_slack("sam", typed))
        assert "hunter22" not in repr(reply)

    assert "hunter22" not in repr(world.audit.events)
    assert world.audit.events[0].object == "run deploy version=1.2 'token=[secret]'"


@pytest.mark.parametrize("word", ["run", "plan"])
async def test_a_secret_that_was_typed_is_refused(word: str) -> None:
    """In Slack and at the terminal: it is asked for instead, and nothing is started."""
    world = World()
    typed = f"{word} deploy version=1.2 token=hunter22"
    slack = await world.ask(in_slack("sam", typed))
    terminal = await world.ask(at_terminal(typed))

    assert slack.form is not None
    assert slack.form.given == {"version": "1.2"}
    assert "leave it out, and a form asks for it" in slack.form.faults["token"]
    assert f"Complete it: /maint {word} deploy version=1.2" in read(slack)
    assert "token=file:PATH or token='${VARIABLE}'" in read(terminal)
    assert world.engine.done == []
    assert "hunter22" not in repr((slack, terminal, world.audit.events))


async def test_a_plan_shows_everything_and_touches_nothing() -> None:
    """Steps, targets, lines, gate, risk, locks and who holds them, the way back, warnings, the digest."""
    world = World(Engine(held=(lock(),), stopped="dana: fire"))

    asked = replace(in_slack("sam", "plan deploy version=1.2 token=hunter22"), filled=True)
    reply = await world.ask(asked)

    shown = read(reply)
    for said in (
        "version: 1.2\nenvironment: production\ntoken: •••\n",
        "Approval  gate\n  1 person of sre must approve",
        "Look at the shop  http.probe, app\n  measures",
        "> 2,000 ms",
        "Locks: app, held by run other022 since 11:40 UTC",
        "A rollback would do: Let it settle (waits 1m)",
        "Everything is stopped (dana: fire)",
    ):
        assert said in shown
    assert "watch  Watch it  [wait]" in reply.details[0].text
    assert isinstance(reply.data, dict)
    assert f"Nothing was touched.  ·  digest {reply.data['digest'][:12]}" in shown
    assert world.engine.done == []


async def test_a_text_that_is_too_long_is_not_cut_and_done() -> None:
    """Half of a value is another value: nothing of it is done."""
    world = World()

    reply = await world.ask(in_slack("sam", "run deploy version=1.2 note=" + "x" * 3000))

    assert "longer than 2000 characters" in read(reply)
    assert world.engine.done == []


def test_the_double_knows_the_runbook_that_it_stands_for() -> None:
    """The world's runbook has each sort of parameter that these tests are about."""
    assert {name: (param.secret, param.required) for name, param in DEPLOY.params.items()} == {
        "version": (False, True),
        "environment": (False, True),
        "token": (True, False),
        "note": (False, False),
    }


async def test_a_plan_says_until_when_a_run_would_wait_for_its_window() -> None:
    """Who types it in the middle of the day is not surprised; within the window nothing is said."""
    said = []
    for hours in ("daily 22:00-06:00", "daily 11:00-13:00"):
        world = World(sweep=with_window(RUNBOOKS["sweep"], {"on": hours, "timezone": "UTC", "leave": "hold"}))
        said.append(read(await world.ask(in_slack("dana", "plan sweep"))))

    closed, opened = said
    assert "Its window is daily 22:00-06:00 UTC: steps of risk medium or high would wait until" in closed
    assert "Its window" not in opened


async def test_a_plan_shows_what_its_steps_would_reach() -> None:
    """What was measured just now stands beside the step, on the card and in the details."""
    refused = Preview(lines=("lock ACCESS EXCLUSIVE on orders",), refused="the disk is too small")
    step = (await Engine().plan("deploy", {"version": "1.2"})).steps[0].path
    world = World(Engine(reached={"deploy": {step: refused}}))

    reply = await world.ask(in_slack("sam", "plan deploy version=1.2"))

    text = read(reply)
    assert "It would be refused now: the disk is too small\n  lock ACCESS EXCLUSIVE on orders" in text
    (listing,) = reply.details
    assert "  now: lock ACCESS EXCLUSIVE on orders\n  it would be refused now: the disk" in listing.text
