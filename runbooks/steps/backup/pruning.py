"""`backup.preview` and `backup.prune`: what is no longer kept is shown first, and only that is removed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from runbooks.backups.backup import Backup, Catalogue
from runbooks.backups.place import PlaceError
from runbooks.backups.retention import Decision, Keep, decide
from runbooks.errors import StepError
from runbooks.spec.model import Spec
from runbooks.steps.action import Action, Call, Done, Failed, Preview, Risk
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.stores import Store, store_of
from runbooks.steps.reach import Reach
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import BackupsTarget, PostgresTarget, TargetBase

#: How many are shown and removed at a time; the rest another time. So many ids are whole on a gate's card.
MOST = 50
#: So many a plan and a gate name each in a line of its own; of more, so many ids in a line.
MOST_NAMED, _IN_A_LINE = 12, 8
#: Those that are left are named, some of them.
_MOST_LEFT = 3
#: What `ids` says when nothing goes.
NONE = "none"

_Count = Annotated[int, Field(ge=0, le=1000)]


class KeepField(Spec):
    """Of how many days, weeks, months and years with a backup the newest is kept."""

    daily: _Count = 7
    weekly: _Count = 4
    monthly: _Count = 12
    yearly: _Count = 7

    def words(self) -> str:
        """`7 daily, 4 weekly, 12 monthly, 7 yearly`."""
        return ", ".join(f"{count} {name}" for name, count in self)

    def as_keep(self) -> Keep:
        """The same for `decide`."""
        return Keep(daily=self.daily, weekly=self.weekly, monthly=self.monthly, yearly=self.yearly)


_ALWAYS = (
    "never the newest, the last one proven or restored, nor one on hold; nothing that Maint did not store"
)


class BackupPreview(Action[BackupsTarget]):
    """Says which backups of a store are no longer kept, and touches none."""

    kind: ClassVar[str] = "backup.preview"
    title: ClassVar[str] = "Backups that would go"
    needs: ClassVar[type[BackupsTarget]] = BackupsTarget
    also_names: ClassVar[Mapping[str, type[TargetBase]]] = {"of": PostgresTarget}
    risk: ClassVar[Risk] = Risk.READ
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "count": Output(title="backups that would go"),
        "bytes": Output(title="their size", unit="bytes"),
        "kept": Output(title="backups that stay"),
        "ids": Output(title="their ids", number=False),
    }

    target: str
    of: str | None = None
    keep: KeepField = KeepField()

    def lines(self, target: BackupsTarget) -> tuple[str, ...]:
        """What is kept."""
        whose = f" of {self.of}" if self.of else ""
        return (f"lists the backups{whose} in {target.name} that are not kept: {self.keep.words()}", _ALWAYS)

    async def foresee(self, target: BackupsTarget, reach: Reach) -> Preview:
        """What would go if it began now."""
        there = _in(target, await reach.backups.present(self.of))
        going = [each.backup for each in decide(there, self.keep.as_keep(), reach.now()) if each.goes]
        size = show(sum(each.bytes for each in going), "bytes")
        names = [f"{each.name}, {show(each.bytes, 'bytes')}" for each in going]
        return Preview(lines=(f"{len(going)} of {len(there)} would go, {size}", *names))

    async def act(self, target: BackupsTarget, call: Call) -> Done:
        """Decides, and shows it."""
        decided = decide(_in(target, await call.backups.present(self.of)), self.keep.as_keep(), call.now())
        going = [each.backup for each in decided if each.goes]
        # The oldest first: what is left over is for another time.
        shown = going[::-1][:MOST]
        size = sum(each.bytes for each in shown)
        return Done(
            values={
                "count": len(shown),
                "bytes": size,
                "kept": len(decided) - len(going),
                "ids": " ".join(each.id for each in shown) or NONE,
            },
            summary=(
                f"{len(shown)} of {len(decided)} would go, {show(size, 'bytes')}"
                if shown
                else f"all {len(decided)} are kept"
            ),
            output=_listing(decided),
        )


class BackupPrune(Action[BackupsTarget]):
    """Removes from a store the backups that a preview showed, if they still are not kept."""

    kind: ClassVar[str] = "backup.prune"
    title: ClassVar[str] = "Remove old backups"
    needs: ClassVar[type[BackupsTarget]] = BackupsTarget
    also_names: ClassVar[Mapping[str, type[TargetBase]]] = {"of": PostgresTarget}
    risk: ClassVar[Risk] = Risk.MEDIUM
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "count": Output(title="backups removed"),
        "bytes": Output(title="their size", unit="bytes"),
    }

    target: str
    of: str | None = None
    keep: KeepField = KeepField()
    shown: str = Field(min_length=1)

    @property
    def agreed(self) -> str:
        """The ids that were shown."""
        return self.shown

    def lines(self, target: BackupsTarget) -> tuple[str, ...]:
        """What goes, and what never does."""
        return (
            f"removes from {target.name} ({target.where()}) the backups that were shown, and no other",
            f"keeps {self.keep.words()}; {_ALWAYS}",
        )

    async def foresee(self, target: BackupsTarget, reach: Reach) -> Preview:
        """The backups that people say yes to, each with its id; what is not among them stays."""
        there = _in(target, await reach.backups.present(self.of))
        try:
            wanted, more = await self._chosen(there, reach.backups, reach.now())
        except StepError as error:
            return Preview(refused=str(error))
        size = show(sum(each.bytes for each in wanted), "bytes")
        return Preview(
            lines=(f"removes {len(wanted)} of {len(there)}, {size}", *_named(wanted), *_left(more))
        )

    async def act(self, target: BackupsTarget, call: Call) -> Done:
        """Removes them. Raises StepError before it begins when one of them is kept by now: what was shown is
        not what would be done."""
        there = _in(target, await call.backups.present(self.of))
        wanted, more = await self._chosen(there, call.backups, call.now())
        store = await asyncio.to_thread(store_of, target)
        async with Progress(call.tell) as progress:
            await _Removing(store=store, call=call, progress=progress).remove(wanted)
        size = sum(each.bytes for each in wanted)
        return Done(
            values={"count": len(wanted), "bytes": size},
            summary=f"{len(wanted)} removed, {show(size, 'bytes')}; {len(there) - len(wanted)} are there",
            output="\n".join([*(each.name for each in wanted), *_left(more)]),
        )

    async def _chosen(
        self, there: Sequence[Backup], catalogue: Catalogue, now: datetime
    ) -> tuple[list[Backup], list[Backup]]:
        """Those that were shown and go; and those that would go as well by now, and were not shown."""
        decided = {each.backup.id: each for each in decide(there, self.keep.as_keep(), now)}
        ids = [] if self.shown.strip() == NONE else self.shown.split()
        wanted = []
        for id_ in ids:
            decision = decided.get(id_)
            if decision is None:
                await self._was_removed(id_, catalogue)
            elif decision.goes:
                wanted.append(decision.backup)
            else:
                raise StepError(
                    f"{decision.backup.name} was shown, and is kept by now ({', '.join(decision.reasons)}):"
                    " nothing was removed. Look at what would go once more"
                )
        more = [each.backup for each in decided.values() if each.goes and each.backup.id not in ids]
        return wanted, more

    async def _was_removed(self, id_: str, catalogue: Catalogue) -> None:
        """One that a first try of ours has removed is no surprise; one that nobody knows is."""
        known = await catalogue.get(id_)
        if known is None or known.removed_at is None:
            raise StepError(f"there is no backup {id_[:60]!r} in this store: nothing was removed")


@dataclass(frozen=True, kw_only=True)
class _Removing:
    store: Store
    call: Call
    progress: Progress

    async def remove(self, wanted: Sequence[Backup]) -> None:
        """Each from all places, and then from the catalogue; what cannot be removed stays in it."""
        faults = []
        for backup in wanted:
            self.progress.begin(f"removing {backup.name}")
            fault = await self.progress.work(partial(self._from_all, backup))
            if fault:
                faults.append(fault)
            else:
                await self.call.backups.removed(backup.id)
        if faults:
            raise Failed(
                f"{len(faults)} of {len(wanted)} could not be removed, and stay in the list: {faults[0]}",
                "\n".join(faults),
            )

    def _from_all(self, backup: Backup) -> str:
        faults = []
        for place in self.store.places:
            if self.store.has(place, backup):
                try:
                    place.remove(backup.name, backup.sha256)
                except PlaceError as error:
                    faults.append(str(error))
        return "; ".join(faults)


def _in(target: BackupsTarget, there: Sequence[Backup]) -> list[Backup]:
    """Those that are in this store, and in no other: another store's are its own to keep."""
    return [each for each in there if each.stores == {target.name}]


def _named(backups: Sequence[Backup]) -> list[str]:
    """Each by its name and id; where they are too many for that, all of the ids, some in a line."""
    if len(backups) <= MOST_NAMED:
        return [f"{each.name} ({each.id}), {show(each.bytes, 'bytes')}" for each in backups]
    ids = [each.id for each in backups]
    return [" ".join(ids[begin : begin + _IN_A_LINE]) for begin in range(0, len(ids), _IN_A_LINE)]


def _left(more: Sequence[Backup]) -> list[str]:
    """What is not kept any more either, and was not shown."""
    named = [f"stays, as it was not shown: {each.name}" for each in more[:_MOST_LEFT]]
    rest = len(more) - len(named)
    return [*named, *([f"and {rest} more stay, as they were not shown"] if rest else [])]


def _listing(decided: Sequence[Decision]) -> str:
    lines = [
        f"{'GOES' if each.goes else 'stays'}  {each.backup.taken_at:%Y-%m-%d %H:%M}  "
        f"{show(each.backup.bytes, 'bytes'):>10}  {each.backup.name}  {', '.join(each.reasons)}".rstrip()
        for each in decided
    ]
    return "\n".join(lines)
