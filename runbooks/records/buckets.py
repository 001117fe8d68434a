"""What is left of many measurements of one series: how many, how they were judged, and where they lay.

Nothing here knows the database. What is merged was exact before: counts, the mean, the lowest and the highest
stay so; percentiles of a merged bucket are the mean of its parts', weighted by how many each stands for.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

from runbooks.status import Status


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An hour or a day of a series, or any other span. `count` is of numbers; of none the rest is None."""

    unit: str = ""
    ok: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0
    skipped: int = 0
    count: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    @property
    def judged(self) -> int:
        """How often there was something to judge, and somebody tried."""
        return self.ok + self.warning + self.critical + self.unknown

    @property
    def up(self) -> float | None:
        """The share of those at which it worked: what is unknown did not; None when nothing was judged."""
        return (self.ok + self.warning) / self.judged if self.judged else None


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values lies; between two, in proportion."""
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    part = place - below
    between = ordered[below] * (1 - part) + ordered[above] * part
    # Rounding must not put it outside of the two that it lies between.
    return min(max(between, ordered[below]), ordered[above])


def bucket_of(found: Iterable[tuple[str, float | None]], unit: str = "") -> Bucket:
    """The bucket of results, each with its status and its number."""
    every = list(found)
    values = sorted(value for _, value in every if value is not None)
    seen = Counter(status for status, _ in every)
    judged = Bucket(
        unit=unit,
        ok=seen[Status.OK],
        warning=seen[Status.WARNING],
        critical=seen[Status.CRITICAL],
        unknown=seen[Status.UNKNOWN],
        skipped=seen[Status.SKIPPED],
    )
    if not values:
        return judged
    return _with_numbers(
        judged,
        count=len(values),
        mean=fsum(value / len(values) for value in values),
        low=values[0],
        high=values[-1],
        percentiles=(quantile(values, 0.5), quantile(values, 0.95), quantile(values, 0.99)),
    )


def merged(buckets: Iterable[Bucket]) -> Bucket:
    """One bucket for all that those stand for; the unit is that of the last one that has any."""
    every = list(buckets)
    units = [bucket.unit for bucket in every if bucket.unit]
    judged = Bucket(
        unit=units[-1] if units else "",
        ok=sum(bucket.ok for bucket in every),
        warning=sum(bucket.warning for bucket in every),
        critical=sum(bucket.critical for bucket in every),
        unknown=sum(bucket.unknown for bucket in every),
        skipped=sum(bucket.skipped for bucket in every),
    )
    full = [bucket for bucket in every if bucket.count]
    if not full:
        return judged
    weights = [bucket.count for bucket in full]
    return _with_numbers(
        judged,
        count=sum(weights),
        mean=_weighted(_numbers(bucket.mean for bucket in full), weights),
        low=min(_numbers(bucket.low for bucket in full)),
        high=max(_numbers(bucket.high for bucket in full)),
        percentiles=(
            _weighted(_numbers(bucket.p50 for bucket in full), weights),
            _weighted(_numbers(bucket.p95 for bucket in full), weights),
            _weighted(_numbers(bucket.p99 for bucket in full), weights),
        ),
    )


def _with_numbers(
    judged: Bucket,
    *,
    count: int,
    mean: float,
    low: float,
    high: float,
    percentiles: tuple[float, float, float],
) -> Bucket:
    # Sums of rounded numbers may leave their bounds by a hair, and the order among themselves.
    p50 = min(max(percentiles[0], low), high)
    p95 = min(max(percentiles[1], p50), high)
    return Bucket(
        unit=judged.unit,
        ok=judged.ok,
        warning=judged.warning,
        critical=judged.critical,
        unknown=judged.unknown,
        skipped=judged.skipped,
        count=count,
        mean=min(max(mean, low), high),
        low=low,
        high=high,
        p50=p50,
        p95=p95,
        p99=min(max(percentiles[2], p95), high),
    )


def _weighted(values: Sequence[float], weights: Sequence[int]) -> float:
    total = sum(weights)
    return fsum(value * (weight / total) for value, weight in zip(values, weights, strict=True))


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
