"""The engine of runs, as far as commands use it. `runbooks/engine/engine.py` is what they get."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from runbooks.engine.decided import Decided
from runbooks.records.freezes import Freeze
from runbooks.records.person import Person
from runbooks.records.runs import AskRow, EffectRow, LockRow, RunRow, RunView
from runbooks.spec.plan import Plan
from runbooks.steps.action import Preview


class Runs(Protocol):
    """Starts runs, shows them, and takes decisions about them. Everything that it does it records."""

    async def plan(
        self, runbook: str, params: Mapping[str, Any], approval: Mapping[str, Any] | None = None
    ) -> Plan:
        """`approval`: what a grant asks for beside, of `with_approval`."""

    async def previews(
        self, runbook: str, params: Mapping[str, Any], approval: Mapping[str, Any] | None = None
    ) -> Mapping[str, Preview]:
        """What its risky steps would reach at this moment, by path."""

    async def start(
        self,
        runbook: str,
        params: Mapping[str, Any],
        by: Person,
        *,
        channel: str = "",
        channel_name: str = "",
        key: str | None = None,
        approval: Mapping[str, Any] | None = None,
    ) -> RunRow: ...
    async def view(self, run: str) -> RunView | None: ...
    async def find(self, text: str) -> RunRow: ...
    async def runs(self, *, states: Sequence[str] = (), limit: int = 20) -> tuple[RunRow, ...]: ...
    async def journal(self, run: str) -> tuple[EffectRow, ...]:
        """What was done outside for a run, oldest first."""

    async def open_asks(self, kinds: Sequence[str], limit: int = 50) -> tuple[AskRow, ...]:
        """What people are asked at this moment, of these kinds, oldest first, over all runs."""

    async def decide(
        self,
        ask: str,
        choice: str,
        by: Person,
        *,
        holds: frozenset[str],
        reason: str = "",
        evidence: str = "",
        break_glass: bool = False,
        to: Person | None = None,
    ) -> Decided:
        """`to`: whom a manual step is handed over to, with the choice `assign`."""

    async def cancel(self, run: str, by: Person, reason: str) -> Decided: ...
    async def rollback(self, run: str, by: Person, reason: str) -> RunRow: ...
    async def unlock(self, target: str, by: Person, reason: str) -> Decided: ...
    async def locks(self) -> tuple[LockRow, ...]: ...
    async def stop_everything(self, by: Person, reason: str) -> Decided: ...
    async def resume_everything(self, by: Person, reason: str) -> Decided: ...
    async def paused(self) -> str: ...
    async def freeze(self, what: Freeze, by: Person, reason: str) -> Decided: ...
    async def unfreeze(self, id_: str, by: Person, reason: str = "") -> Decided: ...
    async def freezes(self) -> tuple[Freeze, ...]:
        """What is frozen now, the one that ends first before the others."""
