"""07: nobody approves what they asked for themselves. Also kept by tests/engine/test_decisions.py,
tests/engine/test_quorum.py and tests/scenario/test_gates.py; bots, guests and closed accounts: test_23."""

from sqlalchemy import Engine

from runbooks.engine.decided import Verdict
from runbooks.records.person import Person
from tests.engine.test_decisions import Desk
from tests.records.run_rows import REQUESTER

#: The requester, as they might come back.
HOSTILE = {
    "as they are": REQUESTER,
    "under another name": Person(kind="slack", id=REQUESTER.id, name="Somebody Else", team="T1"),
    "through another workspace": Person(kind="slack", id=REQUESTER.id, name="Rita", team="T2"),
    "without a workspace": Person(kind="slack", id=REQUESTER.id, name="Rita"),
    "at the terminal": Person(kind="terminal", id=REQUESTER.id, name="rita"),
}


def test_who_asked_does_not_approve(engine: Engine) -> None:
    """Though they are one of the approvers, and whatever they are called."""
    desk = Desk(engine)
    ask = desk.ask()

    outcomes = {how: desk.decide(ask, "approve", by).outcome for how, by in HOSTILE.items()}

    assert outcomes == dict.fromkeys(HOSTILE, Verdict.DENIED)
    assert desk.view(ask.run).votes == ()


def test_a_login_that_is_nobody_in_slack_asks_for_nothing_that_others_approve(engine: Engine) -> None:
    """Else who asked at the terminal could approve it in Slack."""
    desk = Desk(engine)
    run = desk.run(requester_kind="terminal", requester_id="rita@bastion", requester_name="rita")
    ask = desk.ask(run)

    decided = desk.decide(ask, "approve", Person(kind="slack", id="U7", name="Rita"))

    assert decided.outcome is Verdict.DENIED
