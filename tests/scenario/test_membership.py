"""Roles that are taken away: Slack tells of it, and neither a click nor a run that is under way gets through.

Over both ways that Slack has to an app, and on both databases where a run is touched.
"""

import pytest

from bot.sandbox import Sandbox
from tests.scenario.conftest import Workplace, newest
from tests.scenario.floor import Floor

STEPS = """
    name: steps
    title: Steps
    steps:
      - id: first
        command: {target: here, run: [sh, -c, 'echo first >> effects'], directory: DIR, repeatable: true}
        rollback:
          command: {target: here, run: [sh, -c, 'echo unfirst >> effects'], directory: DIR, repeatable: true}
      - id: sure
        gate: {approvers: [admin]}
      - id: second
        command: {target: here, run: [sh, -c, 'echo second >> effects'], directory: DIR, repeatable: true}
"""
LATER = """
    name: later
    title: Later
    steps:
      - id: first
        command: {target: here, run: [sh, -c, 'echo first >> effects'], directory: DIR, repeatable: true}
      - id: hour
        wait: {for: 1h}
      - id: second
        command: {target: here, run: [sh, -c, 'echo second >> effects'], directory: DIR, repeatable: true}
"""


@pytest.fixture(params=["socket", "http"])
def reached(workplace: Workplace, request: pytest.FixtureRequest) -> Workplace:
    """Maint as Slack reaches it, by either way."""
    if request.param == "http":
        workplace.settings["slack"] = {"mode": "http", "channels": {"ops": "C000000OPS"}}
        workplace.settings["http"] = {"port": 0}
    return workplace


async def test_who_leaves_a_usergroup_has_its_role_no_more(sandbox: Sandbox, reached: Workplace) -> None:
    """06: the very next command is refused, without waiting for anything to grow old."""
    async with reached.serving():
        await sandbox.slash("sre2", "ops", "/maint targets")
        await sandbox.wait_for(lambda: newest(sandbox, "app", as_user="sre2"))
        deliveries = await sandbox.regroup("sre", ["sre1"])
        await sandbox.slash("sre2", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, "have no grant", as_user="sre2"))

    assert [each.acked for each in deliveries] == [True, True]


async def test_an_account_that_is_closed_is_nobody(sandbox: Sandbox, reached: Workplace) -> None:
    """What a closed account still sends, or somebody sends in its name, is refused and recorded."""
    async with reached.serving():
        await sandbox.slash("admin", "ops", "/maint whoami")
        await sandbox.wait_for(lambda: newest(sandbox, "admin", as_user="admin"))
        (told,) = await sandbox.change_member("admin", is_restricted=True)
        await sandbox.slash("admin", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, "does not answer guests", as_user="admin"))
        events = [each.event for each in await reached.audit() if each.event.action.startswith("person.")]

    assert told.acked
    assert [event.action for event in events] == ["person.identified", "person.refused"]


@pytest.fixture
def sre_runs(any_floor: Floor) -> Floor:
    """A Maint in which the sre run a runbook that the admin approves, on both databases."""
    any_floor.runbook("steps", STEPS)
    any_floor.runbook("later", LATER)
    grants = any_floor.workplace.settings["grants"]
    assert isinstance(grants, list)
    grants.append({"role": "sre", "runbooks": ["steps", "later"], "channels": ["ops"]})
    return any_floor


async def test_a_role_that_is_removed_stops_the_next_step(sandbox: Sandbox, sre_runs: Floor) -> None:
    """06: the run asks, and says why; who lost the role cannot answer, who has the right can."""
    floor = sre_runs
    async with floor.open():
        card = await floor.start("steps", user="sre2")
        await floor.shows(card, "Approve")
        await sandbox.regroup("sre", ["sre1"])
        await floor.press("admin", card, "Approve")
        await floor.shows(card, "sre2 may not run steps any more", "Retry")
        assert floor.effects() == ["first"]
        assert ("Maint", "denied") in await floor.audited("step.failed")

        await floor.press("sre2", card, "Retry")
        await floor.told("sre2", "Not allowed")
        assert floor.effects() == ["first"]
        await floor.press("sre1", card, "Retry")
        await floor.shows(card, "Done", "Retried by sre1")

    assert floor.effects() == ["first", "second"]


async def test_the_way_back_is_open_when_nobody_is_left(sandbox: Sandbox, sre_runs: Floor) -> None:
    """The requester lost the role; what was done is undone all the same."""
    floor = sre_runs
    async with floor.open():
        card = await floor.start("steps", user="sre2")
        await floor.shows(card, "Approve")
        await sandbox.change_member("sre2", deleted=True)
        await sandbox.regroup("sre", ["sre1"])
        await floor.press("admin", card, "Approve")
        await floor.shows(card, "sre2 may have nothing done any more", "Roll back", "Retry")
        await floor.press("admin", card, "Roll back")
        await floor.shows(card, "Rolled back")

    assert floor.effects() == ["first", "unfirst"]


async def test_a_slack_that_is_away_holds_a_step_back(
    sandbox: Sandbox, sre_runs: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether the requester still may: the step waits, and goes on when Slack answers again."""
    floor = sre_runs
    monkeypatch.setattr("runbooks.engine.authority.LONGEST_ANSWER", 0.2)
    async with floor.open():
        card = await floor.start("later", user="sre2")
        await floor.shows(card, "until")
        await sandbox.regroup("sre", ["sre1", "sre2", "dba"])  # what is remembered is dropped
        sandbox.fault("usergroups.users.list", "server_error", times=1000)
        await floor.pass_time(card, hours=1)
        await floor.shows(card, "held back")
        assert floor.effects() == ["first"]

        sandbox.faults.clear()
        await floor.pass_time(card, minutes=2)
        await floor.shows(card, "Done")

    assert floor.effects() == ["first", "second"]
