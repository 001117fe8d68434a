"""`audit:` in maint.yaml: how long the log is kept, where its anchors go, whose signatures are believed."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from runbooks.proof.signing import PublicKey, check_public_key
from runbooks.records.retention import SHORTEST_KEEP
from runbooks.spec.model import Duration, Name, Spec

#: S3's own limit.
_LONGEST_LOCK = 36_500


def _key(value: str) -> str:
    return check_public_key(value)


def _keep(value: timedelta) -> timedelta:
    if value < SHORTEST_KEEP:
        raise ValueError(
            f"at least {SHORTEST_KEEP.days}d: the database keeps younger events whatever is asked"
        )
    return value


def _plain_or_map(value: Any) -> Any:
    return {"key": value} if isinstance(value, str) else value


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a day looks like 2026-11-01") from None


def _midnight(value: date | None) -> datetime | None:
    return datetime.combine(value, time(), UTC) if value else None


#: A UTC day.
Day = Annotated[date, BeforeValidator(_day)]


class TrustedKey(Spec):
    """A public key, and from which UTC day on, and until which, it signed."""

    key: Annotated[str, AfterValidator(_key)]
    since: Day | None = None
    until: Day | None = None

    def public_key(self) -> PublicKey:
        """What a signature is held against."""
        return PublicKey(key=self.key, since=_midnight(self.since), until=_midnight(self.until))


class S3Anchors(Spec):
    """A bucket for anchors. With `lock_days` nobody can remove one so long; the bucket needs object lock."""

    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = "maint/anchors/"
    endpoint: str | None = None
    region: str | None = None
    lock_days: int | None = Field(default=None, ge=1, le=_LONGEST_LOCK)


class Anchors(Spec):
    """Where anchors are kept, beside the database. Every one of the places that are named gets each."""

    channel: Name | None = None
    file: str | None = Field(default=None, min_length=1)
    s3: S3Anchors | None = None


class Audit(Spec):
    """How the audit log is kept."""

    keep: Annotated[Duration, AfterValidator(_keep)] | None = None
    anchors: Anchors = Anchors()
    public_keys: tuple[Annotated[TrustedKey, BeforeValidator(_plain_or_map)], ...] = Field(
        default=(), strict=False
    )

    def trusted(self) -> tuple[PublicKey, ...]:
        """Whose signatures are believed, apart from our own."""
        return tuple(each.public_key() for each in self.public_keys)
