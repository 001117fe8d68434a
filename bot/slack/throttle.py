"""Token buckets: how often a person may ask, and how often Maint may edit."""

import time
from collections import OrderedDict
from collections.abc import Callable


class Bucket:
    """Holds up to `size` tokens and gains `per_second`. Starts full."""

    def __init__(self, size: float, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._per_second = per_second
        self._now = now
        self._tokens = size
        self._at = now()

    def take(self, keep: float = 0.0) -> bool:
        """Takes a token, unless fewer than `keep` would be left."""
        now = self._now()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1 + keep:
            return False
        self._tokens -= 1
        return True

    def wait(self) -> float:
        """Seconds until there is a token."""
        return max(0.0, (1 - self._tokens) / self._per_second)


class Throttle:
    """One bucket a person: `per_minute` commands, up to a third of them at once."""

    def __init__(
        self, per_minute: int, now: Callable[[], float] = time.monotonic, most: int = 10_000
    ) -> None:
        self._per_minute = per_minute
        self._now = now
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._refused: set[str] = set()

    def admit(self, person: str) -> float | None:
        """None if the person may go on; else the seconds to wait."""
        bucket = self._buckets.get(person)
        if bucket is None:
            bucket = Bucket(max(1, self._per_minute / 3), self._per_minute / 60, self._now)
            self._buckets[person] = bucket
            if len(self._buckets) > self._most:
                self._refused.discard(self._buckets.popitem(last=False)[0])
        self._buckets.move_to_end(person)
        if bucket.take():
            self._refused.discard(person)
            return None
        return bucket.wait()

    def first_refusal(self, person: str) -> bool:
        """Whether this is the first refusal since the person was last let in: one flood, one audit event."""
        first = person not in self._refused
        self._refused.add(person)
        return first
