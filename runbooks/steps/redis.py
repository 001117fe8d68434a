"""`redis.ping`, `redis.hit_rate` and `redis.memory`."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, model_validator
from redis.exceptions import BusyLoadingError

from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration
from runbooks.status import Status
from runbooks.steps.reach import Reach
from runbooks.steps.redis_client import RedisRefused, connected
from runbooks.steps.step import Check, Measured, Output, Value
from runbooks.steps.units import show
from runbooks.targets import RedisTarget

#: Bytes of data, or of memory lost, below which fragmentation says nothing.
FRAGMENTATION_FROM = 100 * 1024 * 1024

Info = Mapping[str, Any]
Findings = Iterator[tuple[Status, str]]


class RedisPing(Check[RedisTarget]):
    """Connects, logs in and pings; says what the server is, and whether it saves and replicates."""

    kind: ClassVar[str] = "redis.ping"
    title: ClassVar[str] = "Redis"
    needs: ClassVar[type[RedisTarget]] = RedisTarget
    outputs: ClassVar[dict[str, Output]] = {
        "elapsed_ms": Output(title="time to connect, log in and ping", unit="ms"),
        "version": Output(title="version", number=False),
        "role": Output(title="role", number=False),
        "last_save_ok": Output(title="last save ok", number=False),
        "connected_replicas": Output(title="connected replicas"),
    }
    headline: ClassVar[str] = "elapsed_ms"

    async def measure(self, target: RedisTarget, reach: Reach) -> Measured:
        """A server that pings and keeps INFO from the login is unknown: it is there, and may be ill."""
        elapsed: float | None = None
        try:
            async with connected(target, reach, self.seconds) as client:
                began = time.perf_counter()  # it connects when it first asks
                with suppress(BusyLoadingError):  # INFO says how far it is
                    await client.ping()
                    elapsed = (time.perf_counter() - began) * 1000
                info = await client.info()
        except RedisRefused as error:
            pings_only = error.permission and elapsed is not None
            status = Status.UNKNOWN if pings_only else Status.CRITICAL
            return Measured(values={"elapsed_ms": elapsed}, findings=((status, str(error)),))
        role = "replica" if info["role"] == "slave" else str(info["role"])
        replicas = int(info.get("connected_slaves", 0))
        words = [role, f"Redis {info['redis_version']}"]
        if replicas:
            words.append("1 replica" if replicas == 1 else f"{replicas} replicas")
        return Measured(
            values={
                "elapsed_ms": elapsed,
                "version": str(info["redis_version"]),
                "role": role,
                "last_save_ok": "no" if any(_save_troubles(info)) else "yes",
                "connected_replicas": replicas,
            },
            summary=", ".join(words),
            findings=(*_loading(info), *_save_troubles(info), *_link_troubles(info)),
        )


def _loading(info: Info) -> Findings:
    if info.get("loading"):
        percent = show(float(info.get("loading_loaded_perc", 0)), "%")
        left = show(float(info.get("loading_eta_seconds", 0)), "s")
        yield (
            Status.CRITICAL,
            f"loading its data, {percent} done, about {left} left: it answers nobody until then",
        )


def _save_troubles(info: Info) -> Findings:
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield (
            Status.CRITICAL,
            "the last save to disk failed (its log says why): as a rule Redis takes no writes until one is",
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        yield (
            Status.CRITICAL,
            "writing the append-only file failed (its log says why): Redis takes no writes until it works",
        )


def _link_troubles(info: Info) -> Findings:
    # No lag can be measured here, as it can be on PostgreSQL: a replica without its master is no replica.
    if info.get("master_link_status", "up") == "up":
        return
    master = f"{info.get('master_host')}:{info.get('master_port')}"
    if info.get("master_sync_in_progress"):
        yield Status.WARNING, f"the replica is copying everything from its master {master}"
        return
    since = float(info.get("master_link_down_since_seconds", -1))
    yield (
        Status.CRITICAL,
        f"the replica has no link to its master {master}"
        + (f" for {show(since, 's')}" if since >= 0 else ""),
    )


#: Counters that are kept from one measurement to the next, and their names in INFO.
_COUNTERS = {
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "evicted_total": "evicted_keys",
    "expired_total": "expired_keys",
}
_RUN_ID = Output(title="run", number=False)
_EVICTED = Output(title="keys evicted since the last measurement")
_EVICTED_TOTAL = Output(title="keys evicted in all")


def counters(info: Info, *names: str) -> dict[str, Value]:
    """Those counters, and the `run_id` of the process that counts: it is another one after a restart."""
    return {"run_id": str(info.get("run_id", "")), **{name: float(info[_COUNTERS[name]]) for name in names}}


def growth(now: Mapping[str, Value], earlier: Mapping[str, Value]) -> Mapping[str, float] | None:
    """How much each counter grew. None when the two do not belong together: after a restart, CONFIG
    RESETSTAT, a failover behind the same address, or with a counter that was not kept."""
    if now["run_id"] != earlier.get("run_id"):
        return None
    grown = {}
    for name, value in now.items():
        before = earlier.get(name)
        if name == "run_id":
            continue
        if not isinstance(value, (int, float)) or not isinstance(before, (int, float)) or value < before:
            return None
        grown[name] = value - before
    return grown


class RedisHitRate(Check[RedisTarget]):
    """The share of lookups that found their key, since the last measurement."""

    kind: ClassVar[str] = "redis.hit_rate"
    title: ClassVar[str] = "Redis hit rate"
    needs: ClassVar[type[RedisTarget]] = RedisTarget
    outputs: ClassVar[dict[str, Output]] = {
        "percent": Output(title="hit rate", unit="%"),
        "window_s": Output(title="measured over", unit="s"),
        "evicted": _EVICTED,
        "expired": Output(title="keys expired since the last measurement"),
        "hits": Output(title="hits in all"),
        "misses": Output(title="misses in all"),
        "evicted_total": _EVICTED_TOTAL,
        "expired_total": Output(title="keys expired in all"),
        "run_id": _RUN_ID,
    }
    headline: ClassVar[str] = "percent"

    sample: Duration = Field(default=parse_duration("1s"), gt=timedelta(0))

    @model_validator(mode="after")
    def _sample_fits(self) -> "RedisHitRate":
        if self.sample.total_seconds() >= self.seconds:
            raise ValueError("`sample` must be shorter than `timeout`")
        return self

    async def measure(self, target: RedisTarget, reach: Reach) -> Measured:
        """Over `sample` when there is no last measurement that fits. Raises StepError when Redis cannot be
        asked."""
        async with connected(target, reach, self.seconds) as client:
            now = counters(await client.info(), *_COUNTERS)
            grown, seconds, sampled = None, 0.0, ""
            if reach.previous is not None:
                grown = growth(now, reach.previous.values)
                seconds = (reach.now() - reach.previous.at).total_seconds()
            if grown is None or seconds <= 0:
                earlier, seconds = now, self.sample.total_seconds()
                await asyncio.sleep(seconds)
                now = counters(await client.info(), *_COUNTERS)
                grown = growth(now, earlier)
                sampled = "; nothing earlier to compare with"
        if grown is None:
            raise StepError(f"{target.where()} was restarted, or its counters reset, while it was measured")
        lookups = grown["hits"] + grown["misses"]
        over = f"in {show(seconds, 's')}{sampled}"
        words = [f"{lookups:,.0f} lookups {over}"]
        if grown["evicted_total"]:
            words.append(f"{grown['evicted_total']:,.0f} evicted")
        return Measured(
            values={
                "percent": 100 * grown["hits"] / lookups if lookups else None,
                "window_s": seconds,
                "evicted": grown["evicted_total"],
                "expired": grown["expired_total"],
                **now,
            },
            summary=", ".join(words) if lookups else "",
            skipped="" if lookups else f"no traffic {over}",
        )


class RedisMemory(Check[RedisTarget]):
    """How much of its memory limit Redis uses, and how much it loses to fragmentation."""

    kind: ClassVar[str] = "redis.memory"
    title: ClassVar[str] = "Redis memory"
    needs: ClassVar[type[RedisTarget]] = RedisTarget
    outputs: ClassVar[dict[str, Output]] = {
        "used_percent": Output(title="of maxmemory", unit="%"),
        "used_bytes": Output(title="memory used", unit="bytes"),
        "fragmentation": Output(title="fragmentation ratio"),
        "policy": Output(title="eviction policy", number=False),
        "evicted": _EVICTED,
        "evicted_total": _EVICTED_TOTAL,
        "run_id": _RUN_ID,
    }
    headline: ClassVar[str] = "used_percent"

    async def measure(self, target: RedisTarget, reach: Reach) -> Measured:
        """`used_percent` is None without a limit. Raises StepError when Redis cannot be asked."""
        async with connected(target, reach, self.seconds) as client:
            info = await client.info()
        now = counters(info, "evicted_total")
        grown = growth(now, reach.previous.values) if reach.previous else None
        used, limit = float(info["used_memory"]), float(info["maxmemory"])
        evicted = grown["evicted_total"] if grown else None
        words = [f"{show(used, 'bytes')} of {show(limit, 'bytes')}" if limit else show(used, "bytes")]
        words.append(str(info["maxmemory_policy"]))
        if evicted:
            words.append(f"{evicted:,.0f} evicted")
        unlimited = "no maxmemory is set: Redis grows until the machine is out of memory"
        return Measured(
            values={
                "used_percent": share_of_limit(info),
                "used_bytes": used,
                "fragmentation": fragmentation(used, float(info["used_memory_rss"])),
                "policy": str(info["maxmemory_policy"]),
                "evicted": evicted,
                **now,
            },
            summary=", ".join(words),
            findings=() if limit else ((Status.WARNING, unlimited),),
        )


def share_of_limit(info: Info) -> float | None:
    """Percent of maxmemory, None without one. As Redis reckons before it evicts, the buffers of replicas and
    of the append-only file are not held against the limit: getMaxmemoryState in its evict.c."""
    if not info["maxmemory"]:
        return None
    counted = info["used_memory"] - info.get("mem_not_counted_for_evict", 0)
    return float(100 * counted / info["maxmemory"])


def fragmentation(used: float, resident: float) -> float | None:
    """The memory that Redis holds over the memory that it uses (bytes); below 1 some of it is swapped out.

    None while both the data and the loss are below active-defrag-ignore-bytes (100 MiB, redis.conf): the
    ratio of a small Redis only measures the program itself.
    """
    if max(used, resident - used) < FRAGMENTATION_FROM:
        return None
    return resident / used
