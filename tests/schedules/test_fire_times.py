"""When schedules fire: once for each time on the wall, whatever is done to the clock."""

import os
import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.spec.head import Schedule
from runbooks.spec.window import Window
from runbooks.watch.fire_times import Fire, FireTimes, delay, fire_times, moment_of, opening

#: Zones whose clocks are turned in odd ways: at midnight, by half an hour, over a whole day, for Ramadan.
ODD = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/Scoresbysund",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "UTC",
)
EVERY = sorted(available_timezones())
SAMPLE = sorted({*ODD, *random.Random(6).sample(EVERY, 4)})  # `make zones` takes all
ZONES = EVERY if os.environ.get("MAINT_TEST_ZONES") == "all" else SAMPLE
YEAR = 2026


def between(times: FireTimes, since: datetime, until: datetime) -> list[Fire]:
    """Every fire after the first moment, up to the second."""
    return list(takewhile(lambda fire: fire.at <= until, times.after(since)))


def local(text: str, **how: object) -> list[str]:
    """The first six times of such a schedule in the year."""
    schedule = Schedule.model_validate({"on": text, **how})
    found = fire_times(schedule).after(datetime(YEAR, 1, 1, tzinfo=ZoneInfo(schedule.timezone)))
    return [fire.local for fire in islice(found, 6)]


@pytest.mark.parametrize("zone", ZONES)
def test_every_time_of_the_day_comes_once_on_every_day_of_a_year(zone: str) -> None:
    """At each of the 24 hours, and at half past; never twice, never on a wrong day, always in order."""
    here = ZoneInfo(zone)
    first = datetime.combine(date(YEAR, 1, 1), time(), here).astimezone(UTC) - timedelta(seconds=1)
    last = datetime.combine(date(YEAR, 12, 31), time(23, 59), here).astimezone(UTC)
    days = [(date(YEAR, 1, 1) + timedelta(days=n)).isoformat() for n in range(365)]
    for hour in range(24):
        for minute in (0, 30):
            fires = between(FireTimes(cron=f"{minute} {hour} * * *", timezone=zone), first, last)

            assert [fire.local for fire in fires] == [f"{day}T{hour:02}:{minute:02}" for day in days]
            moments = [fire.at for fire in fires]
            assert moments == sorted(set(moments))


def test_what_the_clock_jumps_over_comes_at_the_first_moment_after() -> None:
    """Half past two on the day in spring when there is no such time is three o'clock."""
    times = FireTimes(cron="30 2 * * *", timezone="Europe/Berlin")
    fires = between(times, datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))

    assert [(fire.at.strftime("%d %H:%M"), fire.local) for fire in fires] == [
        ("28 01:30", "2026-03-28T02:30"),
        ("29 01:00", "2026-03-29T02:30"),
        ("30 00:30", "2026-03-30T02:30"),
    ]


def test_of_a_time_that_comes_twice_the_first_counts() -> None:
    """Half past two on the day in autumn when it is that twice."""
    times = FireTimes(cron="30 2 * * *", timezone="Europe/Berlin")
    fires = between(times, datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC))

    assert [fire.at.strftime("%d %H:%M") for fire in fires] == ["24 00:30", "25 00:30", "26 01:30"]


def test_times_that_a_jump_puts_at_one_moment_are_one() -> None:
    """Four times an hour: the hour that is left out comes to one time, not to five."""
    times = FireTimes(cron="*/15 * * * *", timezone="Europe/Berlin")
    fires = between(times, datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 29, 1, 15, tzinfo=UTC))

    assert [fire.local[-5:] for fire in fires] == ["01:45", "02:00", "03:15"]


def test_an_island_may_leave_out_a_whole_day() -> None:
    """Samoa had no 30 December 2011: the day after it is not doubled."""
    times = FireTimes(cron="0 9 * * *", timezone="Pacific/Apia")
    fires = between(times, datetime(2011, 12, 29, 0, tzinfo=UTC), datetime(2012, 1, 1, 0, tzinfo=UTC))

    assert [fire.local for fire in fires] == [
        "2011-12-29T09:00",
        "2011-12-30T09:00",
        "2011-12-31T09:00",
        "2012-01-01T09:00",
    ]
    assert fires[1].at == datetime(2011, 12, 30, 10, tzinfo=UTC)


CRONS = st.builds(
    lambda minute, hour, days: f"{minute} {hour} {days}",
    st.one_of(st.integers(0, 59).map(str), st.sampled_from(["*/7", "*/15", "0,30", "*"])),
    st.one_of(st.integers(0, 23).map(str), st.sampled_from(["*", "0-4", "*/2"])),
    st.sampled_from(["* * *", "* * mon-fri", "1 * *", "* * sun#1", "L * *", "* 3,10 *"]),
)
MOMENTS = st.integers(0, 525_000).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n))


@settings(max_examples=150, deadline=None)
@given(cron=CRONS, zone=st.sampled_from(EVERY), since=MOMENTS, split=st.integers(1, 25))
def test_it_does_not_matter_from_when_one_looks(cron: str, zone: str, since: datetime, split: int) -> None:
    """Two replicas that look from different moments see the same fires, by the same names."""
    times = FireTimes(cron=cron, timezone=zone)
    fires = list(islice(times.after(since), 30))

    assert all(one.at < other.at for one, other in pairwise(fires))
    assert fires[0].at > since
    assert list(islice(times.after(fires[split].at), 30 - split - 1)) == fires[split + 1 :]
    between_two = fires[split - 1].at + (fires[split].at - fires[split - 1].at) / 2
    assert next(times.after(between_two)) == fires[split]


@settings(max_examples=200, deadline=None)
@given(zone=st.sampled_from(EVERY), minutes=st.integers(0, 22_000_000))
def test_a_time_on_the_wall_is_the_first_moment_that_shows_it(zone: str, minutes: int) -> None:
    """Or the first one at which the clock has jumped over it: a second before, it had not come."""
    here, local_time = ZoneInfo(zone), datetime.fromisoformat("1995-01-01") + timedelta(minutes=minutes)
    moment = moment_of(local_time, here)

    def shown(when: datetime) -> datetime:
        return when.astimezone(here).replace(tzinfo=None, fold=0)

    assert shown(moment) >= local_time
    assert shown(moment - timedelta(seconds=1)) < local_time


@settings(max_examples=100, deadline=None)
@given(seconds=st.integers(1, 3_000_000), since=MOMENTS)
def test_intervals_are_counted_alike_by_everybody(seconds: int, since: datetime) -> None:
    """Whole multiples since 1970, from whenever one looks."""
    every = timedelta(seconds=seconds)
    first, second = islice(FireTimes(every=every).after(since), 2)

    assert since < first.at <= since + every
    assert second.at - first.at == every
    assert first.at.timestamp() % seconds == 0
    assert first.local.endswith("Z")


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("first Monday of the month 10:00", "01-05 02-02 03-02 04-06 05-04 06-01"),
        ("2nd Monday 20:00", "01-12 02-09 03-09 04-13 05-11 06-08"),
        ("first Sunday of the quarter 03:00", "01-04 04-05 07-05 10-04"),
        ("daily 02:00", "01-01 01-02 01-03 01-04 01-05 01-06"),
        ("weekdays 9:00", "01-01 01-02 01-05 01-06 01-07 01-08"),
        ("every Monday 10:00", "01-05 01-12 01-19 01-26 02-02 02-09"),
        ("Mondays and Thursdays at 7:30", "01-01 01-05 01-08 01-12 01-15 01-19"),
        ("last Friday of the month 18:00", "01-30 02-27 03-27 04-24 05-29 06-26"),
        ("last day of the month 23:30", "01-31 02-28 03-31 04-30 05-31 06-30"),
        ("15th of the month 8:00", "01-15 02-15 03-15 04-15 05-15 06-15"),
        ("the last Friday of each quarter 18:00", "03-27 06-26 09-25 12-25"),
    ],
)
def test_words_mean_what_they_say(text: str, dates: str) -> None:
    """The forms of the team's own pages, looked up in a calendar of 2026."""
    found = [each for each in local(text) if each.startswith("2026")]

    assert " ".join(each[5:10] for each in found) == dates


def test_chance_is_the_same_for_everybody() -> None:
    """Jitter comes from the fire's name, stays below its limit, and differs from fire to fire."""
    found = {delay(f"schedule:health:0:{n}", timedelta(minutes=5)) for n in range(100)}

    assert len(found) > 50
    assert all(timedelta(0) <= each < timedelta(minutes=5) for each in found)
    assert delay("a", None) == timedelta(0)


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("2026-11-21 12:00", "2026-11-21 21:00", "2026-11-22 05:00"),
        ("2026-11-21 21:00", "2026-11-21 21:00", "2026-11-22 05:00"),
        ("2026-11-22 04:59", "2026-11-21 21:00", "2026-11-22 05:00"),
        ("2026-11-22 05:00", "2026-11-22 21:00", "2026-11-23 05:00"),
        ("2026-11-23 05:00", "2026-11-28 21:00", "2026-11-29 05:00"),
        ("2026-10-25 00:00", "2026-10-24 20:00", "2026-10-25 05:00"),
    ],
)
def test_a_window_opens_and_closes_on_the_wall(now: str, opens: str, closes: str) -> None:
    """Over midnight, and over the end of summer time too, when it is an hour longer."""
    window = Window(on="Sat,Sun 22:00-06:00", timezone="Europe/Berlin")
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert [f"{each:%Y-%m-%d %H:%M}" for each in opening(window, at)] == [opens, closes]
