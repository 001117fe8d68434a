"""`traffic: {http: ...}`: the weight is read and set by calls to an HTTP interface."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runbooks.errors import StepError
from runbooks.spec.model import Duration, Spec, parse_duration, up_to
from runbooks.steps.action import Call
from runbooks.steps.traffic.driver import Traffic, TrafficDriver
from runbooks.steps.traffic.placeholders import demand_placeholders, filled
from runbooks.steps.traffic.reading import as_version, as_weight, look_up
from runbooks.steps.web import Answer, Unreachable, fetch, headers_of, join, open_client, show_url
from runbooks.targets import HttpTarget, TargetBase
from runbooks.visible import one_line

#: Bytes of an answer that are read.
ANSWER_LIMIT = 1024 * 1024

Path = Annotated[str, Field(pattern=r"^/([^/\s\\][^\s\\]*)?$", max_length=2000)]
Pointer = Annotated[str, Field(pattern=r"^(/[^/]*)+$", max_length=500)]


class Get(Spec):
    """Where the weight stands: a path that answers in JSON, and JSON pointers into the answer."""

    path: Path
    weight: Pointer = "/weight"
    version: Pointer | None = None


class Set(Spec):
    """What sets it. `json` or `form` is what is sent; `'{version}'` and `'{weight}'` in it are replaced."""

    method: Literal["POST", "PUT", "PATCH"] = "PUT"
    path: Path
    json_: dict[str, Any] | None = Field(default=None, alias="json")
    form: dict[str, str] | None = None

    @model_validator(mode="after")
    def _sends_a_weight(self) -> Self:
        if (self.json_ is None) == (self.form is None):
            raise ValueError("has either `json:` or `form:`, which is what is sent")
        demand_placeholders(self.json_ if self.form is None else self.form)
        return self


class HttpTraffic(TrafficDriver):
    """An HTTP interface that takes a version and a weight, and tells them again."""

    kind: ClassVar[str] = "http"
    title: ClassVar[str] = "calls to an HTTP interface"

    target: str | None = None  # another http target, where the interface is at another address
    get: Get
    set_: Set = Field(alias="set")
    timeout: Annotated[Duration, up_to("10m")] = parse_duration("30s")

    def lines(self, target: TargetBase, version: str, weight: float) -> tuple[str, ...]:
        where = f" of {self.target}" if self.target and self.target != target.name else ""
        return (f"{self.set_.method} {self.set_.path}{where} with {self._sent(version, weight)}",)

    async def read(self, target: TargetBase, version: str, call: Call) -> Traffic:
        interface = self._interface(target, call.targets)
        answer, where = await self._ask(interface, "GET", self.get.path)
        try:
            told = json.loads(answer.body)
        except ValueError:
            raise StepError(f"{where} answered {answer.status}, but not in JSON: {_start(answer)}") from None
        weight = as_weight(look_up(told, self.get.weight, where), where)
        live = as_version(look_up(told, self.get.version, where), where) if self.get.version else None
        return Traffic(version=live, weight=weight, detail={"version": live or version, "weight": weight})

    async def set(self, target: TargetBase, version: str, weight: float, call: Call) -> None:
        interface = self._interface(target, call.targets)
        await self._ask(interface, self.set_.method, self.set_.path, self._body(version, weight))

    async def restore(self, target: TargetBase, recorded: Traffic, call: Call) -> None:
        await self.set(target, str(recorded.detail["version"]), float(recorded.detail["weight"]), call)

    def _interface(self, target: TargetBase, targets: Mapping[str, TargetBase]) -> HttpTarget:
        found = targets.get(self.target) if self.target else target
        if not isinstance(found, HttpTarget):
            raise StepError(
                f"the traffic of {target.name} is moved by HTTP, but {self.target or target.name} is no http"
                " target: look at `traffic:` in maint.yaml"
            )
        return found

    def _body(self, version: str, weight: float) -> dict[str, Any]:
        if self.set_.form is None:
            return {"json": filled(self.set_.json_, version, weight)}
        return {"form": {name: str(value) for name, value in filled(self.set_.form, version, weight).items()}}

    def _sent(self, version: str, weight: float) -> str:
        ((_, body),) = self._body(version, weight).items()
        return one_line(json.dumps(body, ensure_ascii=False), 300)

    async def _ask(
        self, interface: HttpTarget, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[Answer, str]:
        url = join(interface.url, path)
        where = f"{method} {show_url(url)}"
        seconds = self.timeout.total_seconds()
        try:
            async with (
                asyncio.timeout(seconds),
                open_client(interface, seconds, tls=url.scheme == "https") as client,
            ):
                answer = await fetch(
                    client, method, url, headers=headers_of(interface), limit=ANSWER_LIMIT, **(body or {})
                )
        except Unreachable as error:
            raise StepError(f"{where}: {interface.name} {error}") from error
        except TimeoutError as error:
            raise StepError(f"{where}: {interface.name} did not answer within {seconds:g} s") from error
        _demand_success(answer, where, sent=body is not None)
        return answer, where


def _demand_success(answer: Answer, where: str, *, sent: bool) -> None:
    # After a form is taken, pages send the browser on: 303 to where the result is shown.
    shown = sent and answer.status == 303
    if not (200 <= answer.status < 300 or shown):
        to = f", a redirect to {show_url(answer.location)}" if answer.location else ""
        raise StepError(f"{where} answered {answer.status}{to}: {_start(answer)}")


def _start(answer: Answer) -> str:
    return one_line(answer.body.decode("utf-8", "replace"), 200) or "(an empty body)"
