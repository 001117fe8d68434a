"""Who is on call: people who take turns week by week, and who stands in for whom."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from runbooks.spec.model import Spec, Timezone
from runbooks.spec.when import day_of_week, read_time
from runbooks.steps.holders import is_person
from runbooks.watch.fire_times import moment_of

#: When nobody says when the first person began: a Monday.
_EPOCH = date(2024, 1, 1)
#: Turns that are looked through for the end of a shift: one person alone is on call for ever.
_MOST_TURNS = 200


def _person(value: str) -> str:
    if not is_person(value):
        raise ValueError("a rotation is of people: a user id (U…) or an e-mail address")
    return value


def _hand_over(value: str) -> str:
    day, _, clock = value.strip().partition(" ")
    try:
        day_of_week(day)
        read_time(clock)
    except ValueError as error:
        raise ValueError(f"a hand-over looks like `Monday 09:00`: {error}") from None
    return value


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a day looks like 2026-11-23") from None


def _local(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M")  # noqa: DTZ007 - the rotation's zone is added later
    except ValueError:
        raise ValueError("a time looks like 2026-12-24 09:00, on the clocks of the rotation's zone") from None


#: `U0123ABCD` or `ann@example.com`.
OnePerson = Annotated[str, AfterValidator(_person)]
LocalTime = Annotated[datetime, BeforeValidator(_local)]


class StandIn(Spec):
    """Somebody who is on call in place of whose turn it is; the times are local."""

    person: OnePerson
    since: LocalTime
    until: LocalTime

    @model_validator(mode="after")
    def _ends_later(self) -> "StandIn":
        if self.until <= self.since:
            raise ValueError("`until` is not after `since`")
        return self


class Rotation(Spec):
    """People who take turns, a week each. `since`: the day of the hand-over when the first of them began."""

    people: tuple[OnePerson, ...] = Field(strict=False, min_length=1, max_length=100)
    hand_over: Annotated[str, AfterValidator(_hand_over)] = "Monday 09:00"
    weeks: int = Field(default=1, ge=1, le=52)
    timezone: Timezone = "UTC"
    since: Annotated[date | None, BeforeValidator(_day)] = None
    overrides: tuple[StandIn, ...] = Field(default=(), strict=False, max_length=1000)

    @model_validator(mode="after")
    def _begins_on_its_day(self) -> "Rotation":
        day, _ = self._hand_over_at()
        if self.since is not None and self.since.weekday() != day:
            raise ValueError(
                f"since: {self.since} is a {self.since:%A}, and the hand-over is on a "
                f"{_EPOCH + timedelta(days=day):%A}"
            )
        return self

    def zone(self) -> ZoneInfo:
        """Whose clocks it goes by."""
        return ZoneInfo(self.timezone)

    def moment(self, local: datetime) -> datetime:
        """The moment of a local time."""
        return moment_of(local, self.zone())

    def stand_ins(self) -> tuple["Override", ...]:
        """The overrides that maint.yaml has."""
        return tuple(
            Override(person=each.person, since=self.moment(each.since), until=self.moment(each.until))
            for each in self.overrides
        )

    def starts(self, number: int) -> datetime:
        """The moment when the turn of that number begins; 0 is the first person's first."""
        day, clock = self._hand_over_at()
        first = self.since or _EPOCH + timedelta(days=day)
        day_of_turn = first + timedelta(weeks=self.weeks * number)
        return moment_of(datetime.combine(day_of_turn, clock), self.zone())

    def turn_at(self, at: datetime) -> int:
        """The number of the turn that runs at that moment; below 0 before the first."""
        number = (at - self.starts(0)) // timedelta(weeks=self.weeks)
        # Weeks with a change of the clocks are an hour longer or shorter.
        while self.starts(number) > at:
            number -= 1
        while self.starts(number + 1) <= at:
            number += 1
        return number

    def whose(self, number: int) -> str:
        """Whose turn that is; who is in the list twice has two of them."""
        return self.people[number % len(self.people)]

    def _hand_over_at(self) -> tuple[int, time]:
        day, _, clock = self.hand_over.strip().partition(" ")
        return day_of_week(day), time(*read_time(clock))


@dataclass(frozen=True, kw_only=True)
class Override:
    """Who stands in, from when until when, and who said so; `by` is empty for what maint.yaml says."""

    person: str
    since: datetime
    until: datetime
    by: str = ""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One person on call for a while. `instead_of`: whose turn it would be; `by`: who said so."""

    person: str
    since: datetime
    until: datetime
    instead_of: str = ""
    by: str = ""


def on_call(rotation: Rotation, at: datetime, overrides: Iterable[Override] = ()) -> Shift:
    """Who is on call at that moment. Of overrides that overlap the later in the list counts; those of
    maint.yaml come before all others. A shift ends when somebody else is on call."""
    every = (*rotation.stand_ins(), *overrides)
    first = _piece(rotation, at, every)
    until = first.until
    for _ in range(_MOST_TURNS):
        later = _piece(rotation, until, every)
        if (later.person, later.instead_of) != (first.person, first.instead_of):
            break
        until = later.until
    return Shift(
        person=first.person,
        since=first.since,
        until=until,
        instead_of=first.instead_of,
        by=first.by,
    )


def shifts(
    rotation: Rotation, at: datetime, overrides: Iterable[Override] = (), *, count: int = 2
) -> Iterator[Shift]:
    """Who is on call at that moment, and who comes then."""
    every = tuple(overrides)
    for _ in range(count):
        shift = on_call(rotation, at, every)
        yield shift
        at = shift.until


def _piece(rotation: Rotation, at: datetime, overrides: tuple[Override, ...]) -> Shift:
    """Who is on call at that moment, as long as nothing changes: no hand-over, no override's begin or end."""
    number = rotation.turn_at(at)
    since, until = rotation.starts(number), rotation.starts(number + 1)
    whose = rotation.whose(number)
    person, by, instead_of = whose, "", ""
    for override in overrides:
        if override.since <= at < override.until:
            person, by, instead_of = override.person, override.by, whose
        for edge in (override.since, override.until):
            if at < edge < until:
                until = edge
            if since < edge <= at:
                since = edge
    if person == whose:
        by = instead_of = ""
    return Shift(person=person, since=since, until=until, instead_of=instead_of, by=by)
