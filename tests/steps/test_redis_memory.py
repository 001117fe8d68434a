"""`redis.memory` against real servers with and without a limit."""

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.redis import FRAGMENTATION_FROM, RedisMemory, fragmentation, share_of_limit
from tests.steps.redis_servers import measure, serve
from tests.steps.test_redis_counters import minutes_ago


def test_the_kind_is_registered() -> None:
    """`redis.memory` in a runbook is this step."""
    assert CHECKS["redis.memory"] is RedisMemory


async def test_memory_is_measured_against_its_limit() -> None:
    """used_percent is of maxmemory, and the policy is told."""
    with serve("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as url:
        measured = await measure(RedisMemory(), url)

    used = measured.values["used_bytes"]
    assert isinstance(used, float)
    assert measured.values["used_percent"] == pytest.approx(100 * used / (100 * 1024**2))
    assert measured.findings == ()
    assert measured.summary.endswith("of 100 MiB, allkeys-lru")


def test_buffers_of_replicas_are_not_held_against_the_limit() -> None:
    """What Redis itself does not count before it evicts is not counted."""
    info = {"used_memory": 90, "maxmemory": 100, "mem_not_counted_for_evict": 15}

    assert share_of_limit(info) == 75


async def test_no_limit_is_a_warning(redis_url: str) -> None:
    """A server without maxmemory has no percentage, and a warning of what becomes of it."""
    measured = await measure(RedisMemory(), redis_url)

    ((status, text),) = measured.findings
    assert status is Status.WARNING
    assert "no maxmemory is set" in text
    assert measured.values["used_percent"] is None


async def test_the_memory_of_data_is_counted(redis_url: str) -> None:
    """More data is more memory used."""
    before = (await measure(RedisMemory(), redis_url)).values["used_bytes"]
    with redis.Redis.from_url(redis_url) as client:
        client.set("big", "x" * 5_000_000)
    after = (await measure(RedisMemory(), redis_url)).values["used_bytes"]

    assert isinstance(before, float)
    assert isinstance(after, float)
    assert after - before >= 5_000_000


async def test_evictions_since_the_last_measurement_are_told() -> None:
    """Keys that were dropped since the last measurement are counted, those before it are not."""
    with serve("--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru") as url:
        with redis.Redis.from_url(url) as client:
            for number in range(200):
                client.set(f"key{number}", "x" * 10_000)
            first = await measure(RedisMemory(), url)
            for number in range(100):
                client.set(f"other{number}", "x" * 10_000)
        second = await measure(RedisMemory(), url, minutes_ago(first))

    assert first.values["evicted"] is None
    evicted = second.values["evicted"]
    assert isinstance(evicted, float)
    assert 50 <= evicted <= 150


async def test_a_small_redis_is_not_called_fragmented(redis_url: str) -> None:
    """An empty Redis holds several times what it uses, and that says nothing."""
    assert (await measure(RedisMemory(), redis_url)).values["fragmentation"] is None


async def test_the_fragmentation_of_a_large_redis_is_told() -> None:
    """From 100 MiB of data on the ratio is given."""
    with serve() as url:
        with redis.Redis.from_url(url) as client:
            client.setrange("big", FRAGMENTATION_FROM, "x")
        ratio = (await measure(RedisMemory(), url)).values["fragmentation"]

    assert isinstance(ratio, float)
    assert 0 < ratio < 2


@given(st.floats(1, FRAGMENTATION_FROM - 1), st.floats(0, FRAGMENTATION_FROM - 1))
def test_little_data_with_little_loss_has_no_ratio(used: float, lost: float) -> None:
    """Below 100 MiB of data and of loss there is never a ratio."""
    assert fragmentation(used, used + lost) is None


def test_a_large_loss_is_told_of_little_data() -> None:
    """A Redis that was emptied and still holds its memory has a ratio, however little data is left."""
    assert fragmentation(1_000_000, 1_000_000 + FRAGMENTATION_FROM) == pytest.approx(105.86, abs=0.01)


async def test_a_login_that_may_not_look_is_told() -> None:
    """Without permission for INFO there is no number, and the text says what to grant."""
    with serve("--user", "small", "on", ">secret-1", "-@all", "+ping") as url:
        small = url.replace("//", "//small:secret-1@")
        with pytest.raises(StepError, match=r"\+info"):
            await measure(RedisMemory(), small)
