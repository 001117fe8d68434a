"""What stands of runs, for those who only look."""

from collections.abc import Iterable
from functools import partial

from runbooks.engine.hold import Database
from runbooks.errors import UsageError
from runbooks.records import asks, locks
from runbooks.records import runs as run_records
from runbooks.records.freezes import Freeze, not_ended
from runbooks.records.runs import AskRow, EffectRow, LockRow, RunRow, RunView
from runbooks.records.switches import paused_reason


class Looks:
    """Every method reads once, and changes nothing. All raise RecordsError."""

    _database: Database

    async def view(self, run: str) -> RunView | None:
        """Everything that stands of a run."""
        return await self._database.read(partial(run_records.view, run=run))

    async def find(self, text: str) -> RunRow:
        """The run of that id, or with that ending. Raises UsageError when it is none, or several."""
        typed = text.strip().casefold()
        if len(typed) < 4:
            raise UsageError("A run is named by its id, or by the last letters of it: at least 4.")
        found = await self._database.read(partial(run_records.find, beginning=typed))
        if not found:
            raise UsageError(f"There is no run {text[:40]!r}. `runs` lists the newest.")
        exact = [run for run in found if run.id == typed]
        if len(found) > 1 and not exact:
            # Not of which runbooks: whether the person may see them, nobody has asked yet.
            names = ", ".join(run.id[-8:] for run in found)
            raise UsageError(f"{text[:40]!r} could be {names}: give more letters.")
        return (exact or found)[0]

    async def runs(self, *, states: Iterable[str] = (), limit: int = 20) -> tuple[RunRow, ...]:
        """The newest runs."""
        return await self._database.read(partial(run_records.newest, states=tuple(states), limit=limit))

    async def journal(self, run: str) -> tuple[EffectRow, ...]:
        """What a run did outside, oldest first."""
        return await self._database.read(partial(run_records.effect_rows, run=run))

    async def open_asks(self, kinds: Iterable[str], limit: int = 50) -> tuple[AskRow, ...]:
        """What people are asked at this moment, oldest first, over all runs."""
        return await self._database.read(partial(asks.open_asks, kinds=tuple(kinds), limit=limit))

    async def locks(self) -> tuple[LockRow, ...]:
        """Every lock that is held."""
        return await self._database.read(locks.held)

    async def paused(self) -> str:
        """Who stopped everything, and why; empty when nobody did."""
        return await self._database.read(paused_reason)

    async def freezes(self) -> tuple[Freeze, ...]:
        """What is frozen, the one that ends first before the others."""
        return await self._database.read(not_ended)
