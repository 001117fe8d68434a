"""`logs.access_review`: what an access log says about whole days, in one pass over gigabytes."""

import importlib.util
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from runbooks.errors import StepError
from runbooks.spec.model import parse_duration
from runbooks.steps.access_report import count_of, percent, report, to_remember
from runbooks.steps.action import Action, ActionTimeout, Call, Done, Failed, Risk
from runbooks.steps.log_signatures import fold
from runbooks.steps.log_window import rotated_names
from runbooks.steps.sent import run_there
from runbooks.steps.step import Output, Value
from runbooks.steps.units import show
from runbooks.targets import LogsTarget
from runbooks.visible import one_line

#: Percent of the lines that may be not understood before somebody should look at `format:`.
MOST_UNREAD = 1.0
#: Earlier reviews among which the one of the days before is looked for.
_EARLIER = 30


class AccessReview(Action[LogsTarget]):
    """Counts every line of the days, rotated and gzipped files included; only reads."""

    kind: ClassVar[str] = "logs.access_review"
    title: ClassVar[str] = "Access log review"
    needs: ClassVar[type[LogsTarget]] = LogsTarget
    risk: ClassVar[Risk] = Risk.READ
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "requests": Output(title="requests"),
        "client_errors": Output(title="answers 4xx"),
        "server_errors": Output(title="answers 5xx"),
        "client_error_percent": Output(title="4xx", unit="%"),
        "server_error_percent": Output(title="5xx", unit="%"),
        "refused": Output(title="answers 401 and 403"),
        "mean_ms": Output(title="mean", unit="ms"),
        "p50_ms": Output(title="p50", unit="ms"),
        "p95_ms": Output(title="p95", unit="ms"),
        "p99_ms": Output(title="p99", unit="ms"),
        "lines": Output(title="lines"),
        "unread": Output(title="lines not understood"),
        "engine": Output(title="engine", number=False),
    }

    target: str
    timeout: ActionTimeout = parse_duration("1h")
    days: Annotated[int, Field(ge=1, le=31)] = 7
    today: bool = False
    time_word: Annotated[int, Field(ge=0, le=50)] = 1
    time_key: Annotated[str, Field(max_length=200)] = ""
    time_unit: Literal["s", "ms", "us"] = "s"
    engine: Literal["auto", "base", "duckdb"] = "auto"
    workers: Annotated[int, Field(ge=1, le=16)] = 2
    top: Annotated[int, Field(ge=1, le=50)] = 10

    @field_validator("engine")
    @classmethod
    def _is_installed(cls, engine: str) -> str:
        if engine == "duckdb" and importlib.util.find_spec("duckdb") is None:
            raise ValueError("duckdb is an extra: pip install 'maintbot[duckdb]', or `engine: auto`")
        return engine

    def lines(self, target: LogsTarget) -> tuple[str, ...]:
        """Which days of which log."""
        end = "with today" if self.today else "until yesterday"
        return (f"reads the last {self.days} days of {one_line(target.where())}, {end}",)

    async def act(self, target: LogsTarget, call: Call) -> Done:
        """Counts, compares with the days before, and remembers for the next time."""
        if target.format not in ("nginx", "json"):
            raise StepError(f"{target.name} is no access log: the review reads the formats nginx and json")
        last = call.now().astimezone(_zone(target)).date().toordinal() - (0 if self.today else 1)
        first = last - self.days + 1
        found = await run_there(self, target, call, "access_review", self._asked(target, first, last))
        if found["lines"] and not found["understood"] and not found["outside"]:
            sample = one_line(fold(found["samples"][0]), 100)
            raise Failed(
                f"none of {found['lines']:,} lines of {target.path} reads as {target.format}; "
                f"one says: {sample}"
            )
        before = await self._before(target, call, first)
        await call.memory.remember(self.kind, target.name, self._name(), to_remember(found, first, last))
        return Done(
            values=_values(found),
            summary=_summary(found, first, last),
            output=report(found, before, self.top),
            warnings=tuple(_warnings(found)),
        )

    def _asked(self, target: LogsTarget, first: int, last: int) -> dict[str, Any]:
        since = datetime.combine(date.fromordinal(first), datetime.min.time(), UTC) - timedelta(days=1)
        return {
            "path": target.path,
            "rotated": rotated_names(target.path),
            "format": target.format,
            "timezone": target.timezone,
            "since": since.timestamp(),
            "first_day": first,
            "last_day": last,
            "time_word": self.time_word,
            "time_key": self.time_key,
            "time_unit": self.time_unit,
            "engine": self.engine,
            "workers": self.workers,
        }

    def _name(self) -> str:
        return f"{self.days} days"

    async def _before(self, target: LogsTarget, call: Call, first: int) -> Mapping[str, Any] | None:
        """What the last review said whose days were over before ours began; or, with none, an older one."""
        earlier = await call.memory.recent(self.kind, target.name, self._name(), _EARLIER)
        values = [each.value for each in earlier if each.value["first_day"] < first]
        return next((each for each in values if each["last_day"] < first), None)


def _zone(target: LogsTarget) -> ZoneInfo:
    return ZoneInfo(target.timezone)


def _values(found: Mapping[str, Any]) -> dict[str, Value]:
    total = found["total"]
    requests, statuses = total["requests"], total["statuses"]
    return {
        "requests": requests,
        "client_errors": count_of(statuses, 4),
        "server_errors": count_of(statuses, 5),
        "client_error_percent": percent(count_of(statuses, 4), requests),
        "server_error_percent": percent(count_of(statuses, 5), requests),
        "refused": statuses.get("401", 0) + statuses.get("403", 0),
        "mean_ms": total["mean"],
        "p50_ms": total["p50"],
        "p95_ms": total["p95"],
        "p99_ms": total["p99"],
        "lines": found["lines"],
        "unread": found["unread"],
        "engine": found["engine"],
    }


def _summary(found: Mapping[str, Any], first: int, last: int) -> str:
    values = _values(found)
    days = f"{date.fromordinal(first)} to {date.fromordinal(last)}"
    if not values["requests"]:
        return f"no requests from {days}"
    parts = [
        f"{values['requests']:,} requests from {days}",
        f"4xx {show(values['client_error_percent'], '%')}",
        f"5xx {show(values['server_error_percent'], '%')}",
    ]
    if values["p95_ms"] is not None:
        parts.append(f"p50 {values['p50_ms']:,} ms, p95 {values['p95_ms']:,} ms, p99 {values['p99_ms']:,} ms")
    parts.append(f"{found['unread']:,} lines not understood")
    return ", ".join(parts)


def _warnings(found: Mapping[str, Any]) -> list[str]:
    said = []
    judged = found["understood"] + found["unread"]
    if not found["understood"]:
        said.append("there is no line of these days: is the log written to, and kept for long enough?")
    if judged and 100 * found["unread"] / judged > MOST_UNREAD:
        said.append(f"{show(100 * found['unread'] / judged, '%')} of the lines were not understood")
    said += [
        f"{one_line(name)} is damaged, or not written to its end: it was not read whole"
        for name in found["damaged"]
    ]
    said += [f"{one_line(name)} became shorter while it was read" for name in found["cut"]]
    said += [f"{one_line(name)} was not read: only gzip can be" for name in found["unread_files"]]
    if found["coarse"]:
        said.append("there are so many different times that they are kept to two digits")
    return said
