"""A maintenance window: when risky steps may begin, and what happens to a run that would leave it."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from runbooks.spec.model import Spec, Timezone
from runbooks.spec.when import days_of_words, read_time

_HOURS = re.compile(r"(?P<days>.+?)\s+(?P<opens>\d{1,2}:\d{2})\s*(?:-|–|to)\s*(?P<closes>\d{1,2}:\d{2})")


def _checked(value: str) -> str:
    read_window(value)
    return value


def read_window(text: str) -> tuple[str, str]:
    """When a window opens and when it closes, each as for `local_times`. Raises ValueError.

    It closes at the first such time after it opened: `22:00-06:00` on the next day.
    """
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError("a window is days and hours, as in 'Sat,Sun 22:00-06:00' or 'daily 01:00-05:00'")
    opens, closes = read_time(found["opens"]), read_time(found["closes"])
    if opens == closes:
        raise ValueError("it closes when it opens: leave `window:` out, or write another hour")
    days = days_of_words(found["days"].casefold())
    return f"{opens[1]} {opens[0]} {days}", f"{closes[1]} {closes[0]} * * *"


class Window(Spec):
    """When steps of risk `medium` or `high` may begin; of a runbook without any, those of risk `low`. The way
    back and checks are never kept waiting."""

    on: Annotated[str, AfterValidator(_checked)]
    timezone: Timezone = "UTC"
    leave: Literal["finish", "hold", "cancel"] = "hold"

    @property
    def words(self) -> str:
        """What people wrote: `Sat,Sun 22:00-06:00 Europe/Berlin`."""
        return f"{self.on} {self.timezone}"
