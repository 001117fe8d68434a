"""`redis.hit_rate`: what Redis counted between two measurements."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps import CHECKS
from runbooks.steps.reach import Previous
from runbooks.steps.redis import RedisHitRate, growth
from runbooks.steps.step import Measured
from tests.steps.redis_servers import measure, serve

QUICK = RedisHitRate.model_validate({"sample": "50ms"})


def look_up(url: str, *, hits: int = 0, misses: int = 0) -> None:
    """That many lookups that find their key, and that many that do not."""
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=False) as pipe:
        pipe.set("there", "x")
        for _ in range(hits):
            pipe.get("there")
        for _ in range(misses):
            pipe.get("not there")
        pipe.execute()


def minutes_ago(measured: Measured, minutes: int = 5, **changed: Any) -> Previous:
    """That measurement, as the last one before the next, with other values for some outputs."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return Previous(at=at, values={**measured.values, **changed})


def test_the_kind_is_registered() -> None:
    """`redis.hit_rate` in a runbook is this step."""
    assert CHECKS["redis.hit_rate"] is RedisHitRate


async def test_the_rate_is_of_the_lookups_since_the_last_measurement(redis_url: str) -> None:
    """Lookups from before the last measurement do not count: since then 3 of 4 have hit."""
    look_up(redis_url, misses=1000)
    before = minutes_ago(await measure(QUICK, redis_url))
    look_up(redis_url, hits=3, misses=1)

    measured = await measure(QUICK, redis_url, before)

    assert measured.values["percent"] == 75
    assert measured.values["window_s"] == pytest.approx(300, abs=10)
    assert measured.summary == "4 lookups in 5 min"


async def test_no_traffic_is_no_rate(redis_url: str) -> None:
    """A cache that nobody asked has neither a hit rate of 0 nor of 100: there is nothing to judge."""
    before = minutes_ago(await measure(QUICK, redis_url))

    measured = await measure(QUICK, redis_url, before)

    assert measured.values["percent"] is None
    assert measured.skipped == "no traffic in 5 min"


async def test_counters_are_kept_without_traffic(redis_url: str) -> None:
    """A measurement that had nothing to judge still gives the next one something to compare with."""
    look_up(redis_url, hits=5)
    quiet = await measure(QUICK, redis_url)
    look_up(redis_url, hits=1, misses=1)

    measured = await measure(QUICK, redis_url, minutes_ago(quiet))

    assert quiet.skipped
    assert measured.values["percent"] == 50


async def test_a_first_measurement_is_a_short_sample(redis_url: str) -> None:
    """With nothing to compare with, only what happens during `sample` counts, and the text says so."""
    look_up(redis_url, misses=1000)

    measured = await measure(QUICK, redis_url)

    assert measured.values["window_s"] == 0.05
    assert measured.skipped == "no traffic in 0.05 s; nothing earlier to compare with"


async def test_a_restart_begins_anew(redis_url: str) -> None:
    """Counters of another process are not compared with, even when ours are larger."""
    look_up(redis_url, hits=10)
    other_process = minutes_ago(await measure(QUICK, redis_url), run_id="0" * 40, hits=0, misses=0)

    assert (await measure(QUICK, redis_url, other_process)).values["window_s"] == 0.05


async def test_a_real_restart_changes_the_run() -> None:
    """A server that was started again is told apart by its run id."""
    runs = []
    for _ in range(2):
        with serve() as url:
            runs.append((await measure(QUICK, url)).values["run_id"])

    assert runs[0] != runs[1]


async def test_reset_counters_begin_anew(redis_url: str) -> None:
    """Counters that went backwards (CONFIG RESETSTAT) make a new beginning, not a negative rate."""
    look_up(redis_url, hits=10)
    before = minutes_ago(await measure(QUICK, redis_url))
    with redis.Redis.from_url(redis_url) as client:
        client.config_resetstat()
    look_up(redis_url, hits=1)

    assert (await measure(QUICK, redis_url, before)).values["window_s"] == 0.05


async def test_a_last_measurement_without_values_begins_anew(redis_url: str) -> None:
    """A last measurement that failed has no counters, and is not compared with."""
    failed = Previous(at=datetime.now(UTC) - timedelta(minutes=5), values={})

    assert (await measure(QUICK, redis_url, failed)).values["window_s"] == 0.05


async def test_a_last_measurement_from_the_future_begins_anew(redis_url: str) -> None:
    """After the clock was set back there is no span to speak of, so a sample is taken."""
    later = minutes_ago(await measure(QUICK, redis_url), minutes=-5)

    assert (await measure(QUICK, redis_url, later)).values["window_s"] == 0.05


async def test_evictions_are_counted() -> None:
    """Keys that a full cache dropped since the last measurement are counted and told."""
    with serve("--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru") as url:
        before = minutes_ago(await measure(QUICK, url))
        with redis.Redis.from_url(url) as client, client.pipeline(transaction=False) as pipe:
            for number in range(300):
                pipe.set(f"key{number}", "x" * 10_000)
            pipe.execute()
        look_up(url, hits=1)
        measured = await measure(QUICK, url, before)

    evicted = measured.values["evicted"]
    assert isinstance(evicted, float)
    assert evicted > 50
    assert f"{evicted:.0f} evicted" in measured.summary


async def test_expired_keys_are_counted(redis_url: str) -> None:
    """Keys that ran out since the last measurement are counted."""
    before = minutes_ago(await measure(QUICK, redis_url))
    with redis.Redis.from_url(redis_url) as client:
        client.set("brief", "x", px=1)
        while client.exists("brief"):
            pass

    assert (await measure(QUICK, redis_url, before)).values["expired"] == 1


async def test_a_server_that_is_down_is_not_measured() -> None:
    """Where nothing listens there is no rate."""
    with pytest.raises(StepError, match="nothing listens there"):
        await measure(QUICK, "redis://127.0.0.1:1")


def test_a_sample_fits_into_the_timeout() -> None:
    """A sample that takes as long as the step may take is refused when the file is read."""
    with pytest.raises(ValidationError, match="`sample` must be shorter than `timeout`"):
        RedisHitRate.model_validate({"sample": "10s"})


_COUNTS = st.dictionaries(st.sampled_from(["hits", "misses"]), st.integers(0, 1000), min_size=2)


@given(_COUNTS, _COUNTS)
def test_counters_never_grow_by_less_than_nothing(now: dict[str, float], earlier: dict[str, float]) -> None:
    """Either every counter grew by what lies between, or nothing is said at all."""
    grown = growth({"run_id": "a", **now}, {"run_id": "a", **earlier})

    if all(now[name] >= earlier[name] for name in now):
        assert grown == {name: now[name] - earlier[name] for name in now}
    else:
        assert grown is None
