"""`traffic: {command: ...}`: the weight is read and set by programs on a machine."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints

from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration, up_to
from runbooks.steps.action import Call
from runbooks.steps.machine import Completed, find_machine
from runbooks.steps.reach import Reach
from runbooks.steps.traffic.driver import Traffic, TrafficDriver
from runbooks.steps.traffic.placeholders import demand_placeholders, filled_arguments
from runbooks.steps.traffic.reading import as_version, as_weight
from runbooks.targets import HostTarget, TargetBase
from runbooks.visible import one_line

Argument = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Arguments = Annotated[tuple[Argument, ...], Field(min_length=1, max_length=100, strict=False)]


def _sets_a_weight(arguments: tuple[str, ...]) -> tuple[str, ...]:
    demand_placeholders(arguments)
    return arguments


class CommandTraffic(TrafficDriver):
    """Two programs on a host target, as argument lists. `get` prints the weight as a number, or
    `{"weight": 25, "version": "2.0.0"}`; in `set`, the arguments `{version}` and `{weight}` are replaced."""

    kind: ClassVar[str] = "command"
    title: ClassVar[str] = "programs on a machine"

    host: str
    get: Arguments
    set_: Annotated[Arguments, AfterValidator(_sets_a_weight)] = Field(alias="set")
    timeout: Annotated[Duration, up_to("1h")] = parse_duration("1m")

    def lines(self, target: TargetBase, version: str, weight: float) -> tuple[str, ...]:  # noqa: ARG002
        words = filled_arguments(self.set_, version, weight)
        return (f"on {self.host}: {one_line(json.dumps(words, ensure_ascii=False), 300)}",)

    async def read(self, target: TargetBase, version: str, call: Call) -> Traffic:  # noqa: ARG002
        done = await self._run(self.get, call)
        where = f"`{self.get[0]}` on {self.host}"
        try:
            told = json.loads(done.output)
        except ValueError:
            raise StepError(
                f"{where} printed neither a number nor JSON: {one_line(done.output, 100) or '(nothing)'}"
            ) from None
        fields = told if isinstance(told, Mapping) else {"weight": told}
        weight, live = as_weight(fields.get("weight"), where), as_version(fields.get("version"), where)
        return Traffic(version=live, weight=weight, detail={"version": live or version, "weight": weight})

    async def set(self, target: TargetBase, version: str, weight: float, call: Call) -> None:  # noqa: ARG002
        await self._run(filled_arguments(self.set_, version, weight), call)

    async def restore(self, target: TargetBase, recorded: Traffic, call: Call) -> None:
        await self.set(target, str(recorded.detail["version"]), float(recorded.detail["weight"]), call)

    async def _run(self, argv: Sequence[str], call: Call) -> Completed:
        host = call.targets.get(self.host)
        if not isinstance(host, HostTarget):
            raise StepError(f"{self.host} is no host target: look at `traffic: command: host:` in maint.yaml")
        reach = Reach(targets=call.targets, connections=call.connections, now=call.now)
        machine = await find_machine(host, reach)
        done = await machine.run(argv, self.timeout)
        if done.code != 0:
            said = done.errors or one_line(done.output) or "it said nothing"
            raise StepError(f"`{argv[0]}` on {self.host} ended with code {done.code}: {said}")
        return done
