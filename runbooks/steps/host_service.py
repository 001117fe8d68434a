"""`host.service`: whether systemd's units run that must run."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.host import HostCheck
from runbooks.steps.host_readings import UNIT_PROPERTIES, Unit, read_units
from runbooks.steps.reach import Reach
from runbooks.steps.step import Measured, Output
from runbooks.targets import HostTarget, UnitName
from runbooks.visible import one_line


class HostService(HostCheck):
    """The units that are named here, else the target's `services`. One that does not run is critical."""

    kind = "host.service"
    title = "Services"
    outputs: ClassVar[Mapping[str, Output]] = {
        "active": Output(title="active"),
        "failed": Output(title="failed"),
        "restarts": Output(title="restarts"),
    }
    headline = "active"

    units: tuple[UnitName, ...] = Field(default=(), strict=False)

    def applies_to(self, target: HostTarget) -> bool:
        return bool(self.units or target.services)

    async def measure(self, target: HostTarget, reach: Reach) -> Measured:
        names = self.units or target.services
        properties = f"--property={','.join(UNIT_PROPERTIES)}"
        answer = await self._run(target, reach, ["systemctl", "show", "--no-pager", properties, "--", *names])
        if answer.code:
            raise StepError(f"systemctl on {target.where()}: {answer.errors or f'exit code {answer.code}'}")
        units = read_units(answer.output, names)
        active = sum(unit.active == "active" for unit in units)
        restarts = sum(unit.restarts for unit in units)
        return Measured(
            values={
                "active": active,
                "failed": sum(unit.active == "failed" for unit in units),
                "restarts": restarts,
            },
            summary=f"of {len(units)}" + (f", {restarts} restarts" if restarts else ""),
            findings=tuple(finding for unit in units if (finding := _finding(unit))),
            details=tuple(map(_line, units)),
        )


def _finding(unit: Unit) -> tuple[Status, str] | None:
    if unit.load == "not-found":
        return Status.CRITICAL, f"{unit.name}: no such unit"
    if unit.load != "loaded":
        return Status.CRITICAL, one_line(f"{unit.name}: cannot be started ({unit.load})")
    if unit.active == "active":
        return None
    if unit.active == "failed":
        return Status.CRITICAL, one_line(f"{unit.name}: failed ({_reason(unit)})")
    if unit.sub == "auto-restart":  # between two tries: it does not run
        return Status.CRITICAL, one_line(f"{unit.name}: keeps failing ({_reason(unit)}), being restarted")
    if unit.active == "inactive":
        return Status.CRITICAL, f"{unit.name}: not running"
    return Status.WARNING, one_line(f"{unit.name}: {unit.active} ({unit.sub})")


def _reason(unit: Unit) -> str:
    return f"{unit.result}, status {unit.exit_status}" if unit.exit_status not in ("", "0") else unit.result


def _line(unit: Unit) -> str:
    state = unit.load if unit.load != "loaded" else f"{unit.active} ({unit.sub})"
    since = f" since {unit.since}" if unit.since and unit.active == "active" else ""
    return one_line(f"{unit.name}: {state}{since}, {unit.restarts} restarts")
