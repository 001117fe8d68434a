"""Buttons: who presses one is identified, judged and answered at that moment, and once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from bot.sandbox import Message
from runbooks.records.audit import Filter
from runbooks.records.run_tables import asks
from tests.slack.conftest import ALERTS, OPS, Edged

GATE = {"approvers": ["sre"], "quorum": 1, "requester_may_approve": False}


async def asked(edged: Edged, **changes: Any) -> tuple[str, str, Message]:
    """A run of the admin's with an open gate for `sre`; run, ask and card."""
    run = await edged.place.begin(runbook="deploy", requester_id="U0000ADMIN", requester_name="admin")
    ask = await edged.place.ask(run, **{"title": "Promote?", "spec": GATE, **changes})
    card = await edged.place.shows(changes.get("title", "Promote?"))
    await edged.sandbox.wait_for(lambda: "maint:details" in str(card.blocks), 10)
    return run, ask, card


async def state(edged: Edged, run: str) -> Any:
    """The newest ask of a run."""
    view = await edged.engine.view(run)
    assert view is not None
    return view.asks[-1]


async def test_an_approval_closes_the_gate_and_takes_the_buttons_away(edged: Edged) -> None:
    """Acknowledged at once; the card says who approved."""
    run, _, card = await asked(edged)
    done = await edged.sandbox.click("sre1", card, "Approve")
    await edged.sandbox.wait_for(lambda: "maint:approve" not in str(card.blocks), 10)

    assert done.acked
    assert done.error is None
    assert (await state(edged, run)).answered_name == "sre1"
    assert await edged.audited("gate.approve", "ok") == 1


async def test_who_may_not_is_told_so_privately_and_it_is_recorded(edged: Edged) -> None:
    """The member without any grant changes nothing."""
    run, _, card = await asked(edged)
    await edged.sandbox.click("nobody", card, "Approve")
    answer = await edged.shown_to("nobody", "Only sre may answer this")

    assert answer.ephemeral_to == "U000NOBODY"
    assert (await state(edged, run)).state == "open"
    assert await edged.audited("gate.approve", "denied") == 1


@pytest.mark.parametrize("user", ["guest", "stranger"])
async def test_guests_and_strangers_are_refused(edged: Edged, user: str) -> None:
    """Before anything is looked up."""
    run, _, card = await asked(edged)
    await edged.sandbox.click(user, card, "Approve")

    assert await edged.audited("command.refused", "denied") == 1
    assert (await state(edged, run)).state == "open"


async def test_who_asked_may_not_approve(edged: Edged) -> None:
    """Unless the gate says so."""
    run = await edged.place.begin(runbook="deploy", requester_id="U00000SRE1")
    await edged.place.ask(run, title="Promote?", spec=GATE)
    card = await edged.place.shows("Promote?")
    await edged.sandbox.click("sre1", card, "Approve")
    await edged.shown_to("sre1", "You asked for this run")

    assert (await state(edged, run)).state == "open"


async def test_a_late_click_is_answered_with_who_was_first(edged: Edged) -> None:
    """Somebody with an old screen presses a button that is gone."""
    run, _, card = await asked(edged)
    await edged.sandbox.click("sre1", card, "Approve")
    await edged.sandbox.wait_for(lambda: "maint:approve" not in str(card.blocks), 10)
    await edged.sandbox.click("sre2", card, "Approve", stale=True)
    await edged.shown_to("sre2", "Too late: sre1 answered approve")

    assert (await state(edged, run)).answered_name == "sre1"
    assert await edged.audited("gate.approve", "late") == 1


async def test_the_button_of_an_old_question_does_not_answer_the_new_one(edged: Edged) -> None:
    """A changed plan voids what was asked: an approval of the old plan is none of the new."""
    run, ask, card = await asked(edged)
    await edged.place.write(
        lambda c: c.execute(update(asks).where(asks.c.id == ask).values(state="void", reason="plan changed"))
    )
    await edged.place.ask(run, title="Again?", spec=GATE, round=2)
    await edged.place.shows("Again?")
    await edged.sandbox.click("sre1", card, "maint:approve", stale=True)
    await edged.shown_to("sre1", "void")

    assert (await state(edged, run)).state == "open"


async def test_a_click_that_is_delivered_twice_counts_once(edged: Edged) -> None:
    """The second one is recorded as a duplicate, and does nothing."""
    run, _, card = await asked(edged, spec={**GATE, "quorum": 2})
    done = await edged.sandbox.click("sre1", card, "Approve")
    again = await asyncio.gather(
        *(edged.sandbox.deliverer.deliver("interactive", done.payload) for _ in range(3))
    )
    duplicates = await edged.audited("command.press", "duplicate", 3)
    assert await edged.audited("gate.approve") == 1
    view = await edged.engine.view(run)

    assert all(each.acked for each in again)
    assert duplicates == 3
    assert view is not None
    assert [vote.person for vote in view.votes] == ["U00000SRE1"]


async def test_forged_values_do_nothing(edged: Edged) -> None:
    """A button that names what is not there, or another run's question, is refused."""
    _, ask, card = await asked(edged)
    other = await edged.place.begin(runbook="deploy")
    done = await edged.sandbox.click("nobody", card, "Approve")
    for value in ("", "x", f"{other}.{ask}", "a" * 1900, f"{other}.{other}", "../../etc.passwd"):
        action = {**done.payload["actions"][0], "value": value}
        payload = {**done.payload, "actions": [action], "trigger_id": f"1.2.{hash(value)}"}
        assert (await edged.sandbox.deliverer.deliver("interactive", payload)).acked

    assert await edged.audited("command.press.finished", "invalid", 6) == 6
    assert await edged.audited("gate.approve", "ok", 0) == 0


async def test_a_rejection_asks_for_its_reason(edged: Edged) -> None:
    """In a form; words that say nothing are a fault at its field."""
    run, _, card = await asked(edged)
    await edged.sandbox.click("sre1", card, "Reject")
    form = await edged.form("sre1")
    blank = await edged.sandbox.submit("sre1", form, {"said": "   "})
    sent = await edged.sandbox.submit("sre1", form, {"said": "too risky today"})
    await edged.sandbox.wait_for(lambda: "maint:approve" not in str(card.blocks), 10)
    ask = await state(edged, run)

    assert blank.answer["errors"] == {"said": "Say why."}
    assert sent.error is None
    assert (ask.answer, ask.reason) == ("reject", "too risky today")
    assert edged.sandbox.views("sre1") == []


async def test_who_may_not_reject_gets_no_form(edged: Edged) -> None:
    """The right is looked at before anything is asked."""
    _, _, card = await asked(edged)
    await edged.sandbox.click("nobody", card, "Reject")
    await edged.shown_to("nobody", "Only sre may answer this")

    assert edged.sandbox.views("nobody") == []


async def test_a_manual_step_takes_words_and_files_as_evidence(edged: Edged) -> None:
    """One of both is needed when evidence is required; the file stands there as a link."""
    spec = {"approvers": [], "instructions": "Pull the plug", "evidence": "required", "assign": ""}
    choices = ["done", "failed", "cannot", "assign"]
    run, _, card = await asked(edged, kind="manual", title="By hand", choices=choices, spec=spec)
    await edged.sandbox.click("sre1", card, "Done")
    form = await edged.form("sre1")
    empty = await edged.sandbox.submit("sre1", form, {})
    file = {"id": "F1", "name": "photo.png", "permalink": "https://files.example.com/F1"}
    await edged.sandbox.submit("sre1", form, {"said": "pulled it", "files": [file]})
    await edged.sandbox.wait_for(lambda: "maint:done" not in str(card.blocks), 10)
    ask = await state(edged, run)

    assert "attach" in empty.answer["errors"]["said"]
    assert ask.evidence == "pulled it\nphoto.png https://files.example.com/F1"
    assert "files:read" in edged.sandbox.workspace.scopes_used


async def test_a_manual_step_is_handed_over_to_a_person(edged: Edged) -> None:
    """Chosen from the members."""
    spec = {"approvers": [], "instructions": "Pull the plug", "evidence": "optional", "assign": ""}
    run, _, card = await asked(edged, kind="manual", title="By hand", choices=["done", "assign"], spec=spec)
    await edged.sandbox.click("sre1", card, "Hand over")
    form = await edged.form("sre1")
    await edged.sandbox.submit("sre1", form, {"person": "sre2"})
    assert await edged.audited("manual.assign", "ok") == 1

    assert (await state(edged, run)).spec["assignee"]["id"] == "U00000SRE2"


async def test_a_question_needs_a_grant_for_the_runbook_and_its_targets(edged: Edged) -> None:
    """dba may run it on staging only, and app is in production."""
    plan = {"targets": {"app": "http://app"}, "steps": [], "rollback": []}
    run = await edged.place.begin(runbook="deploy", plan=plan)
    await edged.place.ask(run, kind="failed", title="It failed", choices=["retry", "abandon"], spec={})
    card = await edged.place.shows("It failed")
    await edged.sandbox.click("dba", card, "Retry")
    await edged.shown_to("dba", "may not answer for deploy")
    assert (await state(edged, run)).state == "open"
    await edged.sandbox.click("sre2", card, "Retry")
    await edged.sandbox.wait_for(lambda: "maint:retry" not in str(card.blocks), 10)

    assert (await state(edged, run)).answer == "retry"


async def test_a_grant_for_one_channel_does_not_reach_another(edged: Edged) -> None:
    """sre may run deploy from #ops only; the same click in #alerts is refused."""
    run = await edged.place.begin(runbook="deploy", channel=ALERTS)
    await edged.place.ask(run, kind="failed", title="It failed", choices=["retry"], spec={})
    card = await edged.place.shows("It failed", "alerts")
    await edged.sandbox.click("sre2", card, "Retry")

    assert await edged.audited("command.press.finished", "denied") == 1
    question = (await state(edged, run)).id
    (refused,) = await edged.place.records.events(Filter(action="command.press.finished"))
    assert (refused.event.actor_id, refused.event.object) == ("U00000SRE2", f"press retry {run}.{question}")
    assert (await state(edged, run)).state == "open"


async def test_a_run_is_cancelled_with_a_reason(edged: Edged) -> None:
    """From its card; who may not run it may not stop it either."""
    run = await edged.place.begin(runbook="deploy")
    card = await edged.place.shows("Running")
    await edged.sandbox.click("nobody", card, "Cancel run")
    await edged.shown_to("nobody", "no run")
    await edged.sandbox.click("sre1", card, "Cancel run")
    await edged.sandbox.submit("sre1", await edged.form("sre1"), {"said": "wrong version"})
    await edged.place.shows("Stopping")
    del run

    assert edged.engine.cancelled == ["wrong version"]
    assert "maint:cancel" not in str(card.blocks)


async def test_details_are_shown_privately(edged: Edged) -> None:
    """To who may see the run."""
    await edged.place.begin(runbook="deploy")
    card = await edged.place.shows("Running")
    await edged.sandbox.click("sre1", card, "Details")
    answer = await edged.shown_to("sre1", "shift")

    assert answer.channel == OPS


async def test_a_form_that_comes_too_late_is_no_silence(edged: Edged) -> None:
    """Slack opens forms for three seconds only: the person is told what is needed."""
    edged.sandbox.fault("views.open", "server_error", times=5)
    _, _, card = await asked(edged)
    await edged.sandbox.click("sre1", card, "Reject")
    await edged.shown_to("sre1", "needs a reason", 20)


async def test_two_who_approve_at_the_same_time_both_count(edged: Edged) -> None:
    """With a quorum of two the gate is closed by the second one, whichever that is."""
    run, _, card = await asked(edged, spec={**GATE, "quorum": 2})
    await asyncio.gather(
        edged.sandbox.click("sre1", card, "Approve"), edged.sandbox.click("sre2", card, "Approve")
    )
    await edged.sandbox.wait_for(lambda: "maint:approve" not in str(card.blocks), 10)
    view = await edged.engine.view(run)

    assert view is not None
    assert {vote.person for vote in view.votes} == {"U00000SRE1", "U00000SRE2"}
    assert view.asks[-1].answer == "approve"
