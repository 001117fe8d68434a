"""Old beginnings of the log go, and names; the chain holds, and nothing else ever goes."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from runbooks.errors import UsageError
from runbooks.proof.signing import PublicKey, SigningKey, make_key
from runbooks.records import audit, checkpoints, retention
from runbooks.records.audit import Filter, newest
from runbooks.records.database import open_database, reading
from runbooks.records.migrate import migrate
from runbooks.records.misfit import How
from runbooks.records.person import Person
from runbooks.records.verify import verify
from tests.records.conftest import NOON, make_event
from tests.records.run_rows import add_run
from tests.records.tampering import anchor, as_owner, fill, rows

KEY = SigningKey(make_key())
KEYS = (PublicKey(key=KEY.public),)
ADMIN = Person(kind="slack", id="U9", name="Root", team="T1")
KEEP = timedelta(days=60)
DAY = timedelta(days=1)


def begin(engine: Engine, now_days: float) -> int:
    """Signs off what is too old on that day; up to which event."""
    with engine.begin() as connection:
        made = retention.begin_removal(connection, KEY, KEYS, KEEP, NOON + now_days * DAY, ADMIN)
    return made.seq if made else 0


def sweep(engine: Engine, limit: int = 4) -> int:
    """Removes all of it; how many went."""
    total = 0
    while True:
        with engine.begin() as connection:
            count = retention.remove_batch(connection, limit)
        if not count:
            return total
        total += count


def three_days(engine: Engine) -> None:
    """Six events and an anchor on each of three days: the anchors tell of the events 6, 13 and 20."""
    for day in range(3):
        fill(engine, 6, begin=NOON + day * DAY)
        anchor(engine, KEY, NOON + (day + 0.5) * DAY)


def test_what_is_older_goes_up_to_an_anchor_and_the_rest_fits(engine: Engine) -> None:
    """A signed checkpoint stands in its place, and an event says what went."""
    three_days(engine)

    assert begin(engine, 61.8) == 13
    assert sweep(engine) == 13

    with reading(engine) as connection:
        left = rows(connection)
        (told,) = newest(connection, Filter(action="audit.pruned"))
        index = connection.scalars(text("SELECT min(seq) FROM audit_targets")).one()
    assert [row["seq"] for row in left] == list(range(14, 23))
    assert index >= 14
    assert (told.event.details["first"], told.event.details["last"], told.event.details["count"]) == (
        1,
        13,
        13,
    )
    found = verify(engine, keys=KEYS)
    assert found.fits
    assert (found.first, found.removed_up_to) == (14, 13)


def test_what_is_young_or_after_the_newest_old_anchor_stays(engine: Engine) -> None:
    """Nothing goes that no anchor ends."""
    three_days(engine)

    assert begin(engine, 60.4) == 0
    assert sweep(engine) == 0
    assert verify(engine, keys=KEYS).first == 1


def test_a_second_removal_follows_the_first(engine: Engine) -> None:
    """And counts from there."""
    three_days(engine)
    assert begin(engine, 60.8) == 6
    sweep(engine)
    assert begin(engine, 60.8) == 0  # done
    assert begin(engine, 62.8) == 20
    sweep(engine)

    found = verify(engine, keys=KEYS)

    assert found.fits
    assert (found.first, found.removed_up_to) == (21, 20)


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_removal_that_was_interrupted_fits_and_goes_on(engine: Engine, batches: int) -> None:
    """Whatever is left of the old ones is one piece."""
    three_days(engine)
    begin(engine, 61.8)
    for _ in range(batches):
        with engine.begin() as connection:
            retention.remove_batch(connection, 4)

    found = verify(engine, keys=KEYS)

    assert found.fits
    assert found.first == 4 * batches + 1
    sweep(engine)
    assert verify(engine, keys=KEYS).first == 14


def test_a_hold_stops_every_removal(engine: Engine) -> None:
    """To begin one, to go on with one, and by hand."""
    three_days(engine)
    begin(engine, 60.8)
    with engine.begin() as connection:
        assert retention.hold(connection, True, ADMIN, "the case of May", NOON)
        assert not retention.hold(connection, True, ADMIN, "again", NOON)

    with pytest.raises(UsageError, match="held, and nothing is removed"):
        begin(engine, 61.8)
    assert sweep(engine) == 0
    with pytest.raises(DBAPIError, match="never changed or removed"), engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_events WHERE seq = 1"))
    with reading(engine) as connection:
        assert "the case of May" in retention.held(connection)
        outcomes = [each.event.outcome for each in newest(connection, Filter(action="audit.hold"))]
    assert outcomes == ["late", "ok"]

    with engine.begin() as connection:
        assert retention.hold(connection, False, ADMIN, "it is over", NOON)
    assert sweep(engine) == 6


def test_young_events_do_not_go_whatever_a_checkpoint_says(engine: Engine) -> None:
    """Who has Maint's login can write a checkpoint: the database keeps a month of events all the same."""
    with engine.begin() as connection:
        audit.append(connection, *(make_event() for _ in range(5)))
    with engine.begin() as connection:
        head = connection.execute(text("SELECT seq, hash FROM audit_events ORDER BY seq DESC")).first()
        assert head is not None
        forged = checkpoints.follow(connection, "prune", head.seq, head.hash, NOON).signed(KEY)  # type: ignore[arg-type]
        checkpoints.add(connection, forged, "forged")

    with pytest.raises(DBAPIError, match="never changed or removed"):
        sweep(engine)
    assert len(list_of(engine)) == 5


def list_of(engine: Engine) -> list[int]:
    """The events that there are."""
    with reading(engine) as connection:
        return [row["seq"] for row in rows(connection)]


def test_a_forged_removal_is_found(engine: Engine) -> None:
    """Signed by somebody else, it lets old events go, and does not stand."""
    three_days(engine)
    thief = SigningKey(make_key())
    with engine.begin() as connection:
        row = rows(connection)[9]
        forged = checkpoints.follow(connection, "prune", 10, row["hash"], NOON).signed(thief)  # type: ignore[arg-type]
        checkpoints.add(connection, forged, "forged")
    sweep(engine)

    found = verify(engine, keys=KEYS)

    assert found.misfits[0].how == How.CHECKPOINT
    assert "none of the trusted ones" in found.misfits[0].text


def test_a_wrong_removal_is_found_although_it_is_signed(engine: Engine) -> None:
    """What follows must follow what was signed."""
    three_days(engine)
    with engine.begin() as connection:
        row = rows(connection)[4]
        wrong = checkpoints.follow(connection, "prune", 6, row["hash"], NOON).signed(KEY)  # type: ignore[arg-type]
        checkpoints.add(connection, wrong, "wrong")
    sweep(engine)

    assert not verify(engine, keys=KEYS).fits


def test_more_than_was_signed_off_does_not_go_unseen(engine: Engine) -> None:
    """One event too many."""
    three_days(engine)
    begin(engine, 60.8)
    sweep(engine)
    with as_owner(engine) as connection:
        connection.execute(text("DELETE FROM audit_events WHERE seq = 7"))

    found = verify(engine, keys=KEYS)

    assert (found.misfits[0].seq, found.misfits[0].how) == (7, How.REMOVED)


def test_an_event_that_is_not_the_anchored_one_is_not_signed_off(engine: Engine) -> None:
    """A log that was tampered with is not shortened: the traces would go."""
    three_days(engine)
    with as_owner(engine) as connection:
        connection.execute(text("UPDATE audit_events SET hash = prev WHERE seq = 13"))

    with pytest.raises(UsageError, match="not the one that was anchored"):
        begin(engine, 61.8)


def test_names_go_with_the_last_event_that_has_them(engine: Engine) -> None:
    """Nothing personal stays that no event needs."""
    with engine.begin() as connection:
        audit.append(connection, make_event(actor_id="U7", actor_name="Gone", at=NOON))
    three_days(engine)
    begin(engine, 60.8)
    sweep(engine)

    with reading(engine) as connection:
        names = set(connection.scalars(text("SELECT name FROM audit_names")))
    assert names == {"Ada", "Böb", "Maint", "Root"}
    assert verify(engine, keys=KEYS).fits


def test_a_forgotten_name_is_gone_and_the_chain_holds(engine: Engine) -> None:
    """From the log and from runs; and the event that tells of it does not tell the name."""
    fill(engine)
    with engine.begin() as connection:
        add_run(connection, requester_id="U1", requester_name="Ada")
    with engine.begin() as connection:
        assert retention.people_called(connection, "Ada") == ("U1",)
        assert retention.forget(connection, "U1", ADMIN, "asked for it", NOON + DAY) == 1

    with reading(engine) as connection:
        events = newest(connection)
        run = connection.scalars(text("SELECT requester_name FROM runs")).one()
        names = [each.event.actor_name for each in events if each.event.actor_id == "U1"]
        (told,) = newest(connection, Filter(action="audit.forgotten"))
        everything = str([connection.execute(text(f"SELECT * FROM {table}")).all() for table in ("audit_events", "audit_names", "runs")])  # fmt: skip  # noqa: E501
    assert set(names) == {run}
    assert run.startswith("person-")
    assert told.event.object == "U1"
    assert "Ada" not in everything
    assert verify(engine, keys=KEYS).fits


def test_a_person_who_comes_back_has_a_name_again(engine: Engine) -> None:
    """What is forgotten is what was, not what comes."""
    fill(engine)
    with engine.begin() as connection:
        retention.forget(connection, "U1", ADMIN, "asked for it", NOON + DAY)
    with engine.begin() as connection:
        audit.append(connection, make_event(actor_id="U1", actor_name="Ada"))

    with reading(engine) as connection:
        assert newest(connection)[0].event.actor_name == "Ada"
    assert verify(engine, keys=KEYS).fits


def test_nobody_to_forget_is_an_event_too(engine: Engine) -> None:
    """That somebody asked stays."""
    with engine.begin() as connection:
        assert retention.forget(connection, "U404", ADMIN, "why", NOON) == 0
    with reading(engine) as connection:
        assert newest(connection)[0].event.outcome == "invalid"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    days=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=6),
    looks=st.lists(st.integers(30, 70), max_size=3).map(sorted),
)
def test_whatever_was_kept_and_removed_what_is_left_fits(
    tmp_path_factory: pytest.TempPathFactory, days: list[tuple[int, bool]], looks: list[int]
) -> None:
    """Days with and without events and anchors; removals whenever: a suffix is left, and it is whole."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('kept')}/maint.db")
    migrate(engine)
    try:
        for day, (count, anchored) in enumerate(days):
            fill(engine, count, begin=NOON + day * DAY)
            with engine.begin() as connection:
                if anchored:
                    checkpoints.add_anchor(connection, KEY, NOON + (day + 0.5) * DAY, f"day {day}")
        for look in looks:
            before = list_of(engine)
            upto = begin(engine, look)
            sweep(engine, 3)
            with reading(engine) as connection:
                left = rows(connection)
            assert [row["seq"] for row in left][: len(before)] == [seq for seq in before if seq > upto] + [
                row["seq"] for row in left if row["seq"] > max(before, default=0)
            ]
            assert all(row["at"] > NOON + (look - 61) * DAY for row in left if row["seq"] <= upto)
        assert verify(engine, keys=KEYS).fits
    finally:
        engine.dispose()
