"""When something happens by the clock on the wall, as people write it: words, or the five fields of cron.

Both become one expression, which `local_times` follows. It knows no time zone: see runbooks/watch/fire_times.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from cronsim import CronSim, CronSimError

from runbooks.nearest import nearest

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FULL = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_LAST = "last"
#: The months in which a quarter or a year begins, and ends.
_FIRST_MONTHS = {"month": "*", "quarter": "1,4,7,10", "year": "1"}
_LAST_MONTHS = {"month": "*", "quarter": "3,6,9,12", "year": "12"}
_OF = re.compile(r"(?P<day>.+?) of (?:the |each |every )?(?P<part>month|quarter|year)")
_DATE = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_FIELD = re.compile(r"[0-9A-Za-z*/,-]+")
_WEEKDAY_FIELD = re.compile(rf"\*|({'|'.join(_DAYS)})([,-]({'|'.join(_DAYS)}))*", re.IGNORECASE)

EXAMPLE = "first Monday of the month 10:00"
_FORMS = (
    f"'{EXAMPLE}', '2nd Monday 20:00', 'last Friday of the month 18:00', "
    "'first Sunday of the quarter 03:00', 'daily 02:00', 'weekdays 9:00', 'every Monday 10:00', "
    "'Mon, Thu 7:30', '15th of the month 8:00'"
)


def cron_of_words(text: str) -> str:
    """The expression for `first Monday of the month 10:00`. Raises ValueError that shows the forms."""
    days, _, time = text.strip().rpartition(" ")
    days = days.strip()
    if not _TIME.fullmatch(time):
        days, time = text, ""
    if not time:
        raise ValueError(f"it ends with a time, as in '{EXAMPLE}'")
    hour, minute = read_time(time)
    return f"{minute} {hour} {days_of_words(days.casefold().removesuffix(' at'))}"


def read_time(text: str) -> tuple[int, int]:
    """Hour and minute of `9:00`. Raises ValueError."""
    found = _TIME.fullmatch(text.strip())
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError(f"{text[:20]!r} is no time of day: from 00:00 to 23:59")
    return int(found[1]), int(found[2])


def days_of_words(text: str) -> str:
    """The last three fields of the expression for `first monday of the month`, in small letters. Raises
    ValueError that shows the forms."""
    days = " ".join(text.split()).removeprefix("the ")
    if days in ("daily", "every day"):
        return "* * *"
    if days in ("weekdays", "every weekday", "on weekdays"):
        return "* * mon-fri"
    if days in ("weekends", "every weekend"):
        return "* * sat,sun"
    within = _OF.fullmatch(days)
    part = within["part"] if within else "month"
    day = within["day"].strip() if within else days
    if (ordinal := _ordinal(day, part)) is not None:
        return ordinal
    if within and (date := _DATE.fullmatch(day)) and part == "month":
        if not 1 <= int(date[1]) <= 28:
            raise ValueError(f"not every month has a {date[0]}: write 'last day of the month', or up to 28th")
        return f"{date[1]} * *"
    if not within:
        names = re.split(r"\s*,\s*|\s+and\s+", day.removeprefix("every ").removeprefix("on "))
        return f"* * {','.join(_DAYS[weekday(name)] for name in names)}"
    raise ValueError(f"{text[:60]!r} is not understood: write it like {_FORMS}")


def _ordinal(day: str, part: str) -> str | None:
    """For `first monday`, `last friday`, `first day`, `last day`; None for anything else."""
    which, _, name = day.partition(" ")
    if which in ("5th", "fifth"):
        raise ValueError("not every month has a fifth one: write 'last', as in 'last Friday of the month'")
    if which not in _ORDINALS and which != _LAST:
        return None
    months = _LAST_MONTHS[part] if which == _LAST else _FIRST_MONTHS[part]
    if name == "day":
        if which not in (_LAST, "first", "1st"):
            raise ValueError("of days there is a 'first' and a 'last'; else write '15th of the month'")
        return f"{'L' if which == _LAST else '1'} {months} *"
    number = weekday(name)
    return f"* {months} {number}L" if which == _LAST else f"* {months} {_DAYS[number]}#{_ORDINALS[which]}"


def weekday(name: str) -> int:
    """0 for sunday or sun. Raises ValueError with the nearest."""
    single = name.strip().removesuffix("s") if name.strip().removesuffix("s") in _FULL else name.strip()
    for names in (_DAYS, _FULL):
        if single in names:
            return names.index(single)
    meant = nearest(single, _FULL)
    hint = f"did you mean {meant.capitalize()}?" if meant else f"write it like {_FORMS}"
    raise ValueError(f"{name[:40]!r} is no day: {hint}")


def day_of_week(name: str) -> int:
    """0 for Monday or mon, as Python counts. Raises ValueError with the nearest."""
    return (weekday(name.casefold()) - 1) % 7


def cron_of_fields(text: str) -> str:
    """The five fields that people wrote, in one way that means the same everywhere. Raises ValueError."""
    fields = text.split()
    if "#" in text or re.search(r"\dL$|\bL", text):
        raise ValueError("`#` and `L` mean different things to different programs: " + _instead())
    if len(fields) != 5 or not all(map(_FIELD.fullmatch, fields)):
        raise ValueError(
            "five fields: minute, hour, day of month, month, day of week, as in '0 9 * * mon-fri'"
        )
    if re.search(r"\d", fields[4]):
        raise ValueError(
            "days of the week by name, as in '0 9 * * mon-fri': Monday is 1 to some programs and 0 to others"
        )
    if not _WEEKDAY_FIELD.fullmatch(fields[4]):
        raise ValueError("the fifth field is *, or names like mon-fri or mon,thu")
    if not fields[2].startswith("*") and not fields[4].startswith("*"):
        raise ValueError(
            "a day of the month and a day of the week: some programs take both, some either; " + _instead()
        )
    try:
        next(local_times(text, datetime(2000, 1, 1)))  # noqa: DTZ001 - the clock on the wall
    except CronSimError as error:
        raise ValueError(f"{str(error)[:1].lower()}{str(error)[1:]}: there is no such time") from None
    except StopIteration:
        raise ValueError("there is no such day") from None
    return text


def _instead() -> str:
    return f"write `on: {EXAMPLE}`"


def local_times(expression: str, after: datetime) -> Iterator[datetime]:
    """The times on the wall after that one, without a zone, in order."""
    if after.tzinfo is not None:
        raise ValueError("the clock on the wall has no zone")
    return iter(CronSim(expression, after))
