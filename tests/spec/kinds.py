"""Step kinds that do nothing, for tests of how files are read."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from runbooks.spec.model import Duration, parse_duration
from runbooks.steps.action import Action, Risk
from runbooks.steps.step import Check, Output, Step
from runbooks.targets import HttpTarget, PostgresTarget, TargetBase


class Probe(Check[HttpTarget]):
    """Stands for `http.probe`."""

    kind = "http.probe"
    title = "HTTP probe"
    needs = HttpTarget
    outputs: ClassVar = {"elapsed_ms": Output(title="time", unit="ms")}
    headline = "elapsed_ms"

    path: str | None = None
    samples: int = 1


class Connections(Check[PostgresTarget]):
    """Stands for `postgres.connections`."""

    kind = "postgres.connections"
    title = "Connections"
    needs = PostgresTarget
    outputs: ClassVar = {"used_percent": Output(title="used", unit="%")}
    headline = "used_percent"


class Command(Action[HttpTarget]):
    """Runs a program on a web service, as far as a plan is concerned."""

    kind = "command"
    title = "Command"
    needs = HttpTarget
    risk = Risk.HIGH
    safe_to_repeat = False
    outputs: ClassVar = {
        "code": Output(title="exit code"),
        "text": Output(title="what it printed", number=False),
    }

    target: str
    argv: tuple[str, ...] = Field(strict=False, min_length=1)
    once: bool = False
    version: str = Field(default="1.0", pattern=r"^\d+(\.\d+)*$")
    password: str = ""

    def lines(self, target: HttpTarget) -> tuple[str, ...]:
        return (" ".join(self.argv), *([f"password {self.password}"] if self.password else []))


class Backup(Action[PostgresTarget]):
    """Can be done twice, and undone."""

    kind = "backup"
    title = "Backup"
    needs = PostgresTarget
    risk = Risk.LOW
    safe_to_repeat = True
    reversible = True
    outputs: ClassVar = {"key": Output(title="where it is", number=False), "size_bytes": Output(title="size")}

    target: str

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        return (f"dumps {target.name}",)


class Gate(Step):
    """Asks people, as far as a plan is concerned."""

    kind = "gate"
    title = "Approval"

    approvers: tuple[str, ...] = Field(strict=False, min_length=1)
    quorum: int = Field(default=1, ge=1)

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
        return (f"{self.quorum} of {', '.join(self.approvers)}",)


class Watch(Step):
    """Has checks inside, its own or another step's."""

    kind = "watch"
    title = "Watch"

    for_: Duration = Field(default=parse_duration("1m"), alias="for")
    checks: tuple[str | dict[str, Any], ...] = Field(default=(), strict=False)

    def refers_to(self) -> tuple[str, ...]:
        return tuple(check.rpartition(".")[0] for check in self.checks if isinstance(check, str))

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
        return (f"watches for {self.for_}",)


KINDS: dict[str, type[Step]] = {"http.probe": Probe, "postgres.connections": Connections}
ALL_KINDS = {**KINDS, **{kind.kind: kind for kind in (Command, Backup, Gate, Watch)}}
TARGETS: dict[str, type[TargetBase] | None] = {"app": HttpTarget, "db": PostgresTarget, "odd": None}
