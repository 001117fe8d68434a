"""Who is on call, on the clocks of a place."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runbooks.watch.fire_times import moment_of
from runbooks.watch.hours import parse_hours
from runbooks.watch.rotations import Override, Rotation, on_call, shifts

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = sorted(available_timezones())


def rotation(**more: object) -> Rotation:
    said = {
        "people": ["UANN", "UBOB", "UCAT"],
        "hand_over": "Monday 09:00",
        "timezone": "Europe/Berlin",
        "since": "2026-03-02",
    }
    return Rotation.model_validate(said | more)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("at", "person"),
    [
        ("2026-03-02 09:00", "UANN"),
        ("2026-03-02 08:59", "UCAT"),  # the week before
        ("2026-03-09 08:59", "UANN"),
        ("2026-03-09 09:00", "UBOB"),
        ("2026-03-30 08:59", "UANN"),  # the week in which the clocks go forward
        ("2026-03-30 09:00", "UBOB"),
        ("2026-10-26 08:59", "UANN"),
        ("2026-10-26 09:00", "UBOB"),
    ],
)
def test_hand_overs_go_by_the_clock_on_the_wall(at: str, person: str) -> None:
    """Nine in the morning is nine in the morning, in winter and in summer."""
    assert on_call(rotation(), berlin(at)).person == person


def test_an_override_has_its_begin_and_its_end() -> None:
    """Somebody stands in for two days, and whose turn it is comes back."""
    stand_in = Override(
        person="UDAN", since=berlin("2026-03-04 09:00"), until=berlin("2026-03-06 18:00"), by="ann"
    )
    found = list(shifts(rotation(), berlin("2026-03-03 12:00"), [stand_in], count=4))

    assert [shift.person for shift in found] == ["UANN", "UDAN", "UANN", "UBOB"]
    assert [shift.until.astimezone(BERLIN).strftime("%d %H:%M") for shift in found] == [
        "04 09:00", "06 18:00", "09 09:00", "16 09:00",
    ]  # fmt: skip
    assert (found[1].instead_of, found[1].by) == ("UANN", "ann")


def test_the_later_override_counts_and_those_of_maint_yaml_come_first() -> None:
    """What somebody says now is newer than what stands in a file."""
    with_file = rotation(
        overrides=[{"person": "UEVE", "since": "2026-03-03 00:00", "until": "2026-03-08 00:00"}]
    )
    said = Override(person="UDAN", since=berlin("2026-03-04 00:00"), until=berlin("2026-03-05 00:00"))

    assert on_call(with_file, berlin("2026-03-03 12:00")).person == "UEVE"
    assert on_call(with_file, berlin("2026-03-04 12:00"), [said]).person == "UDAN"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"people": []}, "people"),
        ({"people": ["sre"]}, "a rotation is of people"),
        ({"hand_over": "Someday 09:00"}, "is no day"),
        ({"hand_over": "Monday 9"}, "is no time of day"),
        ({"timezone": "Europe/Berlni"}, "Europe/Berlin"),
        ({"since": "2026-03-03"}, "is a Tuesday"),
        (
            {"overrides": [{"person": "UX", "since": "2026-03-03 00:00", "until": "2026-03-03 00:00"}]},
            "until",
        ),
        ({"overrides": [{"person": "UX", "since": "tomorrow", "until": "later"}]}, "a time looks like"),
    ],
)
def test_a_rotation_that_cannot_be_is_refused(more: dict[str, object], said: str) -> None:
    """With words that say what is wrong."""
    with pytest.raises(ValidationError, match=said):
        rotation(**more)


@given(
    zone=st.sampled_from(ZONES),
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    day=st.sampled_from(["Sunday 00:30", "Sunday 02:30", "mon 0:00", "Friday 18:00"]),
)
def test_at_every_moment_exactly_one_is_on_call(zone: str, at: datetime, day: str) -> None:
    """In every time zone: the shift holds the moment, and the next one begins where it ends."""
    turns = Rotation.model_validate({"people": ["UA", "UB"], "hand_over": day, "timezone": zone})
    now, then = shifts(turns, at, count=2)

    assert now.since <= at < now.until == then.since
    assert {now.person, then.person} == {"UA", "UB"}


@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2025, 1, 1), date(2026, 12, 31)),
    minute=st.integers(0, 1439),
)
def test_a_local_time_is_the_first_moment_that_is_not_before_it(zone: str, day: date, minute: int) -> None:
    """What the clocks skip is the end of the gap; of what they show twice, the first."""
    info, clock = ZoneInfo(zone), time(minute // 60, minute % 60)
    wall = datetime.combine(day, clock)
    found = moment_of(wall, info)

    assert found.astimezone(info).replace(tzinfo=None) >= wall
    before = found - timedelta(seconds=1)
    assert before.astimezone(info).replace(tzinfo=None) < wall


@pytest.mark.parametrize(
    ("hours", "at", "inside"),
    [
        ("Mon-Fri 09:00-18:00", "2026-11-20 09:00", True),
        ("Mon-Fri 09:00-18:00", "2026-11-20 18:00", False),
        ("Mon-Fri 09:00-18:00", "2026-11-21 12:00", False),
        ("Sat,Sun 00:00-24:00", "2026-11-22 23:59", True),
        ("Fri-Mon 22:00-6:00", "2026-11-24 05:59", True),  # Monday's night
        ("Fri-Mon 22:00-6:00", "2026-11-24 06:00", False),
    ],
)
def test_hours_are_a_part_of_the_week(hours: str, at: str, inside: bool) -> None:
    """Nights belong to the day on which they begin."""
    assert parse_hours(hours).hold(berlin(at), BERLIN) is inside


@given(st.text(max_size=30))
def test_any_text_is_hours_or_is_refused(text: str) -> None:
    """Nothing else is raised."""
    with suppress(ValueError):
        parse_hours(text)
