"""Carries runs with DBOS, segment by segment: whoever commits a change of a run enqueues what follows."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeVar

import structlog

from runbooks.engine.bell import Bell
from runbooks.errors import RecordsError
from runbooks.records.carriage import SCHEMA, prepare_carriage
from runbooks.records.trouble import plain_errors, where

log = structlog.get_logger()

T = TypeVar("T")

#: The queue, the workflow on it, and the owner of both.
QUEUE, WORKFLOW, APPLICATION = "runs", "advance", "maint"
#: DBOS would take a hash of the code, and let nobody carry on what an older or newer Maint enqueued.
VERSION = "maint"
#: Seconds that one call to the database may take, and that a cancelled segment has to clean up.
PATIENCE, GRACE = 60.0, 1.0
#: Seconds after which a result is usually noted.
TO_NOTE = 0.05
#: Seconds that stopping waits for results to be noted, and for DBOS to let go.
LONGEST_NOTE, LONGEST_STOP = 1.0, 15.0
#: Workflows that one transaction hands over or forgets.
BATCH = 500
_FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


def workflow_id(run: str, segment: int) -> str:
    """The id under which DBOS carries that segment; what makes a second enqueue do nothing."""
    return f"{run}/{segment}"


class Sender:
    """Enqueues segments, and tends the queue; carries none itself. For a process like a command's."""

    def __init__(self, database: Any) -> None:
        """`database` is the engine of the records."""
        self._database = database
        # Threads of our own: a database that hangs must not take those that resolve host names.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="carrier")

    @cached_property
    def _client(self) -> Any:
        from dbos import DBOSClient, DBOSPortableJSONSerializer

        return DBOSClient(
            system_database_engine=self._database,
            dbos_system_schema=SCHEMA,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
            # Whoever asks is told, and asks again; it would wait for the database for ever.
            retry_connection_errors=False,
        )

    async def prepare(self) -> None:
        """Makes DBOS's tables if they are not there yet. Raises RecordsError."""
        await self._in_thread(partial(prepare_carriage, self._database), patience=None)

    def enqueue(self, connection: Any, run: str, segment: int) -> None:
        """Has that segment carried by any replica once the caller's transaction is committed.

        A second time does nothing, also when the segment is finished, until it is forgotten. Blocks: for
        threads. Call `nudge()` after the commit.
        """
        options = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": workflow_id(run, segment),
            "app_version": VERSION,
            "application_name": APPLICATION,
        }
        self._client.enqueue_in_transaction(connection, options, run, segment)

    async def holders(self) -> tuple[str, ...]:
        """The executors that have segments under way, dead or alive."""
        return await self._in_thread(self._holders)

    async def resume(self, executors: Iterable[str]) -> int:
        """Puts what those dead executors had under way back on the queue; how many segments.

        Their processes may still be alive: what they write after that must be fenced off by whoever calls.
        """
        return await self._in_thread(partial(self._resume, tuple(executors)))

    async def forget(self, before: datetime) -> int:
        """Deletes the segments that ended before that time, batch by batch; how many.

        Enqueued again, such a segment would be carried again.
        """
        total = 0
        while forgotten := await self._in_thread(partial(self._forget, before)):
            total += forgotten
        return total

    def nudge(self) -> None:
        """Nobody here carries: whoever does looks by itself."""

    def close(self) -> None:
        """Takes no more calls."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _pending(self, executors: tuple[str, ...]) -> list[str]:
        if not executors:  # DBOS takes none for all
            return []
        found = self._client.list_workflows(
            status="PENDING",
            executor_id=list(executors),
            application_name=APPLICATION,
            load_input=False,
            load_output=False,
        )
        return [each.workflow_id for each in found]

    def _holders(self) -> tuple[str, ...]:
        found = self._client.list_workflows(
            status="PENDING", application_name=APPLICATION, load_input=False, load_output=False
        )
        return tuple(sorted({each.executor_id for each in found if each.executor_id}))

    def _resume(self, executors: tuple[str, ...]) -> int:
        return self._enqueue_again(self._pending(executors), executors)

    def _enqueue_again(self, workflows: Iterable[str], executors: tuple[str, ...]) -> int:
        # Not the public resume_workflows(): it would also take a workflow from a live executor that got
        # hold of it since we looked. This one does so only while one of these has it.
        again = partial(
            self._client._sys_db.reenqueue_for_recovery,
            executor_ids=list(executors),
            recovery_queue_name=QUEUE,
        )
        return sum(again(each) for each in workflows)

    def _forget(self, before: datetime) -> int:
        old = self._client.list_workflows(
            status=_FINISHED,
            completed_before=before.isoformat(),
            application_name=APPLICATION,
            limit=BATCH,
            load_input=False,
            load_output=False,
        )
        if old:
            self._client.delete_workflows([each.workflow_id for each in old])
        return len(old)

    async def _in_thread(self, work: Callable[[], T], patience: float | None = PATIENCE) -> T:
        def plainly() -> T:
            with plain_errors(self._database.url):
                return work()

        try:
            async with asyncio.timeout(patience):
                return await asyncio.get_running_loop().run_in_executor(self._threads, plainly)
        except TimeoutError as error:
            raise RecordsError(f"{where(self._database.url)} did not answer in {patience:g} s.") from error


class Carrier(Sender):
    """Calls `advance` for what is enqueued, here or on another replica: one per process, as DBOS is.

    A segment is carried at least once: again after a crash, and after a stop that did not wait for it. An
    `advance` that raises is logged and counts as done; the sweep for runs without a live segment finds its
    run. Replicas share how often to look and how many to carry: those of the one that started last.
    """

    def __init__(
        self,
        database: Any,
        executor: str,
        advance: Callable[[str, int], Awaitable[None]],
        *,
        polling: float = 1.5,
        concurrency: int = 50,
    ) -> None:
        """`executor` names this boot of this replica; `advance(run, segment)` runs in the loop of `start()`.

        Every `polling` seconds the queue is looked at, for what others enqueue; `concurrency` segments at
        a time are carried here.
        """
        super().__init__(database)
        self._executor = executor
        self._advance = advance
        self._polling, self._concurrency = polling, concurrency
        self._bell = Bell()
        self._under_way: dict[asyncio.Task[Any], str] = {}
        self._again: asyncio.TimerHandle | None = None
        self._suspects: set[str] = set()
        self._stopping = False
        # Segments that are left as they are, for others to carry.
        self._left: set[str] = set()
        self._worker: threading.Thread | None = None

    async def start(self) -> None:
        """Makes the tables if need be, and carries from now on. Raises RecordsError."""
        self._loop = asyncio.get_running_loop()
        await self.prepare()
        try:
            # In a thread without a loop: DBOS would take this one over, and its threads for its own.
            await self._in_thread(self._launch)
        except BaseException:
            await self.stop(0)
            raise

    def nudge(self) -> None:
        """Has the queue looked at now: something was committed for it. From any thread; never blocks."""
        self._bell.ring()

    async def reclaim(self) -> int:
        """Enqueues again what this replica has lost hold of, now and at the call before; how many segments.

        When the database goes away, DBOS may give up on a segment that it claimed or that just ended, and
        leave it to an executor that lives. Call it about once a minute.
        """
        return await self._in_thread(partial(self._reclaim, set(self._under_way.values())))

    async def stop(self, seconds: float) -> None:
        """Takes nothing new, gives what is under way that many seconds, and hands the rest over.

        What is cancelled goes back on the queue for other replicas, or for the next start. If the database
        is away it stays with this executor, and `resume()` by another replica finds it.
        """
        self._stopping = True
        self._bell.set()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=GRACE)
        try:
            await self._in_thread(self._let_go, patience=LONGEST_STOP)
        except RecordsError as error:
            log.warning("runs_not_handed_over", executor=self._executor, reason=str(error))
        self.close()

    def _launch(self) -> None:
        from dbos import DBOS, DBOSPortableJSONSerializer
        from dbos._queue import queue_worker_thread

        library = logging.getLogger("dbos")
        if not library.handlers:
            # Else it would write to stderr by itself, past our logs and what keeps secrets out of them.
            library.addHandler(logging.NullHandler())
        dbos = DBOS(
            config={
                "name": APPLICATION,
                "system_database_engine": self._database,
                "dbos_system_schema": SCHEMA,
                "application_version": VERSION,
                "executor_id": self._executor,
                "serializer": DBOSPortableJSONSerializer(),
                "run_migrations": False,
                # Its notifications are for what we do not use, and cost a wake-up every 10 ms.
                "use_listen_notify": False,
                # Nobody waits for them here, and stopping waits for this sleep to end.
                "notification_listener_polling_interval_sec": 0.3,
                "enable_otlp": False,
                "log_level": "WARNING",
                # Enough, when all that is carried here waits for a database that is away, to begin more.
                "max_executor_threads": self._concurrency + 8,
            }
        )
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)(self._make_workflow())
        DBOS.listen_queues([])  # its own worker could not be nudged
        DBOS.launch()
        queue = DBOS.register_queue(
            QUEUE,
            worker_concurrency=self._concurrency,
            polling_interval_sec=self._polling,
            on_conflict="always_update",
        )
        self._worker = threading.Thread(
            target=queue_worker_thread, args=(self._bell, dbos, queue), name="carrier-queue", daemon=True
        )
        self._worker.start()

    def _make_workflow(self) -> Callable[[str, int], Awaitable[None]]:
        async def advance(run: str, segment: int) -> None:
            carried = self._carry(run, segment)
            try:
                future = asyncio.run_coroutine_threadsafe(carried, self._loop)
            except RuntimeError:  # our loop has ended without a stop
                carried.close()
                raise asyncio.CancelledError from None
            await asyncio.wrap_future(future)

        return advance

    async def _carry(self, run: str, segment: int) -> None:
        """Runs in our loop. What is cancelled counts for DBOS as still under way, and can be handed over."""
        task = asyncio.current_task()
        assert task is not None
        if self._stopping:
            self._left.add(workflow_id(run, segment))
            raise asyncio.CancelledError
        self._under_way[task] = workflow_id(run, segment)
        try:
            await self._advance(run, segment)
        except asyncio.CancelledError:
            if task.cancelling():
                self._left.add(workflow_id(run, segment))
                raise
            # Nobody cancelled us: something inside let its own cancellation out.
            log.exception("segment_failed", run=run, segment=segment)
        except Exception:
            # An error is final to DBOS, and no one would look at it. The sweep does.
            log.exception("segment_failed", run=run, segment=segment)
        finally:
            del self._under_way[task]
            self._look_again()

    def _look_again(self) -> None:
        # There is room now for what was too much before. DBOS counts us until the result is noted.
        if self._again is None or self._again.when() <= self._loop.time():
            self._again = self._loop.call_later(TO_NOTE, self._bell.ring)

    def _let_go(self) -> None:
        from dbos import DBOS
        from dbos._dbos import _dbos_global_instance as dbos

        if self._worker is not None:
            self._worker.join(timeout=LONGEST_NOTE)
        if dbos is not None and dbos._sys_db_field is not None:
            # Its threads would wait for a database that is away for ever, and the process for them.
            dbos._sys_db_field._retry_connection_errors = False
        try:
            self._await_results()
        finally:
            # Forgets the workflow as well: it belongs to this carrier.
            DBOS.destroy(destroy_registry=True)
        self._resume((self._executor,))

    def _reclaim(self, carried: set[str]) -> int:
        missing = set(self._pending((self._executor,))) - carried
        # What was claimed this moment is not with us yet.
        lost, self._suspects = missing & self._suspects, missing
        return self._enqueue_again(lost, (self._executor,))

    def _await_results(self) -> None:
        # That a segment is done is noted after `advance` returned. Handed over before, it would run again.
        deadline = time.monotonic() + LONGEST_NOTE
        while set(self._pending((self._executor,))) - self._left and time.monotonic() < deadline:
            time.sleep(0.02)
