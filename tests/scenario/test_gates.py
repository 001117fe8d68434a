"""Gates, in the sandbox: who may approve, what becomes of every other click, and what if nobody does."""

import getpass
import socket

import pytest

from tests.scenario.conftest import ALERTS
from tests.scenario.floor import Floor
from tests.scenario.test_program import environment, maint

GATED = """
    name: deploy
    title: Deploy {{ params.version }}
    params:
      version: {type: string, pattern: '\\d+\\.\\d+\\.\\d+', prompt: Which version}
    steps:
      - id: go
        title: Go ahead
        gate: {GATE}
      - id: shift
        command: {target: here, run: [sh, -c, 'echo shifted >> effects'], directory: DIR, repeatable: true}
"""
USUAL = "{approvers: [sre], expires: 4h}"


def gated(floor: Floor, gate: str = USUAL) -> None:
    """A runbook with that gate, and one step behind it."""
    floor.runbook("deploy", GATED.replace("{GATE}", gate))


async def test_a_member_of_the_role_approves_and_the_run_goes_on(any_floor: Floor) -> None:
    """The card asks, names who may and who may not; a click of one of them lets the run pass."""
    floor = any_floor
    gated(floor)
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval", "one of them, not who asked for it")
        assert floor.effects() == []
        await floor.press("sre1", card, "Approve")
        await floor.shows(card, "Done", "approved by sre1")
        assert floor.effects() == ["shifted"]
        with pytest.raises(LookupError):
            await floor.press("sre1", card, "Approve")
    assert await floor.audited("gate.approve") == [("sre1", "ok")]


async def test_every_other_click_is_answered_privately_and_audited(any_floor: Floor) -> None:
    """Who may not, who asked for the run, who was too late and who said it twice: each reads why."""
    floor = any_floor
    workplace = floor.workplace
    workplace.settings["roles"]["sre"]["members"].append("U0000ADMIN")  # type: ignore[index]
    gated(floor)
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        await floor.press("nobody", card, "Approve")
        await floor.told("nobody", "Only sre may answer this")
        await floor.press("admin", card, "Approve")
        await floor.told("admin", "You asked for this run: somebody else has to approve it")
        await floor.press("sre1", card, "Approve")
        await floor.shows(card, "Done")
        await floor.press("sre2", card, "Approve", stale=True)
        await floor.told("sre2", "Too late: sre1 answered approve")
        await floor.press("sre1", card, "Approve", stale=True)
        await floor.told("sre1", "You said that already")
    assert await floor.audited("gate.approve") == [
        ("nobody", "denied"),
        ("admin", "denied"),
        ("sre1", "ok"),
        ("sre2", "late"),
        ("sre1", "duplicate"),
    ]


async def test_a_quorum_is_of_different_people(floor: Floor) -> None:
    """Two approvals are needed: the same person twice is one."""
    gated(floor, "{approvers: [sre], quorum: 2}")
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "2 of them")
        await floor.press("sre1", card, "Approve")
        await floor.shows(card, "1 of 2 approved", "approved by sre1")
        await floor.press("sre1", card, "Approve")
        await floor.told("sre1", "You approved it already: 1 of 2")
        assert floor.effects() == []
        await floor.press("sre2", card, "Approve")
        await floor.shows(card, "Done")
    assert floor.effects() == ["shifted"]


async def test_who_asked_may_approve_where_the_gate_says_so(floor: Floor) -> None:
    """`requester_may_approve: true`."""
    gated(floor, "{approvers: [admin], requester_may_approve: true}")
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        await floor.press("admin", card, "Approve")
        await floor.shows(card, "Done")


async def test_approvers_are_looked_up_when_they_click(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has left the usergroup since the gate was opened may not approve any more."""
    monkeypatch.setattr("bot.slack.people.DECIDER_AGE", 0.0)
    gated(floor)
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        group = next(each for each in floor.sandbox.workspace.usergroups.values() if each.handle == "sre")
        group.users.remove("U00000SRE1")
        await floor.press("sre1", card, "Approve")
        await floor.told("sre1", "Only sre may answer this")


@pytest.mark.parametrize(("on_expiry", "said", "again"), [("deny", "denied", False), ("hold", "held", True)])
async def test_a_gate_that_expires_never_approves(
    floor: Floor, on_expiry: str, said: str, again: bool
) -> None:
    """It denies, or holds until somebody asks again."""
    gated(floor, f"{{approvers: [sre], expires: 4h, on_expiry: {on_expiry}}}")
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        floor.clock.turn(hours=3, minutes=59)
        await floor.shows(card, "Waits for approval")
        floor.clock.turn(minutes=2)
        await floor.shows(card, "Needs a decision", said)
        assert floor.effects() == []
        await floor.press("sre1", card, "Approve", stale=True)
        await floor.told("sre1", "Too late")
        assert floor.offers(card, "retry") == again
        if again:
            await floor.press("admin", card, "Retry")
            await floor.shows(card, "Waits for approval")
            await floor.press("sre1", card, "Approve")
            await floor.shows(card, "Done")
    assert floor.effects() == (["shifted"] if again else [])


async def test_people_are_reminded_and_the_last_reminder_hands_over(floor: Floor) -> None:
    """At once, after half an hour, after an hour: and from then on somebody else may approve as well."""
    gated(floor, "{approvers: [sre], expires: 4h, remind: [30m, 1h], then: dba}")
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.replies(card, "waits for approval", 1)
        floor.clock.turn(minutes=31)
        await floor.replies(card, "still waits for approval", 1)
        await floor.press("dba", card, "Approve")
        await floor.told("dba", "Only sre may answer this")
        floor.clock.turn(minutes=30)
        await floor.replies(card, "dba may approve from now on as well", 1)
        await floor.press("dba", card, "Approve")
        await floor.shows(card, "Done", "approved by dba")


async def test_a_reject_needs_a_reason(floor: Floor) -> None:
    """The button opens a form; what was written in it stands on the card."""
    gated(floor)
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        await floor.press("sre1", card, "Reject")
        form = await floor.form("sre1")
        with pytest.raises(ValueError, match="said"):
            await floor.sandbox.submit("sre1", form)
        await floor.sandbox.submit("sre1", form, {"said": "not on a Friday"})
        await floor.shows(card, "Needs a decision", "sre1 rejected it: not on a Friday")
    assert floor.effects() == []
    assert await floor.audited("gate.reject") == [("sre1", "invalid"), ("sre1", "ok")]


async def test_who_may_not_reject_gets_no_form(floor: Floor) -> None:
    """Nobody writes a reason for nothing."""
    gated(floor)
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        await floor.press("nobody", card, "Reject")
        await floor.told("nobody", "Only sre may answer this")
        assert floor.sandbox.views("nobody") == []


async def test_a_changed_plan_voids_what_was_approved(any_floor: Floor) -> None:
    """What the approval was for has changed meanwhile: it is asked anew, with the difference."""
    floor = any_floor
    gated(floor, "{approvers: [sre], quorum: 2}")
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        await floor.press("sre1", card, "Approve")
        await floor.shows(card, "1 of 2 approved")
    floor.workplace.settings["targets"]["here"]["ssh"] = {"host": "127.0.0.1", "port": 1}  # type: ignore[index]
    async with floor.open():
        await floor.press("sre2", card, "Approve")
        await floor.shows(card, "0 of 2 approved", "The plan has changed since it was approved", "127.0.0.1")
        await floor.replies(card, "what was approved of it is void", 1)
    assert floor.effects() == []


async def test_a_gate_has_a_card_in_its_own_channel(floor: Floor) -> None:
    """The card there leads to the run's; approving there lets the run pass and redraws both."""
    gated(floor, "{approvers: [sre], channel: alerts}")
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        there = await floor.card("Go ahead", "alerts")
        link = floor.sandbox.workspace.permalink(card)
        await floor.until(lambda: link in str(there.blocks), lambda: f"{link} not in {there.blocks}")
        await floor.press("sre1", there, "Approve")
        await floor.shows(card, "Done")
        await floor.shows(there, "Approved by sre1")
        await floor.until(lambda: not floor.offers(there, "approve"), lambda: there.shown)
    assert there.channel == ALERTS


async def test_breaking_the_glass_is_red_and_reviewed_by_a_second_person(floor: Floor) -> None:
    """Only who was granted it, with a reason; and it stays an open task until somebody else looked at it."""
    gated(floor)
    floor.workplace.settings["grants"].append(  # type: ignore[attr-defined]
        {"role": "dba", "commands": ["break-glass"], "runbooks": ["deploy"]}
    )
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        run = (await floor.view(card)).run.id[-8:]
        await floor.type("admin", f'approve {run} --break-glass "db is down"')
        await floor.told("admin", "You may not break the glass here")
        await floor.type("dba", f"approve {run} --break-glass")
        await floor.told("dba", "Say why")
        await floor.type("dba", f'approve {run} --break-glass "db is down"')
        await floor.shows(card, "Break-glass by dba: db is down", "a second person has to")
        await floor.shows(card, "Done")
        assert "red_circle" in str(card.blocks)
        await floor.press("dba", card, "I looked at it")
        await floor.told("dba", "a second person has to look at why")
        await floor.press_and_say("sre1", card, "I looked at it", "it was right")
        await floor.lacks(card, "a second person has to")
        await floor.shows(card, "Break-glass by dba: db is down")
    assert floor.effects() == ["shifted"]
    assert [who for who in await floor.audited("gate.break-glass") if who[1] == "ok"] == [("dba", "ok")]


async def test_approving_at_the_terminal_is_as_the_person_who_is_logged_in(any_floor: Floor) -> None:
    """The approval is that person's, wherever it was given, and redraws the card in Slack."""
    floor = any_floor
    gated(floor)
    login = f"{getpass.getuser()}@{socket.gethostname()}"
    floor.workplace.settings["logins"] = {login: "U00000SRE1"}
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval")
        run = (await floor.view(card)).run.id[-8:]
        ended = await maint(
            *("--config", str(floor.workplace.path), "approve", run),
            env=environment(floor.workplace),
            cwd=floor.folder,
        )
        assert ended.code == 0, ended
        await floor.shows(card, "Done", "approved by")
        view = await floor.view(card)
    assert [vote.person for vote in view.votes] == ["U00000SRE1"]
    assert floor.effects() == ["shifted"]
