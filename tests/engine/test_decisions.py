"""Who decides what counts: at the same moment, twice, too late, without the right; always on record."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, update

from runbooks.engine.decided import Decided, Verdict
from runbooks.engine.decisions import decide
from runbooks.records import asks, audit
from runbooks.records.audit import Event
from runbooks.records.database import open_database
from runbooks.records.person import Person
from runbooks.records.run_tables import runs
from runbooks.records.runs import AskRow, RunView, view
from tests.records.run_rows import NOON, REQUESTER, add_ask, add_run, gate_spec

ANN = Person(kind="slack", id="U2", name="Ann")
BEN = Person(kind="terminal", id="ben", name="Ben")
CLEO = Person(kind="slack", id="U4", name="Cleo")
SRE = frozenset({"sre"})
NOBODY: frozenset[str] = frozenset()
LATER = NOON + timedelta(minutes=5)
QUESTIONS = {
    "failed": ("retry", "skip", "rollback", "abandon"),
    "in_doubt": ("retry", "done", "rollback", "abandon"),
    "cancelled": ("rollback", "abandon"),
    "manual": ("done", "failed", "cannot", "assign"),
    "rollout": ("promote", "hold", "resume", "rollback"),
}


class Desk:
    """A database where people decide, each in a transaction of their own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.woken: list[str] = []

    def run(self, **changes: Any) -> str:
        with self.engine.begin() as connection:
            return add_run(connection, **changes)

    def ask(self, run: str = "", **changes: Any) -> AskRow:
        with self.engine.begin() as connection:
            return add_ask(connection, run or add_run(connection), **changes)

    def question(self, kind: str, **changes: Any) -> AskRow:
        return self.ask(kind=kind, choices=QUESTIONS[kind], **{"spec": {}} | changes)

    def decide(self, ask: AskRow | str, choice: str, by: Person, **changes: Any) -> Decided:
        said: dict[str, Any] = {"holds": SRE, "now": LATER} | changes
        with self.engine.begin() as connection:
            return decide(
                connection,
                ask_id=ask if isinstance(ask, str) else ask.id,
                choice=choice,
                by=by,
                wake=lambda _, run: self.woken.append(run),
                **said,
            )

    def view(self, run: str) -> RunView:
        with self.engine.begin() as connection:
            found = view(connection, run)
            assert found is not None
            return found

    def now(self, ask: AskRow) -> AskRow:
        return next(one for one in self.view(ask.run).asks if one.id == ask.id)

    def events(self) -> list[Event]:
        """Newest first."""
        with self.engine.begin() as connection:
            return [recorded.event for recorded in audit.newest(connection)]


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


def test_an_approver_closes_a_gate_and_wakes_the_run(desk: Desk) -> None:
    """The answer, who gave it and when stand in the ask, the vote in the votes, both in the audit log."""
    ask = desk.ask()

    decided = desk.decide(ask, "approve", ANN)

    assert (decided.outcome, decided.run) == (Verdict.CLOSED, ask.run)
    closed = desk.now(ask)
    assert (closed.state, closed.answer, closed.answered_by, closed.closed_at) == (
        "closed", "approve", "U2", LATER
    )  # fmt: skip
    assert [vote.person for vote in desk.view(ask.run).votes] == ["U2"]
    assert desk.woken == [ask.run]
    (event,) = desk.events()
    assert (event.action, event.outcome, event.correlation) == ("gate.approve", "ok", ask.run)
    assert (event.actor_kind, event.actor_id, event.object, event.at) == ("slack", "U2", "deploy go", LATER)
    assert event.details["approvals"] == "1 of 1"
    assert (event.details["digest"], event.details["via"]) == ("d1", "slack")


def test_a_gate_for_two_takes_two_different_people(desk: Desk) -> None:
    """The first approval counts, the same person's second does not, the second person's closes."""
    ask = desk.ask(spec=gate_spec(quorum=2))

    said = [desk.decide(ask, "approve", by) for by in (ANN, ANN, BEN)]

    assert [one.outcome for one in said] == [Verdict.COUNTED, Verdict.DUPLICATE, Verdict.CLOSED]
    assert "1 of 2" in said[0].text
    assert desk.woken == [ask.run, ask.run]
    events = desk.events()
    assert [event.outcome for event in events] == ["ok", "duplicate", "ok"]
    assert [event.details["via"] for event in events] == ["terminal", "slack", "slack"]
    assert [event.details["approvals"] for event in events] == ["2 of 2", "1 of 2", "1 of 2"]


def test_the_same_person_through_slack_and_terminal_counts_once(desk: Desk) -> None:
    """A person is who their id says, whichever way they came."""
    ask = desk.ask(spec=gate_spec(quorum=2))

    desk.decide(ask, "approve", ANN)
    second = desk.decide(ask, "approve", Person(kind="terminal", id=ANN.id, name="ann"))

    assert second.outcome == Verdict.DUPLICATE
    assert desk.now(ask).state == "open"


@pytest.mark.parametrize("holds", [NOBODY, frozenset({"dba"}), frozenset({"oncall"})])
def test_who_is_no_approver_is_denied(desk: Desk, holds: frozenset[str]) -> None:
    """Neither approves nor rejects, and is told who may; also who only comes with the last reminder."""
    ask = desk.ask(spec=gate_spec(then="oncall"), remind_at=LATER)

    said = [
        desk.decide(ask, "approve", ANN, holds=holds),
        desk.decide(ask, "reject", ANN, holds=holds, reason="x"),
    ]

    assert [one.outcome for one in said] == [Verdict.DENIED, Verdict.DENIED]
    assert "sre" in said[0].text
    assert (desk.now(ask), desk.view(ask.run).votes, desk.woken) == (ask, (), [])
    assert [event.outcome for event in desk.events()] == ["denied", "denied"]


def test_a_gate_without_approvers_is_passed_by_nobody(desk: Desk) -> None:
    """A gate whose policy is missing is closed, not open to everybody."""
    ask = desk.ask(spec=gate_spec(approvers=[]))

    assert desk.decide(ask, "approve", ANN).outcome == Verdict.DENIED


def test_who_is_asked_last_may_approve_when_the_last_reminder_is_out(desk: Desk) -> None:
    """And not after the first of several."""
    ask = desk.ask(spec=gate_spec(then="oncall"), remind_at=NOON)
    oncall = frozenset({"oncall"})
    with desk.engine.begin() as connection:
        asks.reminded(connection, ask, LATER)
    early = desk.decide(ask, "approve", ANN, holds=oncall)
    reminded = desk.now(ask)
    with desk.engine.begin() as connection:
        asks.reminded(connection, reminded, None)

    assert early.outcome == Verdict.DENIED
    assert desk.decide(ask, "approve", ANN, holds=oncall).outcome == Verdict.CLOSED


def test_the_requester_does_not_approve(desk: Desk) -> None:
    """Though an approver: denied, and said why."""
    ask = desk.ask()

    decided = desk.decide(ask, "approve", REQUESTER)

    assert decided.outcome == Verdict.DENIED
    assert "somebody else" in decided.text
    assert desk.now(ask).state == "open"


def test_nobody_approves_what_an_unknown_login_asked_for(desk: Desk) -> None:
    """Whoever approves it in Slack may be the one who asked at the terminal, unless the gate allows that."""
    run = desk.run(requester_kind="terminal", requester_id="rita@bastion")
    free = desk.run(requester_kind="terminal", requester_id="rita@bastion")
    known = desk.run(requester_kind="terminal", requester_id="U1")

    said = desk.decide(desk.ask(run), "approve", REQUESTER)

    assert (said.outcome, desk.events()[0].outcome) == (Verdict.DENIED, "denied")
    assert "Nobody knows who rita@bastion is" in said.text
    assert desk.decide(desk.ask(known), "approve", ANN).outcome == Verdict.CLOSED
    own = desk.ask(free, spec=gate_spec(requester_may_approve=True))
    assert desk.decide(own, "approve", ANN).outcome == Verdict.CLOSED


def test_the_requester_approves_where_the_gate_says_so(desk: Desk) -> None:
    """With requester_may_approve, and only as an approver."""
    ask = desk.ask(spec=gate_spec(requester_may_approve=True))

    assert desk.decide(ask, "approve", REQUESTER, holds=NOBODY).outcome == Verdict.DENIED
    assert desk.decide(ask, "approve", REQUESTER).outcome == Verdict.CLOSED


def test_one_rejection_closes_a_gate_and_needs_a_reason(desk: Desk) -> None:
    """Whatever the quorum; the requester may reject as well, if an approver."""
    ask = desk.ask(spec=gate_spec(quorum=3))

    assert desk.decide(ask, "reject", REQUESTER, reason="  ").outcome == Verdict.REASON_NEEDED
    assert desk.now(ask).state == "open"
    assert desk.decide(ask, "reject", REQUESTER, reason="not today").outcome == Verdict.CLOSED
    assert (desk.now(ask).answer, desk.now(ask).reason) == ("reject", "not today")
    assert [event.outcome for event in desk.events()] == ["ok", "invalid"]


def test_who_approved_may_still_reject(desk: Desk) -> None:
    """The rejection takes the place of the approval."""
    ask = desk.ask(spec=gate_spec(quorum=2))
    desk.decide(ask, "approve", ANN)

    assert desk.decide(ask, "reject", ANN, reason="saw the graph").outcome == Verdict.CLOSED
    assert [vote.choice for vote in desk.view(ask.run).votes] == ["reject"]


def test_who_comes_late_hears_who_decided_what_and_when(desk: Desk) -> None:
    """Nothing changes, the run is not woken again, and the click is on record."""
    ask = desk.ask()
    desk.decide(ask, "reject", ANN, reason="not today")

    late = desk.decide(ask, "approve", BEN, now=LATER + timedelta(minutes=1))

    assert late.outcome == Verdict.LATE
    assert "Ann answered reject at 12:05 UTC (not today)" in late.text
    assert desk.woken == [ask.run]
    assert (desk.events()[0].outcome, desk.events()[0].action) == ("late", "gate.approve")


def test_a_double_click_that_decided_is_a_duplicate(desk: Desk) -> None:
    """The second click finds the gate closed by the first, and says so."""
    ask = desk.ask()

    said = [desk.decide(ask, "approve", ANN) for _ in range(2)]

    assert [one.outcome for one in said] == [Verdict.CLOSED, Verdict.DUPLICATE]
    assert desk.woken == [ask.run]


@pytest.mark.parametrize("break_glass", [False, True])
def test_an_expired_gate_can_not_be_approved_though_it_is_still_open(desk: Desk, break_glass: bool) -> None:
    """The clock that closes it may be behind: the deadline counts, from its very moment on."""
    ask = desk.ask(deadline=LATER)

    said = desk.decide(ask, "approve", ANN, break_glass=break_glass, reason="x")

    assert said.outcome == Verdict.LATE
    assert desk.now(ask).state == "open"
    before = LATER - timedelta(microseconds=1)
    assert desk.decide(ask, "approve", ANN, now=before).outcome == Verdict.CLOSED


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "rolled_back", "abandoned"])
def test_nothing_of_a_run_that_is_over_can_be_decided(desk: Desk, state: str) -> None:
    """A question that was left open is too late to be answered."""
    ask = desk.ask(desk.run(state=state))

    assert desk.decide(ask, "approve", ANN).outcome == Verdict.LATE
    assert desk.woken == []


def test_a_void_ask_takes_no_votes_and_keeps_none_that_count(desk: Desk) -> None:
    """After the plan changed, the old card's button does nothing, also for who had approved there."""
    ask = desk.ask(spec=gate_spec(quorum=2))
    desk.decide(ask, "approve", ANN)
    with desk.engine.begin() as connection:
        asks.void(connection, ask.id, "the plan has changed", LATER)
        new = add_ask(connection, ask.run, spec=gate_spec(quorum=2), digest="d2")

    old = [desk.decide(ask, "approve", by) for by in (ANN, BEN)]

    assert [one.outcome for one in old] == [Verdict.LATE, Verdict.LATE]
    assert "the plan has changed" in old[0].text
    assert desk.decide(new, "approve", BEN).outcome == Verdict.COUNTED
    assert desk.decide(new, "approve", ANN).outcome == Verdict.CLOSED


@pytest.mark.parametrize("choice", ["promote", "", "APPROVE", "x" * 5000, "approve\n", "<!channel>"])
def test_an_answer_that_was_not_offered_is_none(desk: Desk, choice: str) -> None:
    """A forged button changes nothing; what is offered is said."""
    ask = desk.ask()

    decided = desk.decide(ask, choice, ANN)

    assert decided.outcome == Verdict.UNKNOWN
    assert "approve or reject" in decided.text
    assert len(decided.text) < 200
    assert "\n" not in decided.text
    assert desk.now(ask) == ask
    assert (desk.events()[0].action, desk.events()[0].outcome) == ("gate.unknown", "invalid")


@pytest.mark.parametrize("ask", ["", "unknown", "' OR 1=1 --", "\x00", "x" * 5000])
def test_a_question_that_does_not_exist_is_on_record_as_well(desk: Desk, ask: str) -> None:
    """Whoever forges an id is told nothing, and seen."""
    decided = desk.decide(ask, "approve", ANN)

    assert (decided.outcome, decided.run) == (Verdict.UNKNOWN, "")
    (event,) = desk.events()
    assert (event.action, event.outcome, event.actor_id) == ("ask.unknown", "invalid", "U2")


def test_broken_glass_passes_a_gate_alone_and_asks_for_a_review(desk: Desk) -> None:
    """No approver, the requester even, against a quorum of three; the vote is marked."""
    ask = desk.ask(spec=gate_spec(quorum=3), channel="sec")

    needs = desk.decide(ask, "approve", REQUESTER, holds=NOBODY, break_glass=True)
    decided = desk.decide(
        ask, "approve", REQUESTER, holds=NOBODY, break_glass=True, reason="the shop is down"
    )

    assert (needs.outcome, decided.outcome) == (Verdict.REASON_NEEDED, Verdict.CLOSED)
    seen = desk.view(ask.run)
    assert [(vote.person, vote.break_glass, vote.reason) for vote in seen.votes] == [
        ("U1", True, "the shop is down")
    ]
    review = seen.ask("go", "review")
    assert review is not None
    assert (review.state, review.choices, review.channel, review.digest) == (
        "open",
        ("reviewed",),
        "sec",
        "d1",
    )
    assert review.spec["not"] == "U1"
    assert [event.action for event in desk.events()] == [
        "gate.break-glass", "review.opened", "gate.break-glass"
    ]  # fmt: skip
    assert desk.woken == [ask.run]


def test_who_approved_may_break_the_glass_when_nobody_else_comes(desk: Desk) -> None:
    """The vote that stood becomes the marked one."""
    ask = desk.ask(spec=gate_spec(quorum=2))
    desk.decide(ask, "approve", ANN)

    decided = desk.decide(ask, "approve", ANN, break_glass=True, reason="alone at night")

    assert decided.outcome == Verdict.CLOSED
    assert [(vote.person, vote.break_glass) for vote in desk.view(ask.run).votes] == [("U2", True)]


@pytest.mark.parametrize(("kind", "choice"), [("gate", "reject"), ("failed", "skip"), ("manual", "done")])
def test_glass_is_broken_for_approvals_only(desk: Desk, kind: str, choice: str) -> None:
    """Nothing else is forced that way."""
    ask = desk.ask() if kind == "gate" else desk.question(kind)

    assert desk.decide(ask, choice, ANN, break_glass=True, reason="x").outcome == Verdict.UNKNOWN
    assert desk.now(ask).state == "open"


def test_a_second_person_reviews_with_a_note_even_after_the_run(desk: Desk) -> None:
    """Not who broke the glass, not without a word; the run that is over is not woken."""
    ask = desk.ask(desk.run(state="running"))
    desk.decide(ask, "approve", ANN, break_glass=True, reason="the shop is down")
    desk.woken.clear()
    review = desk.view(ask.run).ask("go", "review")
    assert review is not None

    said = [
        desk.decide(review, "reviewed", ANN, reason="fine"),
        desk.decide(review, "reviewed", BEN, holds=NOBODY),
        desk.decide(review, "reviewed", BEN, holds=NOBODY, reason="it was right"),
    ]

    assert [one.outcome for one in said] == [Verdict.DENIED, Verdict.REASON_NEEDED, Verdict.CLOSED]
    assert desk.now(review).reason == "it was right"
    assert desk.woken == []


def test_a_review_outlives_its_run(desk: Desk) -> None:
    """It is the one question that is answered after the end."""
    review = desk.ask(desk.run(state="succeeded"), kind="review", choices=("reviewed",), spec={"not": ANN.id})

    assert desk.decide(review, "reviewed", BEN, reason="it was right").outcome == Verdict.CLOSED


def test_every_broken_glass_is_reviewed(desk: Desk) -> None:
    """Twice at the same step, in two rounds, is two reviews."""
    first = desk.ask()
    desk.decide(first, "approve", ANN, break_glass=True, reason="one")
    second = desk.ask(first.run)
    desk.decide(second, "approve", ANN, break_glass=True, reason="two")

    reviews = [ask for ask in desk.view(first.run).open_asks if ask.kind == "review"]
    assert [review.spec["reason"] for review in reviews] == ["one", "two"]


@pytest.mark.parametrize(
    ("kind", "choice", "reasoned"),
    [
        *[(kind, choice, False) for kind in ("failed", "in_doubt") for choice in ("retry", "rollback")],
        ("failed", "abandon", False),
        ("failed", "skip", True),
        ("in_doubt", "done", True),
        ("cancelled", "rollback", False),
        ("manual", "done", False),
        ("manual", "failed", True),
        ("manual", "cannot", True),
        *[("rollout", choice, False) for choice in QUESTIONS["rollout"]],
    ],
)
def test_one_person_answers_a_question(desk: Desk, kind: str, choice: str, reasoned: bool) -> None:
    """It wakes the run; what would leave a hole in the record needs a reason."""
    ask = desk.question(kind)

    without = desk.decide(ask, choice, ANN, holds=NOBODY)
    decided = desk.decide(ask, choice, ANN, holds=NOBODY, reason="because") if reasoned else without

    assert without.outcome == (Verdict.REASON_NEEDED if reasoned else Verdict.CLOSED)
    assert decided.outcome == Verdict.CLOSED
    assert desk.now(ask).answer == choice
    assert desk.woken == [ask.run]
    assert desk.events()[0].action == f"{kind}.{choice}"


def test_a_manual_step_may_be_for_some_only(desk: Desk) -> None:
    """`who` is asked for as a gate's approvers are; who requested the run may do it."""
    ask = desk.question("manual", spec={"approvers": ["dba"]})

    assert desk.decide(ask, "done", REQUESTER).outcome == Verdict.DENIED
    assert desk.decide(ask, "done", REQUESTER, holds=frozenset({"dba"})).outcome == Verdict.CLOSED


def test_required_evidence_is_required(desk: Desk) -> None:
    """Done needs it; that it failed needs a reason, and no evidence."""
    ask = desk.question("manual", spec={"evidence": "required"})

    assert desk.decide(ask, "done", ANN, evidence=" \n").outcome == Verdict.REASON_NEEDED
    assert desk.decide(ask, "done", ANN, evidence="ticket 7").outcome == Verdict.CLOSED
    assert desk.now(ask).evidence == "ticket 7"
    assert desk.events()[0].details["evidence"] == "ticket 7"


def test_a_manual_step_is_handed_over(desk: Desk) -> None:
    """It stays open, the other person is expected and about to be told, and it is on record."""
    ask = desk.question("manual", spec={"evidence": "optional"})

    nobody = desk.decide(ask, "assign", ANN)
    handed = desk.decide(ask, "assign", ANN, to=CLEO)

    assert (nobody.outcome, handed.outcome) == (Verdict.REASON_NEEDED, Verdict.COUNTED)
    now = desk.now(ask)
    assert (now.state, now.remind_at) == ("open", LATER)
    assert now.spec == {"evidence": "optional", "assignee": {"id": "U4", "name": "Cleo", "by": "Ann"}}
    assert desk.woken == [ask.run]
    assert desk.events()[0].details["to"] == {"id": "U4", "name": "Cleo"}


def test_handing_over_gives_no_right(desk: Desk) -> None:
    """Who is expected to do it still has to be one of those who may."""
    ask = desk.question("manual", spec={"approvers": ["dba"]})
    desk.decide(ask, "assign", ANN, holds=frozenset({"dba"}), to=CLEO)

    assert desk.decide(ask, "done", CLEO, holds=NOBODY).outcome == Verdict.DENIED


def test_what_cannot_be_recorded_is_not_decided(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the audit event can not be written, the vote and the answer are gone with it."""
    ask = desk.ask()

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "append", fail)
    with pytest.raises(OSError, match="full"):
        desk.decide(ask, "approve", ANN)

    assert (desk.now(ask), desk.view(ask.run).votes) == (ask, ())


class Crowd:
    """People who click at the same moment, on two replicas."""

    def __init__(self, desks: tuple[Desk, Desk]) -> None:
        self.desks = desks

    def click(self, ask: AskRow, clicks: list[tuple[str, Person, dict[str, Any]]]) -> list[Decided]:
        barrier = Barrier(len(clicks))

        def one(numbered: tuple[int, tuple[str, Person, dict[str, Any]]]) -> Decided:
            number, (choice, by, changes) = numbered
            barrier.wait(timeout=20)
            return self.desks[number % 2].decide(ask, choice, by, **changes)

        with ThreadPoolExecutor(len(clicks)) as threads:
            return list(threads.map(one, enumerate(clicks)))

    @property
    def woken(self) -> list[str]:
        return [run for desk in self.desks for run in desk.woken]


@pytest.fixture
def crowd(desk: Desk, database_url: str) -> Iterator[Crowd]:
    other = open_database(database_url)
    yield Crowd((desk, Desk(other)))
    other.dispose()


def people(count: int) -> list[Person]:
    return [Person(kind="slack", id=f"U{number + 10}", name=f"P{number}") for number in range(count)]


def test_of_many_who_click_at_once_exactly_as_many_as_needed_decide(desk: Desk, crowd: Crowd) -> None:
    """Quorum two, six people: one counts, one closes, four are late; the run is woken for two."""
    ask = desk.ask(spec=gate_spec(quorum=2))

    said = crowd.click(ask, [("approve", person, {}) for person in people(6)])

    assert sorted(one.outcome for one in said) == ["closed", "counted", "late", "late", "late", "late"]
    assert len(desk.view(ask.run).votes) == 2
    assert crowd.woken == [ask.run, ask.run]
    assert len(desk.events()) == 6


def test_approving_and_rejecting_at_once_is_one_of_the_two(desk: Desk, crowd: Crowd) -> None:
    """Whoever is first decides; the others are late, and told by whom."""
    ask = desk.ask()
    clicks: list[tuple[str, Person, dict[str, Any]]] = [
        (("approve", "reject")[number % 2], person, {"reason": "r"})
        for number, person in enumerate(people(6))
    ]

    said = crowd.click(ask, clicks)

    assert sorted(one.outcome for one in said) == ["closed", *["late"] * 5]
    (winner,) = [n for n, one in enumerate(said) if one.outcome == Verdict.CLOSED]
    assert (desk.now(ask).answer, desk.now(ask).answered_by) == (clicks[winner][0], clicks[winner][1].id)
    assert crowd.woken == [ask.run]


def test_one_person_who_clicks_on_two_replicas_counts_once(desk: Desk, crowd: Crowd) -> None:
    """Quorum two and one impatient person: it stays open."""
    ask = desk.ask(spec=gate_spec(quorum=2))

    said = crowd.click(ask, [("approve", ANN, {})] * 6)

    assert sorted(one.outcome for one in said) == ["counted", *["duplicate"] * 5]
    assert desk.now(ask).state == "open"


def test_two_who_break_the_glass_at_once_make_one_review(desk: Desk, crowd: Crowd) -> None:
    """One passes the gate, and it is that one whom somebody else reviews."""
    ask = desk.ask(spec=gate_spec(quorum=2))

    said = crowd.click(ask, [("approve", p, {"break_glass": True, "reason": "r"}) for p in people(4)])

    assert sorted(one.outcome for one in said) == ["closed", *["late"] * 3]
    (review,) = [one for one in desk.view(ask.run).asks if one.kind == "review"]
    assert review.spec["not"] == desk.now(ask).answered_by


def test_deciding_and_the_clock_at_once_leave_one_answer(desk: Desk, crowd: Crowd) -> None:
    """While the run's owner closes a gate whose time is over, nobody waits for ever, and one of them wins."""
    results = []
    for _ in range(5):
        ask = desk.ask()
        barrier = Barrier(2)
        with ThreadPoolExecutor(1) as threads:
            clock = threads.submit(_close_as_owner, crowd.desks[1].engine, ask, barrier, LATER)
            barrier.wait(timeout=20)
            decided = desk.decide(ask, "approve", ANN)
            results.append((decided.outcome == Verdict.CLOSED, clock.result(timeout=20)))

    assert all(person != clock for person, clock in results)


def _close_as_owner(engine: Engine, ask: AskRow, barrier: Barrier, at: datetime) -> bool:
    barrier.wait(timeout=20)
    with engine.begin() as connection:
        # The fence first, as every write of a run's owner.
        connection.execute(update(runs).where(runs.c.id == ask.run).values(version=2))
        return asks.close_ask(connection, ask.id, answer="expired", at=at) is not None
