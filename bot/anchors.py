"""Anchors the audit log once a UTC day, and hands the anchors to the places beside the database."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from bot.settings import Loaded
from runbooks.errors import MaintError, UsageError
from runbooks.proof.places import FilePlace, Place
from runbooks.proof.proof import Proof
from runbooks.proof.signing import VARIABLE
from runbooks.records.records import Records

log = structlog.get_logger()

#: Seconds between two looks whether a new day has begun.
INTERVAL = 60.0
#: Seconds after which a place that refused is asked again, and the longest between two such tries.
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0


def make_proof(loaded: Loaded, records: Records, now: Callable[[], datetime]) -> Proof:
    """The proof of the audit log, as maint.yaml wants it. Raises ConfigError when boto3 is missing."""
    audit, places = loaded.settings.audit, list[Place]()
    if audit.anchors.file is not None:
        places.append(FilePlace(Path(audit.anchors.file)))
    if (s3 := audit.anchors.s3) is not None:
        from runbooks.proof.s3 import S3Place  # imports boto3, which takes its time

        places.append(
            S3Place(s3.bucket, s3.prefix, endpoint=s3.endpoint, region=s3.region, lock_days=s3.lock_days)
        )
    return Proof(
        records,
        now=now,
        key=loaded.audit_key,
        trusted=audit.trusted(),
        places=places,
        channel=loaded.settings.slack.channels.get(audit.anchors.channel or "", ""),
        keep=audit.keep,
    )


class Anchoring:
    """One for each process: the database sees to it that each day has one anchor. `run` until cancelled."""

    def __init__(
        self,
        proof: Proof,
        now: Callable[[], datetime],
        *,
        interval: float = INTERVAL,
        pause: float = FIRST_PAUSE,
    ) -> None:
        """`interval` and `pause` in seconds: between two looks, and after the first refusal of a place."""
        self._proof = proof
        self._now = now
        self._interval = interval
        self._pauses = {place.name: pause for place in proof.places}
        self._first_pause = pause
        self._due = dict.fromkeys(self._pauses, 0.0)
        self._handed: dict[str, str] = {}

    async def run(self) -> None:
        """Never returns. What goes wrong is logged, and tried again."""
        if not self._proof.signs:
            log.warning("audit.unanchored", do=f"maint audit key FILE makes a key for {VARIABLE}_FILE")
            return
        while True:
            try:
                await self._look()
            except MaintError as error:
                log.warning("audit.anchor.failed", error=str(error))
            except Exception:
                log.exception("audit.anchor.crashed")  # the next look may do better
            await asyncio.sleep(self._interval)

    async def _look(self) -> None:
        day = f"{self._now():%Y-%m-%d}"
        made = await self._proof.anchor(day)
        if made is not None:
            log.info("audit.anchored", seq=made.seq, day=day)
            if self._proof.keep is not None:
                await self._prune()
        for place in self._proof.places:
            await self._hand_over(place, day)

    async def _prune(self) -> None:
        try:
            removal, count = await self._proof.prune()
        except UsageError as error:  # it is held
            log.info("audit.prune.not", reason=str(error))
            return
        if removal is not None or count:
            log.info("audit.pruned", events=count)

    async def _hand_over(self, place: Place, day: str) -> None:
        """Once a day is enough where it worked: only then is there something new."""
        now = asyncio.get_running_loop().time()
        if self._handed.get(place.name) == day or now < self._due[place.name]:
            return
        try:
            await self._proof.hand_over(place)
        except MaintError as error:
            pause = self._pauses[place.name]
            log.warning("audit.anchor.refused", place=place.name, error=str(error), again_in=pause)
            self._due[place.name] = now + pause
            self._pauses[place.name] = min(2 * pause, LONGEST_PAUSE)
        else:
            self._handed[place.name] = day
            self._pauses[place.name] = self._first_pause
