"""A double of the engine on the real records: it decides as the engine does, and carries out nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, update

from commands.runs_facade import Plan
from runbooks.engine.decided import Decided, Verdict
from runbooks.engine.decisions import decide
from runbooks.errors import UsageError
from runbooks.records import cards, runs
from runbooks.records.cards import Card
from runbooks.records.freezes import Freeze
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.run_tables import asks as asks_table
from runbooks.records.run_tables import runs as runs_table
from runbooks.records.runs import AskRow, EffectRow, LockRow, RunRow, RunView
from runbooks.spec.approval import with_approval
from runbooks.spec.params import parse_params
from runbooks.spec.plan import make_plan
from runbooks.spec.runbook import Runbook
from runbooks.steps.action import Preview
from runbooks.targets import TargetBase
from tests.records.card_rows import add_run


class RowsEngine:
    """The facade of the engine, as far as buttons and forms use it."""

    def __init__(
        self, records: Records, runbooks: Mapping[str, Runbook], targets: Mapping[str, TargetBase]
    ) -> None:
        self._records = records
        self._runbooks = runbooks
        self._targets = targets
        #: What `start` was given, secrets included.
        self.started: list[Mapping[str, Any]] = []
        self.cancelled: list[str] = []

    async def plan(
        self, runbook: str, params: Mapping[str, Any], approval: Mapping[str, Any] | None = None
    ) -> Plan:
        book = with_approval(self._runbooks[runbook], approval)
        return make_plan(book, parse_params(book.params, params, self._targets), self._targets)

    async def previews(
        self,
        runbook: str,
        params: Mapping[str, Any],
        approval: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Preview]:
        return {}

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
    ) -> RunRow:
        values = parse_params(self._runbooks[runbook].params, params, self._targets)
        self.started.append(values)

        def work(connection: Connection) -> RunRow:
            now = datetime.now(UTC)
            title = f"Run of {runbook}"
            run = add_run(connection, key=key, runbook=runbook, title=title, params={}, created_at=now)
            cards.add(connection, Card(kind="run", correlation=run, channel=channel, wanted=1, priority=1))
            found = runs.run_row(connection, run)
            assert found is not None
            return found

        return await self._records.write(work)

    async def view(self, run: str) -> RunView | None:
        return await self._records.read(lambda connection: runs.view(connection, run))

    async def find(self, text: str) -> RunRow:
        found = await self._records.read(lambda connection: runs.find(connection, text))
        if len(found) != 1:
            raise UsageError("There is no such run.")
        return found[0]

    async def runs(self, *, states: Sequence[str] = (), limit: int = 20) -> tuple[RunRow, ...]:
        return await self._records.read(lambda c: runs.newest(c, states=states, limit=limit))

    async def journal(self, run: str) -> tuple[EffectRow, ...]:
        return await self._records.read(lambda connection: runs.effect_rows(connection, run))

    async def open_asks(self, kinds: Sequence[str], limit: int = 50) -> tuple[AskRow, ...]:
        query = select(asks_table).where(asks_table.c.kind.in_(kinds)).limit(limit)
        return await self._records.read(lambda c: tuple(runs.as_row(AskRow, row) for row in c.execute(query)))

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
        def work(connection: Connection) -> Decided:
            decided = decide(
                connection,
                ask_id=ask,
                choice=choice,
                by=by,
                holds=holds,
                now=datetime.now(UTC),
                wake=lambda _connection, _run: None,
                reason=reason,
                evidence=evidence,
                break_glass=break_glass,
                to=to,
            )
            if decided.outcome in (Verdict.COUNTED, Verdict.CLOSED):
                _raise_version(connection, decided.run)
            return decided

        return await self._records.write(work)

    async def cancel(self, run: str, by: Person, reason: str) -> Decided:
        self.cancelled.append(reason)

        def work(connection: Connection) -> None:
            values = {"stopping": "cancel", "stop_reason": f"{by.name}: {reason}"}
            connection.execute(update(runs_table).where(runs_table.c.id == run).values(values))
            _raise_version(connection, run)

        await self._records.write(work)
        return Decided(outcome=Verdict.CLOSED, text="It is asked to stop.", run=run)

    async def rollback(self, run: str, by: Person, reason: str) -> RunRow:
        view = await self.view(run)
        assert view is not None
        return replace(view.run, rollback_of=run)

    async def unlock(self, target: str, by: Person, reason: str) -> Decided:
        raise NotImplementedError

    async def locks(self) -> tuple[LockRow, ...]:
        return ()

    async def stop_everything(self, by: Person, reason: str) -> Decided:
        raise NotImplementedError

    async def resume_everything(self, by: Person, reason: str) -> Decided:
        raise NotImplementedError

    async def paused(self) -> str:
        return ""

    async def freezes(self) -> tuple[Freeze, ...]:
        return ()


def _raise_version(connection: Connection, run: str) -> None:
    version = connection.execute(select(runs_table.c.version).where(runs_table.c.id == run)).scalar_one() + 1
    connection.execute(update(runs_table).where(runs_table.c.id == run).values(version=version))
    cards.want(connection, run, version, 3)
