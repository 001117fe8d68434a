"""Two step kinds that measure nothing, for tests of how files are read."""

from typing import ClassVar

from runbooks.steps.step import Check, Output
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


KINDS = {"http.probe": Probe, "postgres.connections": Connections}
TARGETS: dict[str, type[TargetBase] | None] = {"app": HttpTarget, "db": PostgresTarget, "odd": None}
