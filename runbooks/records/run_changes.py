"""How a run changes: begun, claimed, put to rest, woken, ended. Each is a part of the caller's transaction.

Who carries a run holds its fence: a counter that every claim raises. Whoever writes with an older one hits
no row, and learns so that the run is somebody else's now.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, func, insert, or_, select, update

from runbooks.records import cards, locks
from runbooks.records.insert import insert_into
from runbooks.records.run_tables import replicas, run_snapshots, run_steps, runs
from runbooks.records.runs import (
    OVER,
    Phase,
    RunRow,
    RunState,
    RunView,
    StepRow,
    WaitingOn,
    as_row,
    run_row,
    view,
)
from runbooks.records.switches import paused_reason

#: Puts a segment of a run into the queue, within the same transaction.
Enqueue = Callable[[Connection, str, int], None]

_RESTING = (RunState.QUEUED, RunState.WAITING, RunState.ASKING)

# Made once: to make such a statement anew takes longer than to execute it, and every step does. What they
# set besides comes with their parameters.
_TOUCH = (
    update(runs)
    .where(
        runs.c.id == bindparam("of_run"),
        runs.c.fence == bindparam("held"),
        runs.c.state == RunState.RUNNING,
    )
    .values(version=runs.c.version + 1)
    .returning(runs.c.version)
)
_CHANGE_STEP = update(run_steps).where(
    run_steps.c.run == bindparam("of_run"), run_steps.c.path == bindparam("at_path")
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What came of an attempt to carry on a run. Without a view there is nothing to do."""

    view: RunView | None
    fence: int = 0
    refused: str = ""


def begin(
    connection: Connection, run: RunRow, steps: Sequence[StepRow], snapshot: tuple[str, str], enqueue: Enqueue
) -> RunRow:
    """Adds a run with its steps and queues it; the run of the same key, if there is one already.

    `snapshot`: the path and the text of its runbook.
    """
    path, source = snapshot
    kept = insert_into(connection, run_snapshots).values(digest=run.snapshot, path=path, source=source)
    connection.execute(kept.on_conflict_do_nothing())
    statement = insert_into(connection, runs).values(**asdict(run)).on_conflict_do_nothing()
    if connection.execute(statement.returning(runs.c.id)).first() is None:
        return _of_key(connection, run.key)
    if steps:
        connection.execute(insert(run_steps), [asdict(step) for step in steps])
    enqueue(connection, run.id, run.segment)
    return run


def _of_key(connection: Connection, key: str | None) -> RunRow:
    found = run_row(connection, connection.execute(select(runs.c.id).where(runs.c.key == key)).scalar_one())
    assert found is not None
    return found


def claim(connection: Connection, run: str, segment: int, executor: str, now: datetime) -> Claim:
    """Takes the run, and reads it. Not while everything is stopped, and not before its locks are free."""
    row = connection.execute(
        select(runs.c.state, runs.c.segment, runs.c.locks, runs.c.started_at, runs.c.runbook)
        .where(runs.c.id == run)
        .with_for_update()
    ).first()
    if row is None or row.segment != segment or row.state in OVER:
        return Claim(view=None)
    why = WaitingOn.NOTHING
    if paused_reason(connection):
        why = WaitingOn.PAUSE
    elif not locks.acquire(connection, run, row.locks, f"runbook {row.runbook}", now):
        why = WaitingOn.LOCK
    if why:
        state = RunState.QUEUED if row.started_at is None else RunState.WAITING
        rest = {"state": state, "waiting_on": why, "wake_at": None, "executor": ""}
        version = connection.scalar(_changed(run).values(**rest).returning(runs.c.version))
        cards.want(connection, run, int(version or 0), 1)
        return Claim(view=None, refused=why)
    taken = {
        "state": RunState.RUNNING,
        "waiting_on": "",
        "wake_at": None,
        "executor": executor,
        "fence": runs.c.fence + 1,
        "started_at": row.started_at or now,
    }
    fence = connection.execute(_changed(run).values(**taken).returning(runs.c.fence)).scalar_one()
    return Claim(view=view(connection, run), fence=fence)


def _changed(run: str) -> Any:
    return update(runs).where(runs.c.id == run).values(version=runs.c.version + 1)


def touch(connection: Connection, run: str, fence: int, priority: int, **values: Any) -> bool:
    """The first statement of every write for a run; its cards are redrawn. False: it is somebody else's."""
    version = connection.execute(_TOUCH, {**values, "of_run": run, "held": fence}).scalar()
    if version is None:
        return False
    cards.want(connection, run, version, priority)
    return True


def rest(
    connection: Connection,
    run: str,
    fence: int,
    state: RunState,
    waiting_on: WaitingOn,
    until: datetime | None,
    priority: int,
) -> bool | None:
    """Puts the run down until somebody or the time wakes it. False when it was woken in the meantime, and
    there is more to do at once, after `heed`; None when it is somebody else's."""
    mine = (runs.c.fence == fence, runs.c.state == RunState.RUNNING)
    values = {"state": state, "waiting_on": waiting_on, "wake_at": until, "executor": ""}
    quiet = _changed(run).where(*mine, runs.c.wake_at.is_(None)).values(**values)
    version = connection.execute(quiet.returning(runs.c.version)).scalar()
    if version is not None:
        cards.want(connection, run, version, priority)
        return True
    woken = select(runs.c.id).where(runs.c.id == run, *mine)
    return False if connection.execute(woken).first() else None


def heed(connection: Connection, run: str, fence: int) -> None:
    """What woke the run while it was carried is about to be looked at."""
    mine = (runs.c.fence == fence, runs.c.state == RunState.RUNNING)
    connection.execute(update(runs).where(runs.c.id == run, *mine).values(wake_at=None))


def wake(connection: Connection, run: str, now: datetime, enqueue: Enqueue, *, priority: int = 1) -> bool:
    """Lets the run go on: a new segment is queued. One that is under way looks around before it rests.

    False when it is over.
    """
    statement = (
        _changed(run)
        .where(runs.c.state.in_(_RESTING))
        .values(
            segment=runs.c.segment + 1,
            state=case((runs.c.started_at.is_(None), RunState.QUEUED), else_=RunState.RUNNING),
            # Not to be woken again before it is claimed: the segment that is in the queue would be void.
            waiting_on="",
            wake_at=None,
            executor="",
        )
    )
    row = connection.execute(statement.returning(runs.c.segment, runs.c.version)).first()
    if row is not None:
        enqueue(connection, run, row.segment)
        cards.want(connection, run, row.version, priority)
        return True
    busy = update(runs).where(runs.c.id == run, runs.c.state == RunState.RUNNING).values(wake_at=now)
    return connection.execute(busy.returning(runs.c.id)).first() is not None


def end(connection: Connection, run: str, fence: int, state: RunState, note: str, now: datetime) -> bool:
    """The run is over: its locks are free, its secrets forgotten. False when it is somebody else's."""
    values: dict[str, Any] = {
        "waiting_on": "",
        "wake_at": None,
        "ended_at": now,
        "secrets": {},
        "note": note,
        "state": state,
    }
    if not touch(connection, run, fence, 2, **values):
        return False
    locks.release(connection, run)
    return True


def due(connection: Connection, now: datetime, limit: int = 200) -> tuple[str, ...]:
    """The runs whose time has come, the longest due first; none while everything is stopped."""
    # By what is due, of which there is little: SQLite would rather look through all runs of these states.
    state = func.coalesce(runs.c.state, "")
    query = select(runs.c.id).where(runs.c.wake_at <= now, state.in_(_RESTING))
    found = tuple(connection.scalars(query.order_by(runs.c.wake_at).limit(limit)))
    return () if found and paused_reason(connection) else found


def held_up(connection: Connection, why: WaitingOn) -> bool:
    """Whether any run waits for a lock, or for everything to go on."""
    return connection.execute(_held_up(why).limit(1)).first() is not None


def wake_held_up(connection: Connection, why: WaitingOn, now: datetime, enqueue: Enqueue) -> None:
    """Lets those look again that wait for a lock, or for everything to go on: of each lock the first."""
    waiting = connection.execute(_held_up(why).order_by(runs.c.created_at, runs.c.id)).all()
    if not waiting:
        return
    holders = {lock.target: lock.run for lock in locks.held(connection)}
    spoken_for: set[str] = set()
    for run, wanted in waiting:
        others = any(holders.get(target, run) != run for target in wanted)
        if why != WaitingOn.LOCK or not (others or spoken_for & set(wanted)):
            wake(connection, run, now, enqueue)
        spoken_for |= set(wanted)


def _held_up(why: WaitingOn) -> Select[tuple[str, Any]]:
    return select(runs.c.id, runs.c.locks).where(runs.c.waiting_on == why, runs.c.state.in_(_RESTING))


def is_due(connection: Connection, run: str, now: datetime) -> bool:
    """Whether its time has come, and nobody has woken it since we looked."""
    query = select(runs.c.id).where(runs.c.id == run, runs.c.wake_at <= now, runs.c.state.in_(_RESTING))
    return connection.execute(query.with_for_update()).first() is not None


def orphans(connection: Connection, mine: str, under_way: Iterable[str]) -> tuple[tuple[str, str, int], ...]:
    """The runs, each with its executor and its fence, that are marked as running by a replica that is gone,
    or by this one, which knows nothing of them. A run that waits in the queue has no executor: it is the
    queue's."""
    alive = select(replicas.c.id)
    lost = or_(
        runs.c.executor.not_in(alive),
        and_(runs.c.executor == mine, runs.c.id.not_in(tuple(under_way))),
    )
    query = select(runs.c.id, runs.c.executor, runs.c.fence).where(
        runs.c.state == RunState.RUNNING, runs.c.executor != "", lost
    )
    return tuple((row.id, row.executor, row.fence) for row in connection.execute(query))


def stranded(connection: Connection) -> tuple[tuple[str, int], ...]:
    """The runs, each with its segment, that nobody has and that wait for nothing: they are in the queue, or
    the queue lost them."""
    # One that was woken still says what it waited for. Found by the state: what is over waits for nothing.
    nothing = func.coalesce(runs.c.waiting_on, "") == WaitingOn.NOTHING
    query = select(runs.c.id, runs.c.segment).where(
        runs.c.state.in_((RunState.RUNNING, RunState.QUEUED)),
        runs.c.executor == "",
        or_(runs.c.state == RunState.RUNNING, nothing),
    )
    return tuple((row.id, row.segment) for row in connection.execute(query))


def queue_again(connection: Connection, run: str, segment: int, enqueue: Enqueue) -> None:
    """Queues a run anew that the queue lost; not if it moved in the meantime."""
    statement = (
        update(runs)
        .where(runs.c.id == run, runs.c.segment == segment, runs.c.executor == "")
        .values(segment=runs.c.segment + 1)
    )
    raised = connection.execute(statement.returning(runs.c.segment)).scalar()
    if raised is not None:
        enqueue(connection, run, raised)


def take_from(connection: Connection, run: str, executor: str, fence: int, enqueue: Enqueue) -> bool:
    """Queues a run anew that its executor lost. False when somebody did so before, or carries it again."""
    statement = (
        _changed(run)
        .where(runs.c.state == RunState.RUNNING, runs.c.executor == executor, runs.c.fence == fence)
        .values(segment=runs.c.segment + 1, executor="")
    )
    segment = connection.execute(statement.returning(runs.c.segment)).scalar()
    if segment is None:
        return False
    enqueue(connection, run, segment)
    return True


def stop(connection: Connection, run: str, how: str, reason: str) -> bool:
    """Asks a run to stop: `cancel` or `rollback`. False when it is over, or asked already."""
    statement = _changed(run).where(
        runs.c.state.not_in(tuple(OVER)), runs.c.stopping == "", runs.c.phase == Phase.FORWARD
    )
    return (
        connection.execute(statement.values(stopping=how, stop_reason=reason).returning(runs.c.id)).first()
        is not None
    )


def stopping(connection: Connection, run: str) -> tuple[str, int]:
    """What people asked for while it ran, and its fence."""
    row = connection.execute(select(runs.c.stopping, runs.c.fence).where(runs.c.id == run)).first()
    return (row.stopping, row.fence) if row else ("", -1)


def change_step(connection: Connection, run: str, path: str, **values: Any) -> None:
    """Changes a step's row, after `touch`."""
    connection.execute(_CHANGE_STEP, {**values, "of_run": run, "at_path": path})


def add_steps(connection: Connection, steps: Sequence[StepRow]) -> None:
    """Adds the steps that were not known when the run began; those that are there stay."""
    if steps:
        rows: list[Mapping[str, Any]] = [asdict(step) for step in steps]
        connection.execute(insert_into(connection, run_steps).values(rows).on_conflict_do_nothing())


def redraw(connection: Connection, run: str, priority: int) -> None:
    """The run's cards are out of date."""
    version = connection.execute(_changed(run).returning(runs.c.version)).scalar()
    if version is not None:
        cards.want(connection, run, version, priority)


def redraw_open(connection: Connection) -> None:
    """The cards of all runs that are not over are out of date."""
    still_open = runs.c.state.not_in(tuple(OVER))
    connection.execute(update(runs).where(still_open).values(version=runs.c.version + 1))
    cards.want_all(connection, select(runs.c.id, runs.c.version).where(still_open).subquery(), 2)


def end_unstarted(connection: Connection, run: str, note: str, now: datetime) -> bool:
    """A run that never began is over. False when it has begun in this very moment."""
    values = {"state": RunState.CANCELLED, "waiting_on": "", "wake_at": None, "ended_at": now}
    statement = _changed(run).where(runs.c.started_at.is_(None)).values(**values, secrets={}, note=note)
    return connection.execute(statement.returning(runs.c.id)).first() is not None


def later_on_locks(connection: Connection, run: RunRow) -> tuple[RunRow, ...]:
    """The runs that began after that one on any of its targets, whatever came of them."""
    if not run.locks:
        return ()
    query = select(runs).where(
        runs.c.created_at > run.created_at, runs.c.started_at.is_not(None), runs.c.id != run.id
    )
    later = (as_row(RunRow, row) for row in connection.execute(query.order_by(runs.c.created_at)))
    return tuple(other for other in later if set(other.locks) & set(run.locks))
