"""What is on a schedule, begun once by however many replicas, and after a pause as the file says.

Nothing is kept in memory: the time has come when a row says so, and who takes the row begins. A crash at any
point leaves a row that says what is left to do.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import structlog

from runbooks.engine.hold import Database
from runbooks.errors import MaintError, RecordsError, Refused
from runbooks.ids import new_id
from runbooks.records import audit, reports
from runbooks.records import schedules as records
from runbooks.records.audit import Outcome
from runbooks.records.person import Person
from runbooks.records.runs import RunRow
from runbooks.records.schedules import TickRow, TickState
from runbooks.spec.head import Schedule
from runbooks.spec.runbook import Runbook
from runbooks.watch.coming import PAUSED, because, come, tick_event
from runbooks.watch.entries import Entry, entries
from runbooks.watch.lease import CLAIM, Lease, held

log = structlog.get_logger()

#: The pause between two looks of a tick that is queued.
QUEUE_LOOK = timedelta(seconds=5)
#: After this nobody knows a schedule any more that is in no file.
FORGOTTEN = timedelta(hours=1)


class Starter(Protocol):
    """Starts runs: the engine."""

    async def start(
        self,
        runbook: str,
        params: Mapping[str, Any],
        by: Person,
        *,
        key: str | None = None,
        posted_in: str = "",
    ) -> RunRow: ...


class Reporter(Protocol):
    """Makes reports of runbooks that only look. What it does twice for the same tick is the same."""

    async def report(self, tick: TickRow, runbook: Runbook, schedule: Schedule) -> None: ...


class Schedules:
    """Every method raises RecordsError; then nothing is lost, and the next look does it."""

    def __init__(
        self,
        *,
        database: Database,
        runbooks: Mapping[str, Runbook],
        starter: Starter,
        now: Callable[[], datetime],
        reporter: Reporter | None = None,
    ) -> None:
        """`reporter`: without one, what only looks is a run as well."""
        self.entries = entries(runbooks)
        self._database = database
        self._starter = starter
        self._now = now
        self._reporter = reporter
        self._reports: dict[str, asyncio.Task[None]] = {}

    async def begin(self) -> None:
        """Takes over what the files say. A schedule that is new, or was edited, begins now."""
        now = self._now()
        wanted = [entry.as_wanted(now) for entry in self.entries.values()]
        await self._database.write(partial(records.keep, wanted=wanted))

    async def stop(self) -> None:
        """Breaks reports off that are under way: whoever looks when their claims are over makes them."""
        for task in self._reports.values():
            task.cancel()
        await self.reported()

    async def reported(self) -> None:
        """Returns when no report is under way."""
        await asyncio.gather(*self._reports.values(), return_exceptions=True)

    async def look(self) -> int:
        """Does what is due; how many ticks were begun with or came. Reports go on by themselves: a slow check
        must not keep what comes next."""
        now = self._now()
        due = await self._database.read(partial(records.due, now=now))
        for id_ in due:
            if entry := self.entries.get(id_):
                await self._database.write(partial(come, entry=entry, now=now))
        ticks = await self._database.read(partial(records.due_ticks, now=now))
        for tick in ticks:
            await self._take(tick, now)
        return len(due) + len(ticks)

    async def _take(self, tick: TickRow, now: datetime) -> None:
        entry = self.entries.get(tick.schedule)
        if tick.id in self._reports or (entry is None and now - tick.at < FORGOTTEN):
            return  # it is under way, or another replica may have a file with it
        claimed = await self._database.write(partial(self._claim, id_=tick.id, entry=entry, now=now))
        if claimed is None or entry is None:
            return
        if claimed.kind != "report" or self._reporter is None:
            await self._do(claimed, entry)
            return
        task = asyncio.create_task(self._report(claimed, entry), name=f"report {claimed.id}")
        self._reports[claimed.id] = task
        task.add_done_callback(lambda _: self._reports.pop(claimed.id, None))

    async def _report(self, tick: TickRow, entry: Entry) -> None:
        """As `_do`, with the claim kept while checks take their time."""
        async with held(self._database, tick, self._now) as lease:
            try:
                await self._do(tick, entry, lease)
            except RecordsError as error:
                log.warning("schedule.report.failed", tick=tick.id, error=str(error))

    async def _do(self, claimed: TickRow, entry: Entry, lease: Lease | None = None) -> None:
        run, state, outcome, note = "", TickState.DONE, Outcome.OK, ""
        try:
            run = await self._start(claimed, entry)
        except RecordsError:
            raise
        except Refused as error:
            state, outcome, note = TickState.SKIPPED, Outcome.DENIED, str(error)
        except MaintError as error:
            state, outcome, note = TickState.FAILED, Outcome.FAILED, str(error)
        except Exception:
            reference = new_id()[-8:]
            log.exception("schedule.crashed", tick=claimed.id, reference=reference)
            state, outcome = TickState.FAILED, Outcome.FAILED
            note = f"a fault in Maint itself: look for {reference} in its log"
        if note:
            log.warning("schedule.not_begun", tick=claimed.id, why=note)
        claimed = await lease.end() if lease else claimed
        await self._database.write(
            partial(self._close, tick=claimed, entry=entry, state=state, outcome=outcome, run=run, note=note)
        )

    def _claim(self, connection: Any, *, id_: str, entry: Entry | None, now: datetime) -> TickRow | None:
        """The tick when it is time to begin with it, and ours. Else what is to be done is done."""
        # By turns: of two ticks of one schedule the later one sees what became of the earlier.
        row = records.locked(connection, entry.id) if entry else None
        tick = records.claim(connection, id_, now, now + CLAIM)
        if tick is None:
            return None
        if entry is None:
            reports.expect_nothing(connection, tick.id)
            records.close(connection, tick, TickState.SKIPPED, note="it is on no schedule any more")
            return None
        if run := records.run_of_key(connection, tick.id):
            # Begun by a process that died before it could say so.
            self._close(
                connection, tick=tick, entry=entry, state=TickState.DONE, outcome=Outcome.OK, run=run, note=""
            )
            return None
        if row is not None and row.paused_at is not None:
            reports.expect_nothing(connection, tick.id)
            self._skip(connection, tick, entry, because(PAUSED, row))
            return None
        if not (before := records.earlier_open(connection, tick)):
            return tick
        if entry.schedule.overlap == "queue" or tick.queued_after:
            records.wait(connection, tick.id, now + QUEUE_LOOK, before)
            return None
        self._skip(connection, tick, entry, f"the one before is not over: {before}")
        return None

    async def _start(self, tick: TickRow, entry: Entry) -> str:
        """The run, or nothing when it is a report."""
        schedule, runbook = entry.schedule, entry.runbook
        if self._reporter is not None and tick.kind == "report":
            await self._reporter.report(tick, runbook, schedule)
            return ""
        run = await self._starter.start(
            runbook.name, schedule.params, entry.person, key=tick.id, posted_in=schedule.channel or ""
        )
        return run.id

    def _skip(self, connection: Any, tick: TickRow, entry: Entry, why: str) -> None:
        state, outcome = TickState.SKIPPED, Outcome.LATE
        self._close(connection, tick=tick, entry=entry, state=state, outcome=outcome, run="", note=why)

    def _close(
        self,
        connection: Any,
        *,
        tick: TickRow,
        entry: Entry,
        state: TickState,
        outcome: Outcome,
        run: str,
        note: str,
    ) -> None:
        if records.close(connection, tick, state, run=run, note=note):
            details = {"fire_at": tick.fire_at.isoformat(), "tick": tick.id}
            details |= {"reason": note} if note else {}
            audit.append(connection, tick_event(entry, outcome, self._now(), details, run))
