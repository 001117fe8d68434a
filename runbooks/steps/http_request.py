"""`http.request`: asks a web service to do something."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import httpx
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from runbooks.errors import StepError
from runbooks.spec.model import Spec, parse_duration, show_duration
from runbooks.steps.action import LONGEST_OUTPUT, Action, ActionTimeout, Call, Done, Doubtful, Failed, Risk
from runbooks.steps.http import ExpectedStatus, OneOrMore
from runbooks.steps.printed import Kept
from runbooks.steps.program import LONGEST_VALUE, OutputName, Word, as_number
from runbooks.steps.step import Output, Value
from runbooks.steps.web import Answer, Unreachable, fetch, headers_of, join, open_client, show_url
from runbooks.targets import HttpTarget
from runbooks.visible import one_line, printable

#: Bytes of an answer that are read.
BODY_LIMIT = 1024 * 1024
#: Characters of a body that a plan shows.
LONGEST_SHOWN = 4000
#: Requests that change nothing by themselves.
READING = frozenset({"GET", "HEAD"})
#: Requests that HTTP says may be repeated.
REPEATABLE = READING | {"PUT", "DELETE"}
#: What a gateway says that lost the service behind it.
_LOST_BEHIND = frozenset({502, 504})
#: What this step sets itself.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})

_DOTS = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)


def _no_climbing(path: str) -> str:
    if _DOTS.search(path.partition("?")[0]):
        raise ValueError("a path has no `.` or `..` in it: it would lead out of where it seems to be")
    return path


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in _OURS:
            raise ValueError(f"{name} is set by Maint")
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"the header {name} cannot be sent: only printable ASCII letters fit")
    return headers


def _pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError("a JSON pointer begins with /, as in /data/0/id; an empty one is the whole answer")
    return text


HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=100)]


class Taken(Spec):
    """A value in the answer, by JSON pointer (RFC 6901)."""

    pointer: Annotated[str, AfterValidator(_pointer)] = Field(alias="json")
    number: bool = False
    title: str = ""


def _free_names(names: dict[str, Taken]) -> dict[str, Taken]:
    if taken := sorted({*names} & {*_OWN_OUTPUTS}):
        raise ValueError(f"{', '.join(taken)} is there by itself; give the output another name")
    return names


def _as_json(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from None
    return value


_OWN_OUTPUTS = {"status": Output(title="HTTP status"), "elapsed_ms": Output(title="time", unit="ms")}
Outputs = Annotated[dict[OutputName, Taken], AfterValidator(_free_names)]


class HttpRequest(Action[HttpTarget]):
    """One request to a path below the target's address, with the target's headers. Redirects are not
    followed: they are answers like others."""

    kind: ClassVar[str] = "http.request"
    title: ClassVar[str] = "HTTP request"
    needs: ClassVar[type[HttpTarget]] = HttpTarget
    outputs: ClassVar[Mapping[str, Output]] = _OWN_OUTPUTS
    safe_to_repeat: ClassVar[bool] = False

    target: str
    path: Annotated[str, AfterValidator(_no_climbing)] = Field(
        default="/", pattern=r"^/([^/\s\\][^\s\\#]*)?$", max_length=2000
    )
    query: dict[str, Word] = Field(default_factory=dict)
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: Annotated[dict[HeaderName, Word], AfterValidator(_sendable)] = Field(default_factory=dict)
    body: Word | None = None
    json_body: Annotated[Any, AfterValidator(_as_json)] = Field(default=None, alias="json")
    expect: Annotated[tuple[ExpectedStatus, ...], OneOrMore] = Field(
        default=("2xx",), min_length=1, strict=False
    )
    idempotency_header: HeaderName | None = None
    show_output: bool = True
    timeout: ActionTimeout = parse_duration("30s")
    taken: Outputs = Field(default_factory=dict, alias="outputs")
    danger: Annotated[Risk, Field(strict=False)] | None = Field(default=None, alias="risk")
    may_repeat: bool | None = Field(default=None, alias="repeatable")

    @property
    def risk(self) -> Risk:  # type: ignore[override] # only the file knows what a request does
        """As the file says; else reading is no risk."""
        return self.danger or (Risk.READ if self.method in READING else Risk.HIGH)

    @property
    def repeatable(self) -> bool:
        """As the file says; else as HTTP says, or when the service knows a repetition by its key."""
        if self.may_repeat is not None:
            return self.may_repeat
        return self.method in REPEATABLE or self.idempotency_header is not None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.body is not None and self.json_body is not None:
            raise ValueError("a request has either `json:` or `body:`")
        if self.method in READING and self._content is not None:
            raise ValueError(f"a {self.method} has no body: say another `method:`")
        if self.method == "HEAD" and self.taken:
            raise ValueError("an answer to HEAD has no body, so there are no outputs in it")
        return self

    def declared(self) -> Mapping[str, Output]:
        """The status and the time, and what the file names."""
        own = {
            name: Output(title=taken.title or name, number=taken.number) for name, taken in self.taken.items()
        }
        return {**self.outputs, **own}

    @property
    def _content(self) -> str | None:
        if self.json_body is not None:
            return json.dumps(self.json_body, ensure_ascii=False)
        return self.body

    def lines(self, target: HttpTarget) -> tuple[str, ...]:
        """The request, with the names of its headers: their values may be secret."""
        found = [f"{self.method} {one_line(str(self._url(target)), 4000)}"]
        names = sorted({*self.headers, *target.headers, *filter(None, [self.idempotency_header])})
        if names:
            found.append(f"with the header{'s' * (len(names) > 1)} {', '.join(names)}")
        if self._content is not None:
            found.append(f"body: {one_line(self._content, LONGEST_SHOWN)}")
        return (*found, f"expects {self._expected()} within {show_duration(self.timeout)}")

    async def act(self, target: HttpTarget, call: Call) -> Done:
        """Sends it once, and judges the answer."""
        url = self._url(target)
        sent = False

        def sending() -> None:
            nonlocal sent
            sent = True

        started = time.perf_counter()
        what = f"{self.method} {show_url(url)}"
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._ask(target, url, self._headers(target, call), sending)
        except (Unreachable, StepError, TimeoutError, asyncio.CancelledError) as error:
            trouble = str(error)
            if isinstance(error, TimeoutError):
                trouble = f"did not answer within {show_duration(self.timeout)}"
            elif isinstance(error, asyncio.CancelledError):
                trouble = "was broken off before it was answered"
            if sent and self.method not in READING:
                raise Doubtful(f"{what} {trouble}: nobody knows whether it took effect") from error
            if isinstance(error, asyncio.CancelledError | StepError):
                raise
            raise Failed(f"{what} {trouble}") from error
        return self._done(answer, what, (time.perf_counter() - started) * 1000)

    async def _ask(
        self, target: HttpTarget, url: httpx.URL, headers: Mapping[str, str], sending: Callable[[], None]
    ) -> Answer:
        content = self._content.encode() if self._content is not None else None
        async with open_client(target, self.seconds, tls=url.scheme == "https") as client:
            return await fetch(
                client,
                self.method,
                url,
                headers=headers,
                limit=BODY_LIMIT,
                content=content,
                sending=sending,
            )

    def _url(self, target: HttpTarget) -> httpx.URL:
        url = join(target.url, self.path)
        return url.copy_merge_params(self.query) if self.query else url

    def _headers(self, target: HttpTarget, call: Call) -> Mapping[str, str]:
        headers = httpx.Headers(headers_of(target))
        if self._content is not None:
            plain = self.json_body is None
            headers["Content-Type"] = "text/plain; charset=utf-8" if plain else "application/json"
        headers.update(self.headers)
        if self.idempotency_header:
            headers[self.idempotency_header] = call.key
        return dict(headers)

    def _expected(self) -> str:
        return " or ".join(sorted(str(status) for status in self.expect))

    def _done(self, answer: Answer, what: str, ms: float) -> Done:
        output = self._output(answer)
        if not {str(status) for status in self.expect} & {str(answer.status), f"{answer.status // 100}xx"}:
            there = f", a redirect to {show_url(answer.location)}," if answer.location else ""
            text = f"{what} answered {answer.status}{there} instead of {self._expected()}"
            if answer.status in _LOST_BEHIND and self.method not in READING:
                raise Doubtful(f"{text}: the gateway does not know whether it took effect", output)
            raise Failed(text + _why(output), output)
        values = {"status": answer.status, "elapsed_ms": round(ms, 1)}
        return Done(
            values={**values, **self._values(answer, what, output)},
            summary=f"HTTP {answer.status}",
            output=output,
        )

    def _output(self, answer: Answer) -> str:
        if not self.show_output or answer.encoding:
            return ""
        kept = Kept(LONGEST_OUTPUT)
        kept.add(printable(answer.body.decode(errors="replace")))
        return kept.text() + ("\n[… the rest was not read …]" if answer.cut else "")

    def _values(self, answer: Answer, what: str, output: str) -> dict[str, Value]:
        """The declared outputs. Raises Failed: what comes after this step would go on without a value."""
        if not self.taken:
            return {}
        done = f"{what} answered {answer.status}, but"
        if answer.cut or answer.encoding:
            why = f"packed ({one_line(answer.encoding, 40)})" if answer.encoding else "longer than 1 MiB"
            raise Failed(f"{done} its body is {why}, so the outputs cannot be taken from it", output)
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise Failed(
                f"{done} its body is no JSON, so the outputs cannot be taken from it", output
            ) from None
        return {name: _take(document, name, taken, done, output) for name, taken in self.taken.items()}


def _why(output: str) -> str:
    text = one_line(" ".join(output[:2000].split()))
    return f": {text}" if text else ""


def _take(document: Any, name: str, taken: Taken, done: str, output: str) -> Value:
    try:
        value = _follow(document, taken.pointer)
    except LookupError:
        raise Failed(f"{done} there is nothing at {taken.pointer} for outputs.{name}", output) from None
    if isinstance(value, dict | list) or value is None:
        kind = "null" if value is None else "a list" if isinstance(value, list) else "an object"
        raise Failed(f"{done} {taken.pointer or 'the whole'} is {kind}, no value for outputs.{name}", output)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if len(text) > LONGEST_VALUE:
        raise Failed(f"{done} outputs.{name} is longer than {LONGEST_VALUE} characters", output)
    if not taken.number:
        return printable(text)
    number = as_number(text)
    if number is None:
        raise Failed(f"{done} outputs.{name} is no number: {one_line(text, 40)!r}", output)
    return number


def _follow(document: Any, pointer: str) -> Any:
    """What a JSON pointer leads to. Raises LookupError."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document[key]
        elif isinstance(document, list) and key.isascii() and key.isdigit():
            document = document[int(key)]
        else:
            raise LookupError(key)
    return document
