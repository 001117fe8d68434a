"""Runs in the sandbox: started, failed, retried, cancelled, undone, held; and what bad input gets."""

import pytest

from bot.sandbox import Sandbox
from tests.scenario.conftest import Site
from tests.scenario.floor import Floor

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
SLOW = """
    name: slow
    title: Slow {{ params.note }}
    locks: [here]
    params: {note: {type: string, default: work}}
    steps:
      - id: first
        command: {target: here, run: [sh, -c, 'echo first >> effects'], directory: DIR, repeatable: true}
        rollback:
          command: {target: here, run: [sh, -c, 'echo unfirst >> effects'], directory: DIR, repeatable: true}
      - id: long
        command: {target: here, run: [sleep, '60'], repeatable: true, grace: 1s}
"""
ORDER = """
    name: order
    title: Order
    steps:
      - id: send
        title: Send it
        http.request: {target: app, method: POST, path: /orders, json: {pieces: 1}}
"""
ASKS = """
    name: asks
    title: Asks for {{ params.version }}
    params:
      version: {type: string, pattern: '\\d+\\.\\d+\\.\\d+', prompt: Which version}
      count: {type: integer, min: 1, max: 5, default: 2}
      where: {type: target, of: http, default: app}
      token: {type: string, secret: true, required: false}
    steps:
      - id: write
        command:
          target: here
          run: [sh, -c, 'echo $VERSION $COUNT $PLACE >> effects']
          directory: DIR
          repeatable: true
          environment:
            {VERSION: '{{ params.version }}', COUNT: '{{ params.count }}', PLACE: '{{ params.where }}'}
"""
MANUAL = """
    name: by-hand
    title: By hand
    steps:
      - id: pull
        title: Pull the plug
        manual: {instructions: 'Pull the red one.', evidence: required, who: [sre]}
      - id: note
        slack.message: {channel: alerts, text: 'Pulled: {{ steps.pull.evidence }}'}
"""


async def test_missing_parameters_open_a_form(any_floor: Floor) -> None:
    """The form is made of the declarations; what is wrong is told at its field, and nothing is started."""
    floor = any_floor
    floor.runbook("asks", ASKS)
    async with floor.open():
        await floor.type("admin", "run asks count=3")
        form = await floor.form("admin")
        refused = await floor.sandbox.submit("admin", form, {"maint-param:version": "latest"})
        assert "maint-param:version" in str(refused.answer)
        assert floor.find("Asks for") is None
        await floor.sandbox.submit("admin", form, {"maint-param:version": "1.2.3"})
        card = await floor.card("Asks for 1.2.3")
        await floor.shows(card, "Done")
    assert floor.effects() == ["1.2.3", "3", "app"]


async def test_choices_of_targets_load_as_somebody_types(floor: Floor) -> None:
    """A list of what an endpoint answers with, filtered by what was typed; nothing else can be given."""
    choices = "{type: choice, choices_from: {target: app, path: /versions}}"
    pattern = "{type: string, pattern: '\\d+\\.\\d+\\.\\d+', prompt: Which version}"
    floor.runbook("asks", ASKS.replace(pattern, choices))
    floor.site.body, floor.site.kind = '["1.2.3", "1.3.0", "2.0.0"]', "application/json"
    async with floor.open():
        await floor.type("admin", "run asks")
        form = await floor.form("admin")
        typed = await floor.sandbox.suggest("admin", form, "maint-param:version", "1.")
        found = [option["value"] for option in (typed.answer or {})["options"]]
        await floor.type("admin", "run asks version=9.9.9")
        await floor.type("admin", "run asks version=1.3.0")
        await floor.shows(await floor.card("Asks for 1.3.0"), "Done")
        floor.site.body = "no list"
        await floor.type("admin", "run asks version=2.0.0")
        await floor.told("admin", "the choices are no JSON")
        outcomes = [outcome for _, outcome in await floor.audited("command.run.finished")]
    assert found == ["1.2.3", "1.3.0"]
    assert sorted(outcomes) == ["failed", "invalid", "invalid", "ok"]
    assert floor.effects() == ["1.3.0", "2", "app"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("run fials", "Did you mean fails?"),
        ("approve zzzzzzzz", "There is no run"),
        ("cancel", "Name the run"),
        ("runs zzzzzzzz", "There is no run"),
        ("unlock here", "Say why"),
    ],
)
async def test_bad_input_gets_a_private_reason(floor: Floor, line: str, answer: str) -> None:
    """The reason and the next sensible command, and nothing is started."""
    floor.runbook("fails", FAILS)
    async with floor.open():
        await floor.type("admin", line)
        await floor.told("admin", answer)
        assert [each for each in floor.sandbox.messages("ops") if "Fails" in each.shown] == []
    assert floor.effects() == []


async def test_a_parameter_that_there_is_not_is_told(floor: Floor) -> None:
    """On top of the form, for it has no field there."""
    floor.runbook("fails", FAILS)
    async with floor.open():
        await floor.type("admin", "run fails speed=9")
        form = await floor.form("admin")
    assert "speed: " in str(form.definition["blocks"])
    assert floor.effects() == []


async def test_a_plan_touches_nothing(floor: Floor) -> None:
    """Every step resolved, with commands, what a rollback would do, and the digest."""
    floor.runbook("fails", FAILS)
    async with floor.open():
        await floor.type("admin", "plan fails")
        shown = (await floor.told("admin", "Plan: Fails")).shown
    assert "echo first >> effects" in shown
    assert "echo unfirst >> effects" in shown
    assert "Nothing was touched" in shown
    assert "digest" in shown
    assert floor.effects() == []


async def test_a_failed_step_is_retried_from_where_it_failed(any_floor: Floor) -> None:
    """The card asks; Retry does the failed step again, never one before it."""
    floor = any_floor
    floor.runbook("fails", FAILS)
    async with floor.open():
        card = await floor.start("fails", card="Fails")
        await floor.shows(card, "Needs a decision", "Retry", "Skip", "Roll back", "Abandon")
        (floor.folder / "fixed").touch()
        await floor.press("admin", card, "Retry")
        await floor.shows(card, "Done")
    assert floor.effects() == ["first", "second", "second", "third"]


async def test_a_step_is_skipped_with_a_reason(floor: Floor) -> None:
    """Where the runbook allows it."""
    floor.runbook("fails", FAILS)
    async with floor.open():
        card = await floor.start("fails", card="Fails")
        await floor.shows(card, "Needs a decision")
        await floor.press_and_say("admin", card, "Skip", "known, TICKET-1")
        await floor.shows(card, "Done", "TICKET-1")
    assert floor.effects() == ["first", "second", "third"]


async def test_a_failed_run_is_rolled_back_by_a_button(floor: Floor) -> None:
    """What was done is undone, step by step, and the card says so."""
    floor.runbook("fails", FAILS)
    async with floor.open():
        card = await floor.start("fails", card="Fails")
        await floor.shows(card, "Needs a decision")
        await floor.press("admin", card, "Roll back")
        await floor.shows(card, "Rolled back")
        assert not floor.offers(card, "retry")
    assert floor.effects() == ["first", "second", "unfirst"]


async def test_a_finished_run_is_undone_by_a_run_of_its_own(floor: Floor) -> None:
    """`/maint rollback RUN "why"`, and the button of the card."""
    floor.runbook("fails", FAILS)
    (floor.folder / "fixed").touch()
    async with floor.open():
        card = await floor.start("fails", card="Fails")
        await floor.shows(card, "Done")
        await floor.press_and_say("admin", card, "Roll back", "not needed any more")
        undone = await floor.card("undoes run")
        await floor.shows(undone, "Rolled back")
    assert floor.effects()[-1] == "unfirst"


async def test_a_run_is_cancelled_and_its_rollback_is_offered(any_floor: Floor) -> None:
    """What runs is asked to stop; then the card offers to undo what was done."""
    floor = any_floor
    floor.runbook("slow", SLOW)
    async with floor.open():
        card = await floor.start("slow", card="Slow work")
        await floor.until(lambda: floor.effects() == ["first"], lambda: card.shown)
        await floor.press_and_say("admin", card, "Cancel run", "wrong machine")
        await floor.shows(card, "admin: wrong machine", "Needs a decision")
        assert not floor.offers(card, "cancel")
        await floor.press("admin", card, "Roll back")
        await floor.shows(card, "Rolled back")
    assert floor.effects() == ["first", "unfirst"]


async def test_a_lock_is_waited_for_in_order_and_can_be_freed(floor: Floor) -> None:
    """The second run says who holds the target, and goes on when that run is over."""
    floor.runbook("slow", SLOW.replace("'60'", "'5'"))
    async with floor.open():
        first = await floor.start("slow note=one", card="Slow one")
        await floor.until(lambda: floor.effects(), lambda: first.shown)
        second = await floor.start("slow note=two", card="Slow two")
        await floor.shows(second, "Waits for its locks", "is held by run")
        await floor.shows(first, "Done")
        await floor.shows(second, "Done")
    assert floor.effects() == ["first", "first"]


async def test_a_lock_is_taken_away_with_a_reason(floor: Floor) -> None:
    """`/maint unlock` lets the next run go on; without a reason nothing is taken."""
    floor.runbook("slow", SLOW)
    floor.runbook("quick", "\n".join(SLOW.replace("slow", "quick").splitlines()[:-2]))
    async with floor.open():
        first = await floor.start("slow note=one", card="Slow one")
        await floor.until(lambda: floor.effects(), lambda: first.shown)
        second = await floor.start("quick note=two", card="Slow two")
        await floor.shows(second, "is held by run")
        await floor.type("admin", "unlock here")
        await floor.told("admin", "Say why")
        await floor.type("admin", 'unlock here "the first is stuck"')
        await floor.told("admin", "here is free")
        await floor.shows(second, "Done")
        assert ("admin", "ok") in await floor.audited("lock.removed")


async def test_a_request_of_which_nobody_knows_asks(any_floor: Floor, site: Site) -> None:
    """A gateway that gives up may have passed it on: it is not sent again unless a person says so."""
    floor = any_floor
    floor.runbook("order", ORDER)
    site.status = 502
    async with floor.open():
        card = await floor.start("order", card="Order")
        shown = await floor.shows(card, "Retry", "Mark done", "Roll back", "Abandon")
        assert "Skip" not in shown
        sent = site.hits
        await floor.press_and_say("admin", card, "Mark done", "the order stands in the shop")
        await floor.shows(card, "Done", "the order stands in the shop")
    assert (sent, site.hits) == (1, 1)


async def test_everything_is_stopped_and_resumed(floor: Floor) -> None:
    """Nothing new starts while everything is stopped; then it may again."""
    floor.runbook("fails", FAILS)
    (floor.folder / "fixed").touch()
    async with floor.open():
        await floor.type("admin", 'stop everything "fire in the cellar"')
        await floor.sees("Everything is stopped: nothing new starts", user="admin")
        await floor.type("admin", "run fails")
        await floor.told("admin", "fire in the cellar")
        assert floor.effects() == []
        await floor.type("admin", "resume everything")
        await floor.told("admin", "Runs go on where they stood")
        card = await floor.start("fails", card="Fails")
        await floor.shows(card, "Done")


async def test_a_manual_step_asks_for_evidence(floor: Floor) -> None:
    """Instructions, Done with what shows it, and the evidence in what comes after."""
    floor.runbook("by-hand", MANUAL)
    async with floor.open():
        card = await floor.start("by-hand", card="By hand")
        await floor.shows(card, "Pull the red one.", "Done", "Failed", "Cannot do it", "Hand over")
        await floor.press("nobody", card, "Done")
        await floor.told("nobody", "Only sre may answer this")
        await floor.press("sre1", card, "Hand over")
        await floor.sandbox.submit("sre1", await floor.form("sre1"), {"person": "U00000SRE2"})
        await floor.replies(card, "Pull the plug", 1)
        await floor.press_and_say("sre2", card, "Done", "the lamp is dark")
        await floor.sees("Pulled: the lamp is dark", "alerts")
        await floor.until(lambda: "Done" in card.shown and not floor.offers(card, "done"), lambda: card.shown)


async def test_a_runbook_edited_during_a_run_does_not_change_the_run(floor: Floor) -> None:
    """It goes on as it was when it was started, also with the next process."""
    floor.runbook("fails", FAILS)
    async with floor.open():
        card = await floor.start("fails", card="Fails")
        await floor.shows(card, "Needs a decision")
    floor.runbook("fails", FAILS.replace("echo third", "echo other"))
    (floor.folder / "fixed").touch()
    async with floor.open():
        await floor.press("admin", card, "Retry")
        await floor.shows(card, "Done")
    assert floor.effects() == ["first", "second", "second", "third"]


async def test_runs_are_listed_and_shown(floor: Floor, sandbox: Sandbox) -> None:
    """`/maint runs` names them, `/maint runs ID` shows steps, times, people."""
    floor.runbook("fails", FAILS)
    (floor.folder / "fixed").touch()
    async with floor.open():
        card = await floor.start("fails", card="Fails")
        await floor.shows(card, "Done")
        run = (await floor.view(card)).run.id[-8:]
        await floor.type("admin", "runs")
        await floor.told("admin", run)
        await floor.press("admin", card, "Details")
        shown = await floor.told("admin", "begun")
    assert shown.ephemeral_to == sandbox.workspace.member("admin").id
