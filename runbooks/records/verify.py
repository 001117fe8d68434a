"""Computes the audit chain anew, and says which event is the first that does not fit, and how.

docs/audit.md says what each finding means, and has thirty lines that do the same without Maint.
"""

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Engine, select

from runbooks.proof.checkpoint import Checkpoint, Kind
from runbooks.proof.signing import PublicKey
from runbooks.proof.trail import Trail, believe, named, why_not
from runbooks.records import checkpoints
from runbooks.records.audit_tables import audit_events, audit_names
from runbooks.records.chain import GENESIS, mark_of
from runbooks.records.checkpoints import ANCHORED, PRUNED, Stored
from runbooks.records.database import open_database, reading
from runbooks.records.misfit import How, Misfit, classify
from runbooks.records.trouble import plain_errors
from runbooks.records.verify_rows import STRETCH, Names, Stretch, Told, read_stretch

#: The action under which the log tells of names that were forgotten.
FORGOTTEN = "audit.forgotten"
#: How often it begins again when events are removed for their age in the meantime.
_TRIES = 3

#: Events that are done, of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What the log says of itself. `removed_up_to`: events up to there were removed for their age.
    `anchored_to`: the last event that an anchor from outside the database knows, `confirmed`: how many agree.
    `signed_to`: the last that a checkpoint in the database knows. `refused`: anchors that nobody believes."""

    events: int
    first: int
    last: int
    last_hash: str
    removed_up_to: int = 0
    misfits: tuple[Misfit, ...] = ()
    confirmed: int = 0
    anchored_to: int = 0
    signed_to: int = 0
    refused: tuple[str, ...] = ()
    unknown_keys: int = 0

    @property
    def fits(self) -> bool:
        """Whether nothing was found that does not fit."""
        return not self.misfits


def verify(
    engine: Engine,
    *,
    keys: Iterable[PublicKey] = (),
    anchors: Iterable[Checkpoint] = (),
    progress: Progress | None = None,
    processes: int = 1,
) -> Verified:
    """`keys`: whose checkpoints are believed; `anchors`: from outside the database. Blocks; in memory is a
    stretch at a time. Raises RecordsError."""
    trusted, outside = tuple(keys), tuple(anchors)
    with plain_errors(engine.url):
        for _ in range(_TRIES):
            with reading(engine) as connection:
                basis = _basis(connection, trusted, outside)
            with _reader(engine, basis, processes) as read:
                found = _verify(engine, basis, read, progress or _silent)
            with reading(engine) as connection:
                if found.fits or checkpoints.pruned_up_to(connection) == basis.pruned:
                    break
    return found


@dataclass(frozen=True, kw_only=True)
class _Basis:
    """What is known before the events are read."""

    first: int
    last: int
    pruned: int
    pruned_hash: str
    names: Names
    forgotten: Mapping[str, str]  # mark -> whose name that was
    stored: tuple[Stored, ...]
    inside: Trail
    outside: Trail
    hashes: Mapping[int, str]
    misfits: tuple[Misfit, ...]


def _basis(connection: Connection, keys: tuple[PublicKey, ...], anchors: tuple[Checkpoint, ...]) -> _Basis:
    ordered = select(audit_events.c.seq).order_by
    first = connection.scalar(ordered(audit_events.c.seq).limit(1)) or 0
    last = connection.scalar(ordered(audit_events.c.seq.desc()).limit(1)) or 0
    stored = checkpoints.all_stored(connection)
    misfits = list(_checkpoint_faults(stored, keys))
    good = [each.checkpoint for each in stored if each.is_whole and each.checkpoint is not None]
    inside, outside = believe(good, keys), believe(anchors, keys)
    # Also one that nobody trusts: `_checkpoint_faults` told of it, and the rest is worth reading.
    prunes = [each for each in good if each.kind == Kind.PRUNE]
    newest = max(prunes, key=lambda each: each.seq, default=None)
    for seq, hash_ in outside.hashes.items():
        if inside.hashes.get(seq, hash_) != hash_:
            text = f"The checkpoint of event {seq} in the database is not the one that was anchored."
            misfits.append(Misfit(seq=seq, how=How.CHECKPOINT, text=text))
    for trail in (inside, outside):
        if trail.contradiction is not None:
            seq, text = trail.contradiction
            misfits.append(Misfit(seq=seq, how=How.CHECKPOINT, text=text))
    names, forgotten, wrong = _names(connection)
    misfits += wrong
    return _Basis(
        first=first,
        last=last,
        pruned=newest.seq if newest else 0,
        pruned_hash=newest.hash if newest else GENESIS,
        names=names,
        forgotten=forgotten,
        stored=stored,
        inside=inside,
        outside=outside,
        hashes={**inside.hashes, **outside.hashes},
        misfits=tuple(misfits),
    )


def _checkpoint_faults(stored: tuple[Stored, ...], keys: tuple[PublicKey, ...]) -> Iterator[Misfit]:
    """Every checkpoint must be what was signed, by a trusted key, and name the one before it."""
    whole = []
    for each in stored:
        if not each.is_whole or each.checkpoint is None:
            text = f"The checkpoint of event {each.seq} ({each.slot}) was changed."
            yield Misfit(seq=each.seq, how=How.CHECKPOINT, text=text, id=each.id)
            continue
        whole.append(each.checkpoint)
        fault = why_not(each.checkpoint, keys)
        if fault is not None and (keys or not each.checkpoint.fits_its_signature):
            text = f"{named(each.checkpoint)} {fault}."
            yield Misfit(seq=each.seq, how=How.CHECKPOINT, text=text, id=each.id)
    removed = 0
    reached = checkpoints.in_order(whole)
    for good in reached:
        if good.count != good.seq - removed:
            text = f"{named(good)} counts {good.count:,} events, and there were {good.seq - removed:,}."
            yield Misfit(seq=good.seq, how=How.CHECKPOINT, text=text)
        removed = good.seq if good.kind == Kind.PRUNE else removed
    if lost := [good for good in whole if good not in reached]:
        first = min(lost, key=lambda good: good.at)
        text = f"{named(first)} names one before it that is not there: a checkpoint was removed."
        yield Misfit(seq=first.seq, how=How.CHECKPOINT, text=text)


def _names(connection: Connection) -> tuple[Names, Mapping[str, str], list[Misfit]]:
    names: dict[str, tuple[str, str]] = {}
    forgotten: dict[str, str] = {}
    wrong = []
    for row in connection.execute(select(audit_names)):
        names[row.mark] = (row.actor_kind, row.actor_id)
        if row.removed_at is not None and (row.name, row.salt) == ("", ""):
            forgotten[row.mark] = row.actor_id
        elif mark_of(row.salt, row.name) != row.mark:
            text = f"A name of {row.actor_id} was changed: it is not the one that the events were made with."
            wrong.append(Misfit(seq=0, how=How.NAME, text=text))
    return names, forgotten, wrong


def _verify(engine: Engine, basis: _Basis, read: "_Read", progress: Progress) -> Verified:
    misfits = list(basis.misfits)
    count, last_hash = 0, ""
    told: list[Told] = []
    broken: Misfit | None = None
    anchored = max(basis.outside.hashes, default=0)
    known = max(basis.hashes, default=0)
    total = basis.last - basis.first + 1 if basis.last else 0
    begin = min(basis.first, basis.pruned + 1) if basis.last else 0
    if basis.last and (basis.first > basis.pruned + 1 or basis.first < 1):
        broken = _ask(engine, basis.pruned + 1 if basis.first > 0 else basis.first, "")
    prev, latest = (basis.pruned_hash if begin == basis.pruned + 1 else ""), ""
    if basis.last and broken is None:
        for first, stretch in read(begin, basis.last):
            broken = _fault(engine, first, stretch, prev, latest, basis)
            count += stretch.count
            told += stretch.told
            if broken is not None:
                break
            if stretch.unnamed >= 0:
                text = f"The name that event {stretch.unnamed} was made with is not there, or another's."
                misfits.append(Misfit(seq=stretch.unnamed, how=How.NAME, text=text))
            prev, latest, last_hash = stretch.last_hash, stretch.last_at, stretch.last_hash
            progress(count, total)
    if broken is None and basis.last < max(known, basis.pruned):
        broken = _cut_off(basis, known)
    if broken is None:
        misfits += _untold(basis, told)
    found = ([broken] if broken else []) + misfits
    stands = broken is None or broken.seq > anchored
    return Verified(
        events=count,
        first=basis.first,
        last=basis.last,
        last_hash=last_hash,
        removed_up_to=basis.pruned,
        misfits=tuple(found),
        confirmed=basis.outside.count if stands else 0,
        anchored_to=anchored if stands else 0,
        signed_to=max(basis.inside.hashes, default=0),
        refused=basis.outside.refused,
        unknown_keys=basis.outside.unknown + (basis.inside.unknown if not basis.inside.hashes else 0),
    )


def _fault(
    engine: Engine, first: int, stretch: Stretch, prev: str, latest: str, basis: _Basis
) -> Misfit | None:
    follows = not prev or stretch.first_prev == prev
    if stretch.count and (not follows or stretch.first_at < latest):
        return _ask(engine, first, prev)
    if stretch.bad >= 0:
        return _ask(engine, stretch.bad, stretch.last_hash or prev)
    if stretch.wrong_anchor >= 0:
        seq = stretch.wrong_anchor
        good = max((each for each in basis.hashes if each < seq), default=0)
        text = (
            f"Event {seq} is not the one that was anchored: something from event {good + 1} on was "
            "rewritten, and hashed anew."
        )
        return Misfit(seq=good + 1, how=How.REWRITTEN, text=text)
    return None


def _ask(engine: Engine, seq: int, prev: str) -> Misfit:
    with reading(engine) as connection:
        return classify(connection, seq, prev)


def _cut_off(basis: _Basis, known: int) -> Misfit:
    last = max(known, basis.pruned)
    text = (
        f"The log ends with event {basis.last}, and an anchor knows event {last}: at least "
        f"{last - basis.last:,} events were cut off at the end."
    )
    return Misfit(seq=basis.last + 1, how=How.CUT_OFF, text=text)


def _untold(basis: _Basis, told: list[Told]) -> Iterator[Misfit]:
    """What the events tell of must be there; and what is gone, they must tell of."""
    there = {each.checkpoint.digest for each in basis.stored if each.checkpoint is not None}
    forgotten: set[str] = set()
    for each in told:
        details = json.loads(each.details)
        if each.action in (ANCHORED, PRUNED) and details.get("document") not in there:
            text = f"The checkpoint that event {each.seq} tells of is not there any more."
            yield Misfit(seq=each.seq, how=How.CHECKPOINT, text=text)
        if each.action == FORGOTTEN:
            forgotten.update(details.get("marks", ()))
    for mark, whose in basis.forgotten.items():
        if mark not in forgotten:
            text = f"A name of {whose} was removed, and no event says that it was forgotten."
            yield Misfit(seq=0, how=How.NAME, text=text)


def _silent(_done: int, _total: int) -> None:
    pass


_Read = Callable[[int, int], Iterator[tuple[int, Stretch]]]


@contextmanager
def _reader(engine: Engine, basis: _Basis, processes: int) -> Iterator[_Read]:
    """Reads stretches in their order, in other processes where several are wanted."""
    if processes < 2 or basis.last - basis.first < STRETCH:
        with reading(engine) as connection:

            def read(first: int, last: int) -> Stretch:
                return read_stretch(connection, first, last, basis.names, basis.hashes)

            yield partial(_one_by_one, read)
        return
    url = engine.url.render_as_string(hide_password=False)
    # Spawned, not forked: this process has threads, and connections that belong to it alone.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, _begin, (url, basis.names, basis.hashes)) as pool:
        yield partial(_at_once, pool, 2 * processes)
        pool.shutdown(cancel_futures=True)


def _one_by_one(read: Callable[[int, int], Stretch], first: int, last: int) -> Iterator[tuple[int, Stretch]]:
    for begin in range(first, last + 1, STRETCH):
        yield begin, read(begin, min(begin + STRETCH - 1, last))


def _at_once(pool: ProcessPoolExecutor, ahead: int, first: int, last: int) -> Iterator[tuple[int, Stretch]]:
    waiting: list[tuple[int, Future[Stretch]]] = []
    for begin in range(first, last + 1, STRETCH):
        waiting.append((begin, pool.submit(_read_here, begin, min(begin + STRETCH - 1, last))))
        if len(waiting) >= ahead:
            at, done = waiting.pop(0)
            yield at, done.result()
    for at, done in waiting:
        yield at, done.result()


_HERE: list[tuple[Engine, Names, Mapping[int, str]]] = []


def _begin(url: str, names: Names, hashes: Mapping[int, str]) -> None:
    _HERE.append((open_database(url), names, hashes))


def _read_here(first: int, last: int) -> Stretch:
    engine, names, hashes = _HERE[0]
    with reading(engine) as connection:
        return read_stretch(connection, first, last, names, hashes)
