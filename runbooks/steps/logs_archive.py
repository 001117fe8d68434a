"""`logs.archive`: packs old logs, where they are, and puts what is packed into a store."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import model_validator

from runbooks.backups.log_naming import log_folder
from runbooks.errors import StepError
from runbooks.steps.action import Call, Failed, Preview, Risk
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.stores import store_named
from runbooks.steps.log_store import LogStoring, PackedLog, Stored
from runbooks.steps.log_sweep import Pattern, Sweep
from runbooks.steps.reach import Reach
from runbooks.steps.sent import run_there
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import BackupsTarget, HostTarget, TargetBase
from runbooks.visible import one_line

#: What is packed already.
_PACKED: tuple[Pattern, ...] = ("*.gz", "*.bz2", "*.xz", "*.zst", "*.lz4", "*.Z", ".maint-*")


class Archive(Sweep):
    """Packs what was not written to for `older_than` with gzip, and removes it once its copy is proven."""

    kind: ClassVar[str] = "logs.archive"
    title: ClassVar[str] = "Pack old logs"
    does: ClassVar[str] = "packs"
    did: ClassVar[str] = "packed"
    task: ClassVar[str] = "pack"
    also_names: ClassVar[Mapping[str, type[TargetBase]]] = {"to": BackupsTarget}
    outputs: ClassVar[Mapping[str, Output]] = {
        **Sweep.outputs,
        "stored": Output(title="stored"),
        "stored_bytes": Output(title="stored", unit="bytes"),
        "stored_before": Output(title="stored before"),
        "removed": Output(title="removed here, as they are stored"),
    }

    to: str | None = None
    remove: bool = False

    @model_validator(mode="after")
    def _is_kept_somewhere(self) -> Self:
        if self.remove and self.to is None:
            raise ValueError("`remove: true` takes a `to:`: what is packed would be nowhere")
        return self

    @property
    def risk(self) -> Risk:  # type: ignore[override] # a preview only looks
        """Nothing is lost by it; but what is removed is in the store alone."""
        return Risk.READ if self.show_only else Risk.MEDIUM if self.remove else Risk.LOW

    def plan_warnings(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002 - the hook
        """logrotate's own numbers."""
        if any(each[-1:].isdigit() for each in self.match):
            said = (
                f"{', '.join(self.match)}: a file that logrotate numbers and somebody else packs drops out "
                "of its numbers; use its own `compress` and `delaycompress` there, or `dateext`"
            )
            return (said,)
        return ()

    def lines(self, target: HostTarget) -> tuple[str, ...]:
        """As all sweeps, and that the original stays until the copy is proven."""
        proof = "the original goes when its copy is on the disk and unpacks to the same"
        found = [*super().lines(target), *(() if self.show_only else (proof,))]
        if self.to is not None:
            where = log_folder(target.name, self.folder)
            found.append(f"puts what is packed into {self.to}, under {where}, unless it is there already")
            found.append(
                "removes the packed file here when the store has proven that it has all of it"
                if self.remove
                else "the packed file stays here too"
            )
        return tuple(found)

    async def foresee(self, target: HostTarget, reach: Reach) -> Preview | None:
        """As all sweeps, and where the store is."""
        preview = await super().foresee(target, reach)
        store = reach.targets.get(self.to or "")
        if preview is None or store is None:
            return preview
        return Preview(lines=(f"what is packed goes to {store.name} ({store.where()})", *preview.lines))

    async def swept(self, target: HostTarget, call: Call, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Packs, then stores what is packed."""
        found = await super().swept(target, call, asked)
        if self.to is None:
            return found
        packed = await self._packed(target, call, asked, found)
        if asked["preview"]:
            found["marks"] += [each.mark for each in packed]
            return {**found, "packed": len(packed), "packed_bytes": sum(each.size for each in packed)}
        stored = Stored()
        try:
            await self._store(self.to, target, call, packed, stored)
        except StepError as error:
            raise Failed(
                f"{error}. {found['files']:,} files were packed and {len(stored.new):,} stored; nothing that "
                f"is packed was removed in {self.folder}. A repetition goes on from there"
            ) from error
        gone = await self._remove(target, call, asked, stored) if self.remove else {"files": 0, "freed": 0}
        freed = found["freed"] + gone["freed"]
        return {**found, "stored": stored, "removed": gone["files"], "freed": freed}

    async def _packed(
        self, target: HostTarget, call: Call, asked: Mapping[str, Any], found: Mapping[str, Any]
    ) -> list[PackedLog]:
        """What is packed: now, and by earlier runs; where a preview was shown, only what was in it."""
        wanted = {**self._about_packed(asked, call), "made": found["made"], "task": "list"}
        said = await run_there(self, target, call, "packed", wanted)
        return [
            PackedLog(path=path, size=size, mark=mark, sha256=sha256)
            for path, size, mark, sha256 in said["files"]
        ]

    def _about_packed(self, asked: Mapping[str, Any], call: Call) -> dict[str, Any]:
        match = [each if each.endswith(".gz") else f"{each}.gz" for each in self.match]
        at = {"now": call.now().timestamp()}  # an upload may have taken hours
        return {**asked, **at, "match": match, "exclude": (*self.exclude, ".maint-*")}

    async def _store(
        self, to: str, target: HostTarget, call: Call, packed: list[PackedLog], stored: Stored
    ) -> None:
        store = await asyncio.to_thread(store_named, to, call.targets)
        async with Progress(call.tell) as progress:
            storing = LogStoring(
                action=self, host=target, folder=self.folder, store=store, call=call, progress=progress
            )
            await storing.put(packed, stored)

    async def _remove(
        self, target: HostTarget, call: Call, asked: Mapping[str, Any], stored: Stored
    ) -> dict[str, Any]:
        """Removes those that are in every place, if they are still what was stored, and open to nobody."""
        marks = [each.mark for each in stored.there]
        wanted = {**self._about_packed(asked, call), "task": "remove", "only": marks}
        gone = await run_there(self, target, call, "sweep", wanted)
        if gone["failed"]["count"]:
            raise Failed(
                f"{gone['failed']['count']:,} packed files are stored, but could not be removed in "
                f"{self.folder} ({one_line(gone['failed']['names'][0])})"
            )
        return gone

    def values(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """As all sweeps, and what came into the store."""
        stored = found.get("stored") or Stored()
        return {
            **super().values(found),
            "stored": len(stored.new),
            "stored_bytes": stored.bytes,
            "stored_before": len(stored.there) - len(stored.new),
            "removed": found.get("removed", 0),
        }

    def summary(self, found: Mapping[str, Any]) -> str:
        """As all sweeps, and what came into the store."""
        said, values = super().summary(found), self.values(found)
        if self.to is None:
            return said
        if self.show_only:
            packed = f"{found['packed']:,} packed files, {show(found['packed_bytes'], 'bytes')}"
            return f"{said}; {packed}, would be looked for in {self.to}"
        parts = [f"{values['stored']:,} stored in {self.to}, {show(values['stored_bytes'], 'bytes')}"]
        parts += [f"{values['stored_before']:,} were there"] if values["stored_before"] else []
        parts += [f"{values['removed']:,} removed here"] if self.remove else []
        return f"{said}; {', '.join(parts)}"

    def asked(self, now: Callable[[], datetime], only: Any) -> dict[str, Any]:
        """The same, but for what is packed already."""
        known = super().asked(now, only)
        return {**known, "exclude": (*known["exclude"], *_PACKED)}
