"""What holds of alerts and ladders in whatever order things happen: replicas, restarts, people, late news."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select

from runbooks.records.alerts import Alert, Severity, by_id
from runbooks.records.audit import Filter
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.watch_tables import alert_changes, alerts, ladders, notices
from runbooks.watch.alerts import Alerts, Missing, Waking
from runbooks.watch.climbing import Climber, Setup
from runbooks.watch.damping import Damping
from runbooks.watch.following import Escalating
from runbooks.watch.from_checks import FromChecks
from runbooks.watch.sentry import Sentry
from runbooks.watch.settle import Setting
from runbooks.watch.signal import Seen, Signal
from tests.watch.climbing_world import router

T = TypeVar("T")
START = datetime(2026, 11, 22, 9, tzinfo=UTC)
MAINT = Person(kind="maint", id="m", name="Maint")
KIM = Person(kind="slack", id="U1", name="Kim")
PRINTS = ("a" * 64, "b" * 64, "c" * 64)
#: Three levels, told twice.
SAID = {
    "policies": {
        "all": {
            "levels": [{"who": "UANN"}, {"who": "UBOB", "after": "4m"}, {"who": "UCAT", "after": "20m"}],
            "repeat": 1,
            "every": "30m",
        }
    },
    "routes": [{"severity": ["critical", "warning", "info"], "policy": "all"}],
}
LADDER = [(round_, level) for round_ in (1, 2) for level in (1, 2, 3)]
SETUP = Setup(router=router(SAID), rotations={}, services={})


class Lives(RuleBasedStateMachine):
    """Three troubles, seen by two replicas that may be started anew at any moment."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        engine = open_database(url)
        with engine.begin() as connection:
            for table in (alert_changes, ladders, notices, alerts):
                connection.execute(delete(table))
        engine.dispose()
        self.now = START
        self.loop = asyncio.new_event_loop()
        self.replicas = [self.boot(), self.boot()]

    def teardown(self) -> None:
        for records, *_ in self.replicas:
            self.do(records.close())
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def boot(self) -> tuple[Records, Alerts, Sentry]:
        records = Records(open_database(self.url))
        setting = Setting(route=lambda _: "ops", by=MAINT, followers=(Escalating(),), most_cards=2)
        made = Alerts(records, FromChecks({}), setting, lambda: self.now)
        duties = [each(records, setting, made.told) for each in (Waking, Missing)]
        sentry = Sentry(records, [*duties, Climber(records, SETUP, MAINT)], lambda: self.now)
        return records, made, sentry

    @rule(which=st.sampled_from([0, 1]))
    def restart(self, which: int) -> None:
        self.do(self.replicas[which][0].close())
        self.replicas[which] = self.boot()

    @rule(
        which=st.sampled_from([0, 1]),
        prints=st.lists(st.sampled_from(PRINTS), min_size=1, max_size=4),
        seen=st.sampled_from(list(Seen)),
        severity=st.sampled_from(list(Severity)),
        late=st.sampled_from([0, 0, 0, 30, 400]),
        wait=st.sampled_from([0, 0, 5]),
        clear=st.sampled_from([0, 0, 7]),
        external=st.booleans(),
        expected=st.sampled_from([None, None, 10, 200]),
    )
    def see(
        self,
        which: int,
        prints: list[str],
        seen: Seen,
        severity: Severity,
        late: int,
        wait: int,
        clear: int,
        external: bool,
        expected: int | None,
    ) -> None:
        at = self.now - timedelta(seconds=late)
        signals = [
            Signal(
                fingerprint=mark,
                source="hook" if external else "check",
                seen=seen,
                at=at,
                severity=severity,
                title=f"trouble {mark[0]}",
                key=at.isoformat() if external else "",
                expected_by=None if expected is None else at + timedelta(minutes=expected),
                damping=Damping(wait=timedelta(minutes=wait), clear=timedelta(minutes=clear), changes=4),
            )
            for mark in prints
        ]
        records, made, _ = self.replicas[which]
        self.do(records.write(lambda connection: made.ingest(connection, signals)))

    @rule(seconds=st.sampled_from([1, 60, 240, 1300, 9000]), which=st.sampled_from([0, 1]))
    def pass_time(self, seconds: int, which: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.do(self.replicas[which][2].look())

    @rule(
        which=st.sampled_from([0, 1]),
        number=st.integers(0, 9),
        deed=st.sampled_from(["ack", "snooze", "resolve"]),
    )
    def decide(self, which: int, number: int, deed: str) -> None:
        ids = [alert.id for alert in self.rows()]
        if not ids:
            return
        made, id_ = self.replicas[which][1], ids[number % len(ids)]
        match deed:
            case "ack":
                self.do(made.acknowledge(id_, KIM))
            case "snooze":
                self.do(made.snooze(id_, self.now + timedelta(minutes=30), KIM))
            case _:
                self.do(made.resolve(id_, KIM, "seen to"))

    def rows(self) -> list[Alert]:
        # Ids are by chance: what is tried again must find the same alert in the same place.
        order = (alerts.c.fingerprint, alerts.c.opened_at, alerts.c.last_at, alerts.c.count)

        def read(connection: Any) -> list[Alert]:
            found = connection.scalars(select(alerts.c.id).order_by(*order)).all()
            return [alert for id_ in found if (alert := by_id(connection, id_)) is not None]

        return self.do(self.replicas[0][0].read(read))

    @invariant()
    def at_most_one_is_open(self) -> None:
        """Of each fingerprint, one that is pending included."""
        counts = Counter(alert.fingerprint for alert in self.rows() if alert.is_open)

        assert all(count == 1 for count in counts.values()), counts

    @invariant()
    def every_firing_has_one_end(self) -> None:
        """Beginnings and ends take turns, and the last one says whether the alert is open."""
        query = select(alert_changes).order_by(alert_changes.c.alert)
        changes = self.do(self.replicas[0][0].read(lambda connection: connection.execute(query).all()))
        begun = Counter(row.alert for row in changes if row.what in ("opened", "reopened"))
        ended = Counter(row.alert for row in changes if row.what == "resolved")
        opened = Counter(row.alert for row in changes if row.what == "opened")
        for alert in self.rows():
            told = alert.status != "pending" and begun[alert.id]
            assert begun[alert.id] - ended[alert.id] == (1 if alert.is_open and told else 0), alert
            assert opened[alert.id] <= 1

    @invariant()
    def no_level_is_skipped_or_repeated(self) -> None:
        """In each climb from the bottom, the levels that were told are the first so many, each once."""
        there = {alert.id for alert in self.rows()}
        events = self.do(self.replicas[0][0].events(Filter(action="alert.escalated"), limit=500))
        told: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for each in reversed(events):
            event = each.event
            if event.object in there:
                turn, round_, level = (int(event.details[name]) for name in ("turn", "round", "level"))
                told.setdefault((event.object, turn), []).append((round_, level))
        for levels in told.values():
            assert levels == LADDER[: len(levels)], told
        for alert in self.rows():
            turns = [turn for id_, turn in told if id_ == alert.id]
            assert turns == sorted(turns)

    @invariant()
    def what_is_stale_is_open(self) -> None:
        """And nobody expects another look at it before there was one."""
        for alert in self.rows():
            assert not alert.stale or (alert.is_open and alert.expected_by is None), alert

    @invariant()
    def who_sleeps_wakes(self) -> None:
        """A snoozed alert has a moment at which it wakes, and no other has one."""
        for alert in self.rows():
            assert (alert.status == "snoozed") == (alert.wake_at is not None), alert


@pytest.mark.timeout(300)
def test_what_holds_in_whatever_order_things_happen(database_url: str) -> None:
    """At most one open alert of each trouble; one end of each firing; no level skipped or repeated."""
    engine = open_database(database_url)
    migrate(engine)
    engine.dispose()
    # A server that is asked over a socket takes longer than a file.
    examples = 40 if database_url.startswith("sqlite") else 20
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Lives(database_url),
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
