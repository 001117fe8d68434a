"""`postgres.verify_backup`: restores a backup into a scratch database, and compares it with its snapshot."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from psycopg import AsyncConnection
from pydantic import Field

from runbooks.backups.backup import Backup
from runbooks.errors import StepError
from runbooks.spec.model import parse_duration
from runbooks.steps.action import Action, ActionTimeout, Call, Done, Failed, Risk
from runbooks.steps.backup.programs import find_programs
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.restoring import NEWEST, Restore, chosen, restore, store_with
from runbooks.steps.backup.server import Scratch, connect, drop_database, look_at, make_database
from runbooks.steps.backup.snapshot import differences, facts_of, total_rows
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import BackupsTarget, PostgresTarget, TargetBase
from runbooks.visible import one_line


class PostgresVerifyBackup(Action[PostgresTarget]):
    """A backup counts when it was restored: this restores it, looks, and drops what it made."""

    kind: ClassVar[str] = "postgres.verify_backup"
    title: ClassVar[str] = "Proof of a backup"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    also_names: ClassVar[Mapping[str, type[TargetBase]]] = {"store": BackupsTarget, "scratch": PostgresTarget}
    risk: ClassVar[Risk] = Risk.LOW
    safe_to_repeat: ClassVar[bool] = True
    literal: ClassVar[frozenset[str]] = frozenset({"assertions"})
    outputs: ClassVar[Mapping[str, Output]] = {
        "id": Output(title="backup", number=False),
        "taken_at": Output(title="taken at", number=False),
        "bytes": Output(title="size", unit="bytes"),
        "tables": Output(title="tables"),
        "rows": Output(title="rows"),
        "seconds": Output(title="duration of the restore", unit="s"),
    }

    target: str
    backup: str = NEWEST
    store: str | None = None
    scratch: str | None = None
    assertions: tuple[str, ...] = Field(default=(), strict=False, max_length=100)
    jobs: int = Field(default=1, ge=1, le=64)
    timeout: ActionTimeout = parse_duration("6h")

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """Where it is restored to, and what is compared."""
        where = f"the server of {self.scratch}" if self.scratch else target.where()
        which = "the newest backup" if self.backup == NEWEST else f"the backup {self.backup}"
        lines = [
            f"restores {which} of {target.name} into a scratch database on {where}, and drops that again",
            "compares tables, rows and checksums with the snapshot that was backed up",
        ]
        return (*lines, *(f"demands that this is true: {one_line(each)}" for each in self.assertions))

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Proves it. Raises StepError: it is not proven then; the scratch database is gone all the same."""
        backup = await chosen(call.backups, target.name, self.backup, ("full", "schema"))
        store = await store_with(backup, call.targets, self.store)
        place = call.targets.get(self.scratch) if self.scratch else target
        if not isinstance(place, PostgresTarget):
            raise StepError(f"there is no target {self.scratch} of the type postgres")
        began = time.monotonic()
        async with Progress(call.tell) as progress, connect(place, call) as admin:
            server = await look_at(admin)
            programs = await find_programs(place, server.major)
            scratch = Scratch(admin, call.key)
            progress.begin("looking for what was left over")
            await scratch.sweep()
            try:
                await make_database(admin, scratch.name, backup.facts["settings"])
                what = Restore(
                    target=place,
                    reach=call,
                    database=scratch.name,
                    backup=backup,
                    store=store,
                    programs=programs,
                    progress=progress,
                    grace=self.grace,
                    jobs=self.jobs,
                    owners=False,
                )
                await restore(what)
                seconds = time.monotonic() - began
                progress.begin("comparing it with its snapshot")
                await self._compare(place, call, scratch.name, backup)
                progress.begin("asking what the runbook demands")
                await self._demand(place, call, scratch.name)
            finally:
                await _dropped(admin, scratch.name)
        await call.backups.proven(backup.id)
        return self._done(backup, seconds, call)

    async def _compare(self, target: PostgresTarget, call: Call, database: str, backup: Backup) -> None:
        wanted: Mapping[str, Any] = backup.facts.get("tables", {})
        found = await facts_of(target, call, database, backup.facts.get("checksums", ()))
        if told := differences(wanted, found):
            raise Failed(f"the backup {backup.name} is not what its snapshot had: {'; '.join(told)}")

    async def _demand(self, target: PostgresTarget, call: Call, database: str) -> None:
        for statement in self.assertions:
            async with connect(target, call, database, read_only=True) as connection:
                cursor = await connection.execute(statement.encode())
                rows = await cursor.fetchall() if cursor.description else []
            if rows != [(True,)]:
                said = "no rows" if not rows else one_line(str(rows[0]))
                raise Failed(f"the restored backup does not fulfil `{one_line(statement)}`: it gives {said}")

    def _done(self, backup: Backup, seconds: float, call: Call) -> Done:
        tables: Mapping[str, Any] = backup.facts.get("tables", {})
        age = (call.now() - backup.taken_at).total_seconds()
        demands = f" and {len(self.assertions)} demands" if self.assertions else ""
        return Done(
            values={
                "id": backup.id,
                "taken_at": f"{backup.taken_at:%Y-%m-%d %H:%M} UTC",
                "bytes": backup.bytes,
                "tables": len(tables),
                "rows": total_rows(tables),
                "seconds": round(seconds, 1),
            },
            summary=(
                f"the backup of {show(age, 's')} ago was restored in {show(seconds, 's')}: {len(tables)}"
                f" tables with {total_rows(tables):,} rows{demands} are as they were"
            ),
        )


async def _dropped(admin: AsyncConnection[Any], name: str) -> None:
    """Drops it whatever happens: who cancels us meanwhile waits. Where that fails, the next one finds it."""
    dropping = asyncio.ensure_future(drop_database(admin, name))
    try:
        await asyncio.shield(dropping)
    except asyncio.CancelledError:
        await asyncio.wait({dropping}, timeout=5)
        raise
