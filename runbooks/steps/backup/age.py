"""`backup.age` and `backup.proven`: how old the newest backup is, and the last one that was restored."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from runbooks.backups.backup import Backup
from runbooks.status import Status
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget

_OUTPUTS: Mapping[str, Output] = {
    "age_s": Output(title="age of the newest backup", unit="s"),
    "proven_s": Output(title="since the last proven restore", unit="s"),
    "bytes": Output(title="size", unit="bytes"),
    "count": Output(title="backups"),
}


class BackupAge(Check[PostgresTarget]):
    """The newest backup of a target. Without any it is critical."""

    kind = "backup.age"
    title = "Backup"
    needs = PostgresTarget
    outputs: ClassVar[Mapping[str, Output]] = _OUTPUTS
    headline = "age_s"

    of: Literal["full", "schema", "data"] = "full"

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """Looks into the catalogue; touches neither the database nor the backups."""
        return _measured(await reach.backups.present(target.name), self.of, reach, needs_proof=False)


class BackupProven(Check[PostgresTarget]):
    """When a backup of a target was last restored, and was what its snapshot had. Never is critical."""

    kind = "backup.proven"
    title = "Proven backup"
    needs = PostgresTarget
    outputs: ClassVar[Mapping[str, Output]] = _OUTPUTS
    headline = "proven_s"

    of: Literal["full", "schema", "data"] = "full"

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """Looks into the catalogue; touches neither the database nor the backups."""
        return _measured(await reach.backups.present(target.name), self.of, reach, needs_proof=True)


def _measured(there: Sequence[Backup], kind: str, reach: Reach, *, needs_proof: bool) -> Measured:
    backups = [each for each in there if each.kind == kind]
    if not backups:
        return Measured(values={"count": 0}, findings=((Status.CRITICAL, "there is no backup of it"),))
    newest, now = backups[0], reach.now()
    proofs = [each.proven_at for each in backups if each.proven_at]
    proven = (now - max(proofs)).total_seconds() if proofs else None
    findings = []
    if proven is None:
        status = Status.CRITICAL if needs_proof else Status.WARNING
        findings.append((status, "no backup of it was ever restored for a proof"))
    if newest.taken_at > now:
        findings.append((Status.WARNING, "its newest backup is of the future: look at the clocks"))
    last = "never restored" if proven is None else f"last proven restore: {show(proven, 's')}"
    return Measured(
        values={
            "age_s": (now - newest.taken_at).total_seconds(),
            "proven_s": proven,
            "bytes": newest.bytes,
            "count": len(backups),
        },
        summary=f"{show(newest.bytes, 'bytes')}, {last}",
        findings=tuple(findings),
        details=tuple(f"{each.taken_at:%Y-%m-%d %H:%M} UTC  {each.name}" for each in backups[:20]),
    )
