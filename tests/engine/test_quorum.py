"""Whatever people do, and in whatever order: no gate is approved but by enough of those who may."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runbooks.engine.decided import Verdict
from runbooks.engine.decisions import decide, permitted
from runbooks.records import asks
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from runbooks.records.person import Person
from runbooks.records.runs import AskRow
from tests.records.run_rows import NOON, REQUESTER, add_ask, add_run, gate_spec

#: Who is what. Rita asked for the run.
ROLES = {
    "U1": {"sre"},
    "U2": {"sre"},
    "U3": {"sre", "oncall"},
    "U4": {"dba"},
    "U5": {"oncall"},
    "U6": set[str](),
}
PEOPLE = st.sampled_from([Person(kind="slack", id=person, name=person) for person in ROLES])
#: Minutes after noon at which the gate expires.
EXPIRES = 60


class Gate(RuleBasedStateMachine):
    """A gate, and a model of it: who may at this moment has approved, or has not."""

    folder: TemporaryDirectory[str]

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.engine = open_database(f"sqlite:///{Path(self.folder.name)}/maint.db")
        migrate(self.engine)
        self.minutes = 0.0
        self.approved: set[str] = set()
        self.rejected = False
        self.glass_broken = False
        self.woken = 0

    def teardown(self) -> None:
        self.engine.dispose()
        self.folder.cleanup()

    @initialize(quorum=st.integers(1, 3), own=st.booleans())
    def open(self, quorum: int, own: bool) -> None:
        self.quorum, self.own = quorum, own
        self.spec = gate_spec(
            approvers=["sre", "dba"], then="oncall", quorum=quorum, requester_may_approve=own
        )
        with self.engine.begin() as connection:
            self.run = add_run(connection)
        self._open()

    def _open(self) -> None:
        now = NOON + timedelta(minutes=self.minutes)
        deadline = now + timedelta(minutes=EXPIRES)
        with self.engine.begin() as connection:
            self.ask = add_ask(connection, self.run, spec=self.spec, remind_at=now, deadline=deadline)

    @property
    def now_ask(self) -> AskRow:
        with self.engine.begin() as connection:
            taken = asks.take(connection, self.ask.id)
            assert taken is not None
            return taken[1]

    def _decide(self, by: Person, choice: str, break_glass: bool = False, reason: str = "because") -> Verdict:
        before = self.now_ask
        with self.engine.begin() as connection:
            decided = decide(
                connection,
                ask_id=self.ask.id,
                choice=choice,
                by=by,
                holds=frozenset(ROLES[by.id].intersection(permitted(before))),
                reason=reason,
                break_glass=break_glass,
                now=NOON + timedelta(minutes=self.minutes),
                wake=self._wake,
            )
        self.may = bool(ROLES[by.id].intersection(permitted(before)))
        self.in_time = before.state == "open" and before.deadline is not None and (
            NOON + timedelta(minutes=self.minutes) < before.deadline
        )  # fmt: skip
        return decided.outcome

    def _wake(self, _: object, run: str) -> None:
        assert run == self.run
        self.woken += 1

    @rule(by=PEOPLE)
    def approve(self, by: Person) -> None:
        verdict = self._decide(by, "approve")
        own = by.id == REQUESTER.id and not self.own
        new = by.id not in self.approved
        counts = self.may and self.in_time and not own and new
        assert (verdict in (Verdict.COUNTED, Verdict.CLOSED)) == counts
        if counts:
            self.approved.add(by.id)
            assert (verdict == Verdict.CLOSED) == (len(self.approved) >= self.quorum)

    @rule(by=PEOPLE, reason=st.sampled_from(["", " ", "because"]))
    def reject(self, by: Person, reason: str) -> None:
        verdict = self._decide(by, "reject", reason=reason)
        assert (verdict == Verdict.CLOSED) == (self.may and self.in_time and bool(reason.strip()))
        self.rejected = self.rejected or verdict == Verdict.CLOSED

    @rule(by=PEOPLE)
    def smash(self, by: Person) -> None:
        verdict = self._decide(by, "approve", break_glass=True)
        assert (verdict == Verdict.CLOSED) == self.in_time
        self.glass_broken = self.glass_broken or verdict == Verdict.CLOSED

    @rule(minutes=st.floats(0, 25))
    def pass_time(self, minutes: float) -> None:
        self.minutes += minutes

    @rule(last=st.booleans())
    def remind(self, last: bool) -> None:
        ask = self.now_ask
        with self.engine.begin() as connection:
            asks.reminded(connection, ask, None if last else NOON + timedelta(minutes=self.minutes))

    @rule()
    def expire(self) -> None:
        ask, now = self.now_ask, NOON + timedelta(minutes=self.minutes)
        if ask.deadline is not None and now >= ask.deadline:
            with self.engine.begin() as connection:
                asks.close_ask(connection, ask.id, answer="expired", at=now)

    @precondition(lambda self: not self.rejected)
    @rule()
    def change_the_plan(self) -> None:
        with self.engine.begin() as connection:
            asks.void(connection, self.ask.id, "changed", NOON + timedelta(minutes=self.minutes))
        self._open()
        self.approved.clear()
        self.glass_broken = False
        self.woken = 0

    @invariant()
    def nothing_but_enough_people_approved_it(self) -> None:
        ask = self.now_ask
        if ask.answer == "approve":
            assert ask.state == "closed"
            assert len(self.approved) >= self.quorum or self.glass_broken
        assert (ask.answer == "reject") == self.rejected

    @invariant()
    def the_run_is_woken_for_all_that_counts_and_nothing_else(self) -> None:
        assert self.woken == len(self.approved) + (self.rejected or self.glass_broken)


Gate.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestGate = Gate.TestCase
