"""`redis.slowlog` and `redis.big_keys`: what takes a Redis its time, and its memory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field
from redis.asyncio import Redis

from runbooks.spec.model import Duration, parse_duration, show_duration, up_to
from runbooks.steps.reach import Reach
from runbooks.steps.redis_client import connected, lacks_commands
from runbooks.steps.step import Check, Measured, Output, Timeout
from runbooks.steps.units import show
from runbooks.targets import RedisTarget
from runbooks.visible import one_line

#: Entries of the slow log that are fetched; Redis keeps 128 by default.
MOST_ENTRIES = 1000
#: Keys that one SCAN asks for: at its own pace, so that nobody waits behind it.
BATCH = 500
#: What of a key's name is a number, or an identifier: keys that differ in nothing else are of one sort.
_CHANGING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-fA-F]{16,}|\d+")
#: Characters of a key, or of a sort of keys, that are shown.
SHOWN = 80


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A command that was slow: its number, when it ran, how long (ms), and its first word."""

    id: int
    at: datetime
    ms: float
    command: str


def read_entry(found: Mapping[str, Any]) -> Entry:
    """An entry of the slow log. Only the command's name is kept: its arguments are people's data."""
    command = found.get("command", "")  # bytes, whatever the client was told: an argument may be anything
    text = command.decode("utf-8", "replace") if isinstance(command, bytes) else str(command)
    words = text.split()
    return Entry(
        id=int(found["id"]),
        at=datetime.fromtimestamp(int(found["start_time"]), UTC),
        ms=float(found["duration"]) / 1000,
        command=words[0].upper() if words else "?",
    )


class RedisSlowlog(Check[RedisTarget]):
    """Which commands were slow since the last measurement, by Redis' own slow log."""

    kind: ClassVar[str] = "redis.slowlog"
    title: ClassVar[str] = "Slow Redis commands"
    needs: ClassVar[type[RedisTarget]] = RedisTarget
    outputs: ClassVar[dict[str, Output]] = {
        "slow": Output(title="slow commands"),
        "slowest_ms": Output(title="slowest command", unit="ms"),
        "total_ms": Output(title="time in slow commands", unit="ms"),
        "threshold_ms": Output(title="slow is from", unit="ms"),
        "last_id": Output(title="newest entry"),
        "run_id": Output(title="the process that counted", number=False),
    }
    headline: ClassVar[str] = "slow"
    lists: ClassVar[bool] = True

    top: int = Field(default=10, ge=1, le=100)
    slower_than: Duration = Field(default=parse_duration("0s"), ge=timedelta(0))

    @classmethod
    async def lacks(cls, target: RedisTarget, reach: Reach) -> tuple[str, ...]:
        """What its login needs."""
        return await lacks_commands(target, reach, "+slowlog +config|get", "SLOWLOG GET", "CONFIG GET *")

    async def measure(self, target: RedisTarget, reach: Reach) -> Measured:
        """The first time everything that is in the log. Raises StepError when Redis cannot be asked, or keeps
        no slow log."""
        async with connected(target, reach, self.seconds, needs="+slowlog +config|get +info") as client:
            info = await client.info("server")
            found = await client.slowlog_get(MOST_ENTRIES)
            settings = await client.config_get("slowlog-*")
        threshold = int(settings.get("slowlog-log-slower-than") or -1)
        if threshold < 0:
            return Measured(skipped="it keeps no slow log (slowlog-log-slower-than is negative)")
        before = reach.previous.values if reach.previous else {}
        known = before.get("last_id") if before.get("run_id") == info["run_id"] else None
        entries = [read_entry(entry) for entry in found]
        limit = self.slower_than.total_seconds() * 1000
        new = [
            entry
            for entry in entries
            if entry.ms >= limit and (not isinstance(known, int | float) or entry.id > known)
        ]
        dropped = len(entries) >= int(settings.get("slowlog-max-len") or 0) and len(new) == len(entries)
        words = ["since the last look" if known is not None else "in its log"]
        if dropped and new:
            words.append("which is full: there were more")
        commands = sorted(new, key=lambda entry: -entry.ms)
        return Measured(
            values={
                "slow": len(new),
                "slowest_ms": commands[0].ms if commands else 0.0,
                "total_ms": sum(entry.ms for entry in new),
                "threshold_ms": threshold / 1000,
                "last_id": max((entry.id for entry in entries), default=known or 0),
                "run_id": str(info["run_id"]),
            },
            summary=", ".join(words),
            details=tuple(
                f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {show(entry.ms, 'ms')}  {one_line(entry.command, 40)}"
                for entry in commands[: self.top]
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key, and what it takes (bytes)."""

    name: str
    type: str
    bytes: float


class RedisBigKeys(Check[RedisTarget]):
    """The keys that take the most memory, of a sample that Redis is asked for a little at a time."""

    kind: ClassVar[str] = "redis.big_keys"
    title: ClassVar[str] = "Big Redis keys"
    needs: ClassVar[type[RedisTarget]] = RedisTarget
    outputs: ClassVar[dict[str, Output]] = {
        "biggest_bytes": Output(title="biggest key", unit="bytes"),
        "big": Output(title="big keys"),
        "looked_at": Output(title="keys looked at"),
        "keys": Output(title="keys"),
        "share_percent": Output(title="of the keys were looked at", unit="%"),
        "biggest": Output(title="biggest key", number=False),
    }
    headline: ClassVar[str] = "biggest_bytes"
    lists: ClassVar[bool] = True

    timeout: Timeout = parse_duration("60s")
    sample: int = Field(default=20_000, ge=1, le=10_000_000)
    for_at_most: Annotated[Duration, up_to("5m")] = parse_duration("20s")
    big_mib: float = Field(default=1, gt=0)
    top: int = Field(default=10, ge=1, le=100)

    @classmethod
    async def lacks(cls, target: RedisTarget, reach: Reach) -> tuple[str, ...]:
        """What its login needs."""
        return await lacks_commands(
            target, reach, "+scan +memory|usage +type +dbsize ~*", "SCAN 0", "MEMORY USAGE key", "TYPE key"
        )

    async def measure(self, target: RedisTarget, reach: Reach) -> Measured:
        """Raises StepError when Redis cannot be asked. It never uses KEYS, which stops everybody."""
        seconds = min(self.for_at_most.total_seconds(), self.seconds * 0.8)
        # SCAN is answered in the order of its own table, not of the names: any beginning is as good.
        found: list[Key] = []
        sorts: dict[str, list[float]] = {}
        looked = 0
        async with connected(
            target, reach, self.seconds, needs="+scan +memory|usage +type +dbsize"
        ) as client:
            keys = int(await client.dbsize())
            began, cursor = reach.now(), 0
            while True:
                cursor, names = await client.scan(cursor, count=BATCH)
                for key in await self._sized(client, [str(name) for name in names]):
                    looked += 1
                    found.append(key)
                    sorts.setdefault(_CHANGING.sub("*", key.name), []).append(key.bytes)
                found = sorted(found, key=lambda key: -key.bytes)[: self.top]
                over = (reach.now() - began).total_seconds() >= seconds
                if cursor == 0 or looked >= self.sample or over:
                    break
        whole = cursor == 0
        share = 100.0 if whole or not keys else min(100 * looked / keys, 100)
        words = [f"{looked:,} of {keys:,} keys looked at"]
        if not whole:
            words.append(f"the rest not within {show_duration(self.for_at_most)} or {self.sample:,} keys")
        limit = self.big_mib * 1024 * 1024
        big = sum(size >= limit for sizes in sorts.values() for size in sizes)
        return Measured(
            values={
                "biggest_bytes": found[0].bytes if found else 0.0,
                "big": big,
                "looked_at": looked,
                "keys": keys,
                "share_percent": share,
                "biggest": one_line(found[0].name, SHOWN) if found else None,
            },
            summary=", ".join(words),
            details=(
                *(f"{show(key.bytes, 'bytes')}  {key.type}  {one_line(key.name, SHOWN)}" for key in found),
                *_by_sort(sorts, self.top),
            ),
        )

    async def _sized(self, client: Redis, names: list[str]) -> list[Key]:
        async with client.pipeline(transaction=False) as pipe:
            for name in names:
                # Five elements of a list or hash are measured, and the others taken to be like them.
                pipe.memory_usage(name)
                pipe.type(name)
            answers = await pipe.execute()
        return [
            Key(name=name, type=str(type_), bytes=float(size))
            for name, size, type_ in zip(names, answers[::2], answers[1::2], strict=True)
            if size is not None  # it ran out in between
        ]


def _by_sort(sorts: Mapping[str, list[float]], top: int) -> list[str]:
    """The sorts of keys that take the most together."""
    sums = sorted(((sum(sizes), len(sizes), name) for name, sizes in sorts.items()), reverse=True)
    return [
        f"{show(total, 'bytes')} in {number:,} keys like {one_line(name, SHOWN)}"
        for total, number, name in sums[:top]
        if number > 1
    ]
