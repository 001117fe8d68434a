"""`http.probe`: asks a web service as a visitor would, and says how long it took."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Annotated, Any, ClassVar, Literal, Self

import httpx
import regex
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output, Value
from runbooks.steps.web import (
    PLAIN_HEADERS,
    Answer,
    Unreachable,
    fetch,
    headers_of,
    join,
    open_client,
    show_url,
)
from runbooks.targets import HttpTarget

#: Bytes of a body that are read and searched.
BODY_LIMIT = 256 * 1024
#: Redirects in a row, as curl and browsers also end somewhere.
MAX_REDIRECTS = 5
#: Seconds that `body_matches` may search one body; a hostile body can make a pattern search for hours.
SEARCH_SECONDS = 1.0


def as_list(value: Any) -> Any:
    """One status, or a list of them."""
    return (value,) if isinstance(value, int | str) else value


def _pattern(text: str) -> str:
    try:
        regex.compile(text)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


#: `200`, or a class of them: `2xx`.
ExpectedStatus = (
    Annotated[int, Field(ge=100, le=599)] | Annotated[str, StringConstraints(pattern=r"^[1-5]xx$")]
)
OneOrMore = BeforeValidator(as_list, json_schema_input_type=ExpectedStatus | tuple[ExpectedStatus, ...])
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


@dataclass(frozen=True, kw_only=True)
class _Sample:
    trouble: str = ""
    status: int | None = None
    ms: float | None = None  # None when no whole answer came
    certificate_ends: datetime | None = None


class HttpProbe(Check[HttpTarget]):
    """Asks for one path, once or several times one after the other, each over a connection of its own.

    A service that is down or answers wrongly is a critical finding. StepError is for what says nothing
    about the service: a `ca_file` that cannot be read, a resolver that does not answer.
    """

    kind: ClassVar[str] = "http.probe"
    title: ClassVar[str] = "HTTP probe"
    needs: ClassVar[type[HttpTarget]] = HttpTarget
    outputs: ClassVar[dict[str, Output]] = {
        "elapsed_ms": Output(title="response time", unit="ms"),
        "p50_ms": Output(title="median response time", unit="ms"),
        "p95_ms": Output(title="95th percentile of the response time", unit="ms"),
        "max_ms": Output(title="longest response time", unit="ms"),
        "status": Output(title="HTTP status"),
        "certificate_days": Output(title="certificate is valid for", unit="days"),
        "failures": Output(title="failed samples"),
    }
    headline: ClassVar[str] = "elapsed_ms"

    path: str | None = Field(default=None, pattern=r"^/([^/\s\\][^\s\\]*)?$", max_length=2000)
    method: Literal["GET", "HEAD"] = "GET"
    expect_status: Annotated[tuple[ExpectedStatus, ...], OneOrMore] = Field(
        default=("2xx",), min_length=1, strict=False
    )
    body_contains: Text | None = None
    body_matches: Annotated[Text, AfterValidator(_pattern)] | None = None
    samples: int = Field(default=1, ge=1, le=20)
    follow_redirects: bool = False
    redirect_hosts: tuple[str, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.method == "HEAD" and (self.body_contains or self.body_matches):
            raise ValueError("an answer to HEAD has no body; use method: GET to look at one")
        if self.redirect_hosts and not self.follow_redirects:
            raise ValueError("redirect_hosts has a meaning only with follow_redirects: true")
        return self

    async def measure(self, target: HttpTarget, reach: Reach) -> Measured:
        """Takes the samples; raises StepError when nothing can be said about the service."""
        url = join(target.url, self.path or target.health)
        seconds = self.seconds
        deadline = asyncio.get_running_loop().time() + seconds
        samples: list[_Sample] = []
        tls = url.scheme == "https" or self.follow_redirects
        async with open_client(target, seconds, tls=tls) as client:
            for _ in range(self.samples):
                try:
                    async with asyncio.timeout_at(deadline):
                        samples.append(await self._sample(client, url, target))
                except TimeoutError:
                    waited = f"within {seconds:g} s"
                    if samples:
                        waited = f"before the {seconds:g} s for all samples were over"
                    samples.append(_Sample(trouble=f"{show_url(url)} did not answer {waited}"))
                    break
        return self._measured(samples, reach.now(), self._doubts(target))

    async def _sample(self, client: httpx.AsyncClient, url: httpx.URL, target: HttpTarget) -> _Sample:
        client.cookies.clear()  # every sample is a new visitor
        started = time.perf_counter()
        try:
            answer, certificate_ends = await self._visit(client, url, target)
        except Unreachable as error:
            return _Sample(trouble=str(error))
        ms = (time.perf_counter() - started) * 1000
        wrong = await self._what_is_wrong(answer)
        return _Sample(
            trouble=f"{show_url(url)} {wrong}" if wrong else "",
            status=answer.status,
            ms=ms,
            certificate_ends=certificate_ends,
        )

    async def _visit(
        self, client: httpx.AsyncClient, url: httpx.URL, target: HttpTarget
    ) -> tuple[Answer, datetime | None]:
        """The last answer of the redirects, and when the first certificate on the way ends."""
        home = url.raw_host
        ends: list[datetime] = []
        for _ in range(MAX_REDIRECTS + 1):
            headers = headers_of(target) if url.raw_host == home else PLAIN_HEADERS
            try:
                answer = await fetch(client, self.method, url, headers=headers, limit=BODY_LIMIT)
            except Unreachable as error:
                raise Unreachable(f"{show_url(url)} {error}") from error
            if answer.certificate_ends:
                ends.append(answer.certificate_ends)
            if answer.location is None or not self.follow_redirects:
                return answer, min(ends, default=None)
            if not self._may_follow(url, answer.location):
                raise Unreachable(
                    f"{show_url(url)} redirects to {show_url(answer.location)}, where this probe may not"
                    " follow; if that is right, name the host in redirect_hosts"
                )
            url = answer.location
        raise Unreachable(f"{show_url(url)} is redirect number {MAX_REDIRECTS + 1} in a row: a loop?")

    def _may_follow(self, here: httpx.URL, there: httpx.URL) -> bool:
        if there.scheme not in ("http", "https") or there.userinfo:
            return False
        if there.scheme == "http" and here.scheme == "https":
            return False  # what was secret on the way here would not be
        upgrade = there.scheme == "https" and here.scheme == "http" and there.raw_host == here.raw_host
        listed = there.netloc.decode("ascii") in {host.lower() for host in self.redirect_hosts}
        return upgrade or listed or (there.scheme, there.netloc) == (here.scheme, here.netloc)

    async def _what_is_wrong(self, answer: Answer) -> str:
        expected = {str(status) for status in self.expect_status}
        if not expected & {str(answer.status), f"{answer.status // 100}xx"}:
            redirect = f", a redirect to {show_url(answer.location)}," if answer.location else ""
            return f"answered {answer.status}{redirect} instead of {' or '.join(sorted(expected))}"
        if not (self.body_contains or self.body_matches):
            return ""
        if answer.encoding:
            raise StepError(
                f"the body came packed ({answer.encoding[:40]}), though that was not asked for: Maint does"
                " not unpack it, so body_contains and body_matches cannot be judged"
            )
        part = f" in its first {BODY_LIMIT // 1024} KiB" if answer.cut else ""
        if self.body_contains and self.body_contains.encode() not in answer.body:
            return f"answered {answer.status}, but without {self.body_contains!r}{part}"
        if self.body_matches and not await asyncio.to_thread(_search, self.body_matches, answer.body):
            return f"answered {answer.status}, but nothing matches {self.body_matches!r}{part}"
        return ""

    def _doubts(self, target: HttpTarget) -> list[tuple[Status, str]]:
        wanted = "certificate_days" in (self.warning | self.critical)
        if not wanted or target.verify_tls or target.url.startswith("http:"):
            return []
        # Python decodes a certificate only when it verifies it.
        return [(Status.UNKNOWN, "certificate_days is not known: the target has verify_tls: false")]

    def _measured(
        self, samples: Sequence[_Sample], now: datetime, doubts: Sequence[tuple[Status, str]]
    ) -> Measured:
        failed = [sample for sample in samples if sample.trouble]
        times = sorted(sample.ms for sample in samples if sample.ms is not None)
        statuses = [sample.status for sample in (*failed, *samples) if sample.status is not None]
        ends = [sample.certificate_ends for sample in samples if sample.certificate_ends]
        days = round((min(ends) - now).total_seconds() / 86400, 1) if ends else None
        values: dict[str, Value] = {
            "elapsed_ms": median(times) if times else None,
            "p50_ms": median(times) if times else None,
            "p95_ms": percentile(times, 95) if times else None,
            "max_ms": times[-1] if times else None,
            "status": statuses[0] if statuses else None,
            "certificate_days": days,
            "failures": len(failed),
        }
        words = (
            [f"HTTP {statuses[0]}"] if statuses and not failed else []
        )  # what failed has its status with it
        if self.samples > 1 and times:
            words.append(f"{len(samples)} samples, longest {times[-1]:.0f} ms")
        if days is not None:
            words.append(f"certificate {days:.0f} days")
        return Measured(
            values=values,
            summary=", ".join(words),
            findings=(*((Status.CRITICAL, text) for text in self._told_once(samples)), *doubts),
            details=tuple(_line(number, sample) for number, sample in enumerate(samples, 1))
            if self.samples > 1
            else (),
        )

    def _told_once(self, samples: Sequence[_Sample]) -> list[str]:
        numbers: dict[str, list[str]] = {}
        for number, sample in enumerate(samples, 1):
            if sample.trouble:
                numbers.setdefault(sample.trouble, []).append(str(number))
        if self.samples == 1:
            return list(numbers)
        return [
            f"sample{'s' * (len(which) > 1)} {', '.join(which)} of {self.samples}: {trouble}"
            for trouble, which in numbers.items()
        ]


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of ascending values: the smallest that `percent` of them do not exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def _search(pattern: str, body: bytes) -> bool:
    try:
        # `concurrent` lets go of the interpreter lock, so a long search does not stop the event loop.
        found = regex.search(
            pattern, body.decode("utf-8", "replace"), timeout=SEARCH_SECONDS, concurrent=True
        )
    except TimeoutError as error:
        raise StepError(
            f"body_matches searched for {SEARCH_SECONDS:g} s without an end; use a simpler pattern, without"
            " repeats inside repeats"
        ) from error
    return found is not None


def _line(number: int, sample: _Sample) -> str:
    took = f"{sample.status} in {sample.ms:.0f} ms" if sample.ms is not None else "no answer"
    return f"sample {number}: {took}" + (f" ({sample.trouble})" if sample.trouble else "")
