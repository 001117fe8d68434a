"""`prometheus.query` and `prometheus.alerts`: what Prometheus (or anything with its HTTP API) knows."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import httpx
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.units import show
from runbooks.steps.web import Unreachable, fetch, headers_of, join, open_client
from runbooks.targets import PrometheusTarget
from runbooks.visible import one_line, shorten

#: Bytes of an answer that are read; thousands of series fit.
ANSWER_LIMIT = 8 * 1024 * 1024
#: Lines of details, and characters of one; the rest is counted.
DETAIL_LINES = 50
DETAIL_LENGTH = 200

#: How far back `fired_24h` looks, and in which windows. Every window is looked at as a whole, so a short
#: alert is not missed between two of them; 24 points are far below Prometheus's limit of 11,000 a series.
HISTORY = timedelta(hours=24)
WINDOW = timedelta(hours=1)

T = TypeVar("T")


class _Reply(BaseModel, Generic[T]):
    status: Literal["success", "error"]
    data: T | None = None
    errorType: str = ""
    error: str = ""
    warnings: list[str] = []


class _Series(BaseModel):
    # A point is its time and its value, which is sent as text: "1", "NaN", "+Inf".
    metric: dict[str, str] = {}
    value: tuple[float, float] | None = None
    values: list[tuple[float, float]] = []


class _Matrix(BaseModel):
    resultType: Literal["matrix"]
    result: list[_Series]


class _Alert(BaseModel):
    labels: dict[str, str]
    state: str
    activeAt: datetime


class _Alerts(BaseModel):
    alerts: list[_Alert]


class _SentStatus(BaseModel):
    state: str


class _SentAlert(BaseModel):
    """An alert as Alertmanager knows it: `suppressed` when a silence or another alert holds it back."""

    labels: dict[str, str]
    status: _SentStatus


_ALERTS = TypeAdapter(_Reply[_Alerts])
_MATRIX = TypeAdapter(_Reply[_Matrix])
_SENT = TypeAdapter(list[_SentAlert])


class _Api:
    """One step's conversation with Prometheus and Alertmanager, over at the deadline (loop time)."""

    def __init__(self, client: httpx.AsyncClient, target: PrometheusTarget, deadline: float) -> None:
        self._client = client
        self._target = target
        self._deadline = deadline

    async def _ask(
        self, address: str, path: str, shape: TypeAdapter[T], form: Mapping[str, str] | None = None
    ) -> T:
        url = join(address, path)
        headers = headers_of(self._target)
        method = "GET" if form is None else "POST"  # a long query fits into no address
        try:
            async with asyncio.timeout_at(self._deadline):
                answer = await fetch(
                    self._client, method, url, headers=headers, limit=ANSWER_LIMIT, form=form
                )
        except TimeoutError as error:
            raise StepError(f"{address} did not answer in time") from error
        except Unreachable as error:
            raise StepError(f"{address} {error}") from error
        if answer.status in (401, 403):
            raise StepError(f"{address} answered {answer.status}: the target's headers do not let Maint in")
        if answer.cut:
            raise StepError(f"{address} answered with more than {show(ANSWER_LIMIT, 'bytes')}: ask for less")
        try:
            return await asyncio.to_thread(shape.validate_json, answer.body)
        except ValidationError as error:
            raise StepError(
                f"{address} answered {answer.status} and nothing that can be understood: is it the root of"
                f" an API that has {path}?"
            ) from error

    async def prometheus(
        self, path: str, shape: TypeAdapter[_Reply[T]], form: Mapping[str, str] | None = None
    ) -> tuple[T, tuple[str, ...]]:
        """The `data` of the answer, and Prometheus's warnings. Raises StepError with its error."""
        address = self._target.url
        reply = await self._ask(address, path, shape, form)
        if reply.status == "error":
            raise StepError(f"{address} says {reply.errorType}: {one_line(reply.error, 500)}")
        if reply.data is None:
            raise StepError(f"{address} answered {path} without data")
        return reply.data, tuple(f"Prometheus warns: {one_line(text, 500)}" for text in reply.warnings)

    async def alertmanager(self, address: str) -> list[_SentAlert]:
        """Every alert that Alertmanager has."""
        return await self._ask(address, "/api/v2/alerts", _SENT)


@asynccontextmanager
async def _api(target: PrometheusTarget, seconds: float) -> AsyncIterator[_Api]:
    deadline = asyncio.get_running_loop().time() + seconds
    tls = any(address.startswith("https:") for address in (target.url, target.alertmanager or ""))
    async with open_client(target, seconds, tls=tls) as client:
        yield _Api(client, target, deadline)


def _labels(labels: Mapping[str, str], *without: str) -> str:
    shown = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in without)
    return shorten(shown, DETAIL_LENGTH)


def _bounded(lines: Sequence[str]) -> tuple[str, ...]:
    if len(lines) <= DETAIL_LINES:
        return tuple(lines)
    return (*lines[: DETAIL_LINES - 1], f"and {len(lines) - DETAIL_LINES + 1} more")


_REDUCERS: dict[str, Callable[[Sequence[float]], float]] = {
    "max": max,
    "min": min,
    "sum": sum,  # not fsum, which fails on infinities
    "avg": lambda numbers: sum(numbers) / len(numbers),
}


class Result(BaseModel):
    """The `data` of a query's answer."""

    resultType: Literal["scalar", "string", "vector", "matrix"]
    result: Any


_RESULT = TypeAdapter(_Reply[Result])
_MANY = TypeAdapter(list[_Series])
_POINT = TypeAdapter(tuple[float, float])


class PrometheusQuery(Check[PrometheusTarget]):
    """The number that a PromQL query gives now.

    Raises StepError when it gives none (no data, NaN, an infinity) or several and `reduce` does not say
    which; no data is never fine.
    """

    kind: ClassVar[str] = "prometheus.query"
    title: ClassVar[str] = "Prometheus query"
    needs: ClassVar[type[PrometheusTarget]] = PrometheusTarget
    outputs: ClassVar[dict[str, Output]] = {"value": Output(title="value")}
    headline: ClassVar[str] = "value"

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]
    unit: str = Field(default="", max_length=20)
    reduce: Literal["only", "max", "min", "sum", "avg"] = "only"

    async def measure(
        self,
        target: PrometheusTarget,
        reach: Reach,  # noqa: ARG002 - "now" is Prometheus's own, or clocks that differ would lose data
    ) -> Measured:
        """Asks for the value at this moment."""
        async with _api(target, self.seconds) as api:
            result, warnings = await api.prometheus("/api/v1/query", _RESULT, {"query": self.query})
        # In a thread, as everything here that grows with the answer.
        measured = await asyncio.to_thread(self.of, result)
        return replace(measured, details=(*measured.details, *warnings))

    def of(self, result: Result) -> Measured:
        """What an answer of Prometheus says. Raises StepError when it is not one finite number."""
        try:
            points = _points(result)
        except ValidationError as error:
            raise StepError(f"the query gave a {result.resultType} that is no number") from error
        value = self._reduced(points)
        listed = [f"{labels or 'no labels'}: {self._show(number)}" for labels, number in points]
        return Measured(
            values={"value": value},
            summary=self._summary(points, value),
            details=_bounded(listed) if len(points) > 1 else (),
        )

    def _reduced(self, points: Sequence[tuple[str, float]]) -> float:
        if not points:
            raise StepError("the query returned no data")
        if self.reduce == "only":
            if len(points) > 1:
                raise StepError(
                    f"the query returned {len(points)} values where one is wanted; say which counts with"
                    " reduce: max, min, sum or avg"
                )
            value = points[0][1]
        else:
            numbers = [number for _, number in points if not math.isnan(number)]
            value = _REDUCERS[self.reduce](numbers) if numbers else math.nan
        if math.isnan(value):
            raise StepError("the query returned no data (NaN, often 0 divided by 0)")
        if math.isinf(value):
            raise StepError("the query returned an infinite value, often a division by 0")
        return value

    def _show(self, number: float) -> str:
        return show(number, self.unit) if math.isfinite(number) else str(number)

    def _summary(self, points: Sequence[tuple[str, float]], value: float) -> str:
        words = [self._show(value)] if self.unit else []
        if len(points) > 1:
            empty = sum(math.isnan(number) for _, number in points)
            words.append(
                f"{self.reduce} of {len(points)} values" + (f", {empty} of them NaN" if empty else "")
            )
            which = [labels for labels, number in points if number == value]
            if self.reduce in ("max", "min") and which[0]:
                words.append(which[0])
        return ", ".join(words)


def _points(result: Result) -> list[tuple[str, float]]:
    if result.resultType in ("scalar", "string"):
        return [("", _POINT.validate_python(result.result)[1])]
    points = []
    for series in _MANY.validate_python(result.result):
        samples = series.values if series.value is None else [series.value]
        if not samples:
            raise StepError("the query returned a native histogram; take a histogram_quantile of it")
        points += [(_labels(series.metric), number) for _, number in samples]
    return points


_ORDER = {"critical": 0, "warning": 1}


class PrometheusAlerts(Check[PrometheusTarget]):
    """The alerts that fire now, silenced ones apart, and how many different ones fired in 24 hours.

    Nothing is critical by itself: thresholds say what is. When Alertmanager does not answer, every alert
    counts as not silenced and a finding of status unknown says so. Raises StepError when Prometheus does
    not answer.
    """

    kind: ClassVar[str] = "prometheus.alerts"
    title: ClassVar[str] = "Prometheus alerts"
    needs: ClassVar[type[PrometheusTarget]] = PrometheusTarget
    outputs: ClassVar[dict[str, Output]] = {
        "firing": Output(title="alerts firing"),
        "critical": Output(title="of severity critical"),
        "warning": Output(title="of severity warning"),
        "silenced": Output(title="silenced"),
        "pending": Output(title="pending"),
        "fired_24h": Output(title="different alerts in 24 h"),
    }
    headline: ClassVar[str] = "firing"

    ignore: tuple[str, ...] = Field(default=(), strict=False)

    async def measure(self, target: PrometheusTarget, reach: Reach) -> Measured:
        """Counts the alerts of this moment and of the last 24 hours."""
        now = reach.now()
        findings: list[tuple[Status, str]] = []
        sent: list[_SentAlert] | None = None
        async with _api(target, self.seconds) as api:
            active, warnings = await api.prometheus("/api/v1/alerts", _ALERTS)
            history, more_warnings = await api.prometheus(
                "/api/v1/query_range",
                _MATRIX,
                {
                    "query": f'count_over_time(ALERTS{{alertstate="firing"}}[{WINDOW.seconds}s])',
                    "start": str((now - HISTORY + WINDOW).timestamp()),
                    "end": str(now.timestamp()),
                    "step": str(WINDOW.seconds),
                },
            )
            if target.alertmanager:
                try:
                    sent = await api.alertmanager(target.alertmanager)
                except StepError as error:
                    findings.append((Status.UNKNOWN, f"silences are not known: {error}"))
        alerts = [alert for alert in active.alerts if alert.labels.get("alertname") not in self.ignore]
        firing = [alert for alert in alerts if alert.state == "firing"]
        # In a thread: in a storm it compares a thousand alerts with a thousand others.
        loud = await asyncio.to_thread(_not_suppressed, firing, sent or ())
        return Measured(
            values={
                "firing": len(loud),
                "critical": sum(_severity(alert) == "critical" for alert in loud),
                "warning": sum(_severity(alert) == "warning" for alert in loud),
                "silenced": None if sent is None else len(firing) - len(loud),
                "pending": sum(alert.state == "pending" for alert in alerts),
                # A series of ALERTS is one alert.
                "fired_24h": sum(
                    series.metric.get("alertname") not in self.ignore for series in history.result
                ),
            },
            summary=", ".join(sorted({alert.labels.get("alertname", "?") for alert in loud})[:3]),
            findings=tuple(findings),
            details=(*_bounded([_line(alert, now) for alert in loud]), *warnings, *more_warnings),
        )


def _severity(alert: _Alert) -> str:
    return alert.labels.get("severity", "").lower()


def _not_suppressed(alerts: Sequence[_Alert], sent: Sequence[_SentAlert]) -> list[_Alert]:
    """The worst first, and the oldest of them."""
    loud = [alert for alert in alerts if not _is_suppressed(alert.labels, sent)]
    return sorted(loud, key=lambda alert: (_ORDER.get(_severity(alert), len(_ORDER)), alert.activeAt))


def _is_suppressed(labels: Mapping[str, str], sent: Iterable[_SentAlert]) -> bool:
    """Whether Alertmanager holds back the alert with these labels.

    What Prometheus sends has its external labels besides, so the alert is the one that has all labels of
    ours and the fewest others. If several are as near, all must be held back.
    """
    same = [alert for alert in sent if labels.items() <= alert.labels.items()]
    fewest = min((len(alert.labels) for alert in same), default=0)
    near = [alert for alert in same if len(alert.labels) == fewest]
    return bool(near) and all(alert.status.state == "suppressed" for alert in near)


def _line(alert: _Alert, now: datetime) -> str:
    name = alert.labels.get("alertname", "?")
    since = f"{alert.activeAt.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    age = show((now - alert.activeAt).total_seconds(), "s")
    labels = _labels(alert.labels, "alertname", "severity")
    words = f"{_severity(alert) or 'no severity'} {name}, active since {since} ({age})"
    return shorten(f"{words}: {labels}" if labels else words, 2 * DETAIL_LENGTH)
