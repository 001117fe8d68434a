"""Which backups go: for any history and any clock, never what must not."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbooks.backups.backup import Backup
from runbooks.backups.retention import Keep, decide
from tests.backups.making import NOON, make_backup

DAY = timedelta(days=1)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
KEEPS = st.builds(
    Keep,
    daily=st.integers(0, 9),
    weekly=st.integers(0, 5),
    monthly=st.integers(0, 13),
    yearly=st.integers(0, 8),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Backup]:
    """Backups at any moments, of two kinds, some proven, restored, held or removed."""
    near = st.integers(0, 4000).map(lambda hours: NOON + timedelta(hours=hours))
    moments = draw(st.lists(MOMENTS | near, max_size=40))
    maybe = st.none() | MOMENTS
    return [
        make_backup(
            f"b{number}",
            taken_at=moment,
            kind=draw(st.sampled_from(["full", "schema"])),
            proven_at=draw(maybe),
            restored_at=draw(maybe),
            hold=draw(st.sampled_from(["", "", "", "a lawsuit"])),
            removed_at=draw(st.none() | st.none() | MOMENTS),
        )
        for number, moment in enumerate(moments)
    ]


def gone(history: Sequence[Backup], keep: Keep, now: datetime) -> set[str]:
    """The ids of those that would go."""
    return {each.backup.id for each in decide(history, keep, now) if each.goes}


def kept_days(history: Sequence[Backup], keep: Keep, now: datetime) -> list[str]:
    """The days of those that stay, newest first."""
    return [f"{each.backup.taken_at:%m-%d}" for each in decide(history, keep, now) if not each.goes]


@given(histories(), KEEPS, MOMENTS)
def test_what_must_stay_stays(history: list[Backup], keep: Keep, now: datetime) -> None:
    """The newest, the last that was proven or restored, and what is on hold: whatever the numbers say."""
    removed = gone(history, keep, now)
    for kind in ("full", "schema"):
        there = [each for each in history if each.removed_at is None and each.kind == kind]
        if not there:
            continue
        assert max(there, key=lambda each: (each.taken_at, each.id)).id not in removed
        assert any(each.id not in removed for each in there)
        for field in ("proven_at", "restored_at"):
            marked = [getattr(each, field) for each in there if getattr(each, field)]
            if marked:
                assert any(getattr(each, field) == max(marked) and each.id not in removed for each in there)
        assert not {each.id for each in there if each.hold} & removed
        assert not {each.id for each in there if each.taken_at > now} & removed


@given(histories(), KEEPS, MOMENTS, MOMENTS)
def test_a_clock_that_jumps_deletes_nothing(
    history: list[Backup], keep: Keep, one: datetime, other: datetime
) -> None:
    """What goes at an earlier time by the clock goes at a later one; and once all backups are in the past,
    the clock changes nothing at all."""
    early, late = sorted([one, other])
    newest = max((each.taken_at for each in history), default=early)

    assert gone(history, keep, early) <= gone(history, keep, late)
    assert gone(history, keep, newest) == gone(history, keep, newest + 10000 * DAY)


@given(histories(), KEEPS, MOMENTS)
def test_removing_what_goes_lets_nothing_more_go(history: list[Backup], keep: Keep, now: datetime) -> None:
    """Who prunes twice prunes once."""
    removed = gone(history, keep, now)
    left = [each for each in history if each.id not in removed]

    assert gone(left, keep, now) == set()


@given(histories(), KEEPS, MOMENTS)
def test_what_was_removed_before_is_not_known(history: list[Backup], keep: Keep, now: datetime) -> None:
    """Decided is about what is there, each once; and more of every tier never removes more."""
    decided = [each.backup.id for each in decide(history, keep, now)]
    more = Keep(
        daily=keep.daily + 1, weekly=keep.weekly + 1, monthly=keep.monthly + 1, yearly=keep.yearly + 1
    )

    assert sorted(decided) == sorted(each.id for each in history if each.removed_at is None)
    assert gone(history, more, now) <= gone(history, keep, now)


@given(histories(), KEEPS, MOMENTS)
def test_a_tier_has_its_number(history: list[Backup], keep: Keep, now: datetime) -> None:
    """As many days as are wanted, or as there are, have their newest backup."""
    removed = gone(history, keep, now)
    there = [e for e in history if e.removed_at is None and e.kind == "full" and e.taken_at <= now]
    days = sorted({each.taken_at.date() for each in there}, reverse=True)[: keep.daily]
    for day in days:
        newest = max((e for e in there if e.taken_at.date() == day), key=lambda e: (e.taken_at, e.id))
        assert newest.id not in removed


def test_a_year_of_daily_backups_leaves_the_four_tiers() -> None:
    """7 days, 4 weeks, 12 months, and the years: each reason is said."""
    history = [make_backup(f"b{n:03}", taken_at=NOON - n * DAY) for n in range(400)]
    decided = decide(history, Keep(), NOON)
    kept = {each.backup.id: each.reasons for each in decided if not each.goes}

    assert kept_days(history, Keep(), NOON)[:9] == [
        *("03-01", "02-28", "02-27", "02-26", "02-25", "02-24", "02-23"),
        *("02-22", "02-15"),
    ]
    assert kept["b000"] == ("the newest", "daily 1 of 7", "weekly 1 of 4", "monthly 1 of 12", "yearly 1 of 7")
    assert kept["b007"] == ("weekly 2 of 4",)
    assert len(kept) == 7 + 3 + 10  # the months begin with two that are among the days already


def test_nothing_wanted_leaves_the_newest() -> None:
    """Zero of everything is no way to lose all."""
    history = [make_backup(f"b{n}", taken_at=NOON - n * DAY) for n in range(5)]

    assert gone(history, Keep(daily=0, weekly=0, monthly=0, yearly=0), NOON) == {"b1", "b2", "b3", "b4"}


def test_a_backup_of_the_future_takes_nobodys_place() -> None:
    """One that was taken while the clock was wrong is kept, and counts for no tier."""
    history = [make_backup(f"b{n}", taken_at=NOON - n * DAY) for n in range(8)]
    odd = make_backup("odd", taken_at=NOON + 4000 * DAY)

    assert gone([*history, odd], Keep(weekly=0, monthly=0, yearly=0), NOON) == gone(
        history, Keep(weekly=0, monthly=0, yearly=0), NOON
    )


def test_kinds_and_databases_are_judged_apart() -> None:
    """A schema of today does not push out the full backup of yesterday."""
    keep = Keep(daily=1, weekly=0, monthly=0, yearly=0)
    full = make_backup("full", taken_at=NOON - DAY)
    others = [make_backup("schema", kind="schema"), make_backup("users", database="users")]

    assert gone([full, *others], keep, NOON) == set()
