"""The proof of the audit log, as commands and the clock use it: verified, anchored, held, shortened."""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from runbooks.errors import UsageError
from runbooks.proof.checkpoint import Checkpoint
from runbooks.proof.places import Place, PlaceError, read_file
from runbooks.proof.signing import VARIABLE, PublicKey, SigningKey
from runbooks.proof.trail import why_not
from runbooks.records import checkpoints, outbox, retention
from runbooks.records.audit import Outcome, append, done_by
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.records.verify import Progress, Verified, verify

#: Under which action a verification stands in the log.
VERIFIED = "audit.verified"
#: Seconds that all the places together have to say what they know.
LONGEST_ASK = 60.0
#: That compute hashes at the same time, where there are many events.
PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a verification found. `unread`: places that did not say what they have; `held`: who holds the log;
    `signs`: whether there is a key to make anchors with; `kept`: how many anchors each place has."""

    log: Verified
    unread: tuple[str, ...] = ()
    kept: tuple[tuple[str, int], ...] = ()
    held: str = ""
    signs: bool = False


class Proof:
    """What blocks goes through threads. All raise RecordsError, and UsageError for what cannot be."""

    def __init__(
        self,
        records: Records,
        *,
        now: Callable[[], datetime],
        key: SigningKey | None = None,
        trusted: Iterable[PublicKey] = (),
        places: Sequence[Place] = (),
        channel: str = "",
        keep: timedelta | None = None,
    ) -> None:
        """`channel`: the id of where anchors are posted; `keep`: how long events stay, None for ever."""
        self.places = tuple(places)
        self.keep = keep
        self._records = records
        self._now = now
        self._key = key
        self._channel = channel
        own = key.public if key else ""
        named = tuple(trusted)
        # Our own key counts as if it had been named, unless somebody said from when to when it holds.
        known = any(each.key == own for each in named)
        self._keys = named if known or not own else (*named, PublicKey(key=own))

    @property
    def signs(self) -> bool:
        """Whether there is a key to sign with."""
        return self._key is not None

    async def verify(
        self, by: Person, *, files: Sequence[Path] = (), progress: Progress | None = None
    ) -> Findings:
        """Computes the chain anew, with the anchors of every place and those of the files; an event tells of
        it. Raises PlaceError for a file that cannot be read."""
        given = [anchor for file in files for anchor in await asyncio.to_thread(read_file, file)]
        if files and not given:
            raise UsageError('There is no anchor in what was given: one looks like {"anchor":{…},…}.')
        anchors, kept, unread = list(given), [], []
        for place in self.places:
            try:
                async with asyncio.timeout(LONGEST_ASK):
                    found = await asyncio.to_thread(place.read)
            except (PlaceError, TimeoutError) as error:
                unread.append(str(error) or f"{place.name} did not answer in {LONGEST_ASK:g} s.")
                continue
            anchors += found
            kept.append((place.name, len(found)))
        log = await self._compute(anchors, progress)
        held = await self._records.read(retention.held)
        await self._record(by, VERIFIED, Outcome.OK if log.fits else Outcome.FAILED, _told(log, unread))
        return Findings(log=log, unread=tuple(unread), kept=tuple(kept), held=held, signs=self.signs)

    async def _compute(self, anchors: Sequence[Checkpoint], progress: Progress | None) -> Verified:
        stop = Event()

        def step(done: int, total: int) -> None:
            if stop.is_set():
                raise UsageError("The verification was broken off.")
            if progress is not None:
                progress(done, total)

        try:
            return await asyncio.to_thread(
                verify,
                self._records.engine,
                keys=self._keys,
                anchors=anchors,
                progress=step,
                processes=min(PROCESSES, os.cpu_count() or 1),
            )
        except asyncio.CancelledError:
            stop.set()  # a thread cannot be cancelled: it ends with its stretch
            raise

    async def anchor(self, slot: str, by: Person = checkpoints.MAINT) -> Checkpoint | None:
        """Signs the head of the chain, once for that slot over all replicas, and has it posted. None when it
        was done before, or nothing is in the log. Raises UsageError without a key."""
        key = self._need_key()

        def work(connection: Any) -> Checkpoint | None:
            made = checkpoints.add_anchor(connection, key, self._now(), slot, by)
            if made is not None and self._channel:
                said = f"The audit log up to event {made.seq:,}, signed. Its verification reads this message."
                body = {"name": said, "text": made.line}
                outbox.put(connection, "", "output", body, channel=self._channel, key=f"anchor:{made.digest}")
            return made

        return await self._records.write(work)

    async def hand_over(self, place: Place) -> int:
        """Gives a place every anchor that it has not; how many. Raises PlaceError."""
        stored = await self._records.read(checkpoints.all_stored)
        made = [each.checkpoint for each in stored if each.is_whole and each.checkpoint is not None]
        # What is not ours to believe is not handed on: it would be refused there, and stay for ever.
        good = [each for each in checkpoints.in_order(made) if why_not(each, self._keys) is None]
        return await asyncio.to_thread(place.keep, good)

    async def hold(self, on: bool, by: Person, reason: str) -> bool:
        """Stops every removal, or allows it again; False when it was so."""
        return await self._records.write(
            lambda connection: retention.hold(connection, on, by, reason, self._now())
        )

    async def prune(self, by: Person = checkpoints.MAINT) -> tuple[Checkpoint | None, int]:
        """Removes what is older than `keep`, up to an anchor: the checkpoint that signs it off, and how many
        events went. What was signed off before and is still there goes too."""
        key, keep = self._need_key(), self.keep
        if keep is None:
            raise UsageError("Events are kept for ever: maint.yaml has no `audit: {keep: 400d}`.")
        begin = partial(retention.begin_removal, key=key, keys=self._keys, keep=keep, now=self._now(), by=by)
        removal = await self._records.write(begin)
        count = 0
        while some := await self._records.write(retention.remove_batch):
            count += some
        return removal, count

    async def forget(self, whom: str, by: Person, reason: str) -> tuple[str, int]:
        """Removes the names of an actor: their id, and how many names. `whom`: the id, or a name that only
        one has. Raises UsageError when nobody, or more than one, is called so."""

        def work(connection: Any) -> tuple[str, int]:
            ids = retention.people_called(connection, whom)
            if len(ids) > 1:
                raise UsageError(f"Several are called so: name one of {', '.join(ids[:10])}.")
            if not ids:
                raise UsageError("Nobody of that id or name is in the audit log.")
            return ids[0], retention.forget(connection, ids[0], by, reason, self._now())

        return await self._records.write(work)

    def _need_key(self) -> SigningKey:
        if self._key is None:
            raise UsageError(
                f"There is no key to sign with: maint audit key FILE makes one for {VARIABLE}_FILE."
            )
        return self._key

    async def _record(self, by: Person, action: str, outcome: str, details: dict[str, Any]) -> None:
        event = done_by(by, action, outcome, details=details, at=self._now())
        await self._records.write(lambda connection: append(connection, event))


def _told(log: Verified, unread: Sequence[str]) -> dict[str, Any]:
    found = log.misfits[0] if log.misfits else None
    return {
        "events": log.events,
        "first": log.first,
        "last": log.last,
        "hash": log.last_hash,
        "anchored_to": log.anchored_to,
        "unread": len(unread),
        **({"at": found.seq, "how": found.how, "misfits": len(log.misfits)} if found else {}),
    }
