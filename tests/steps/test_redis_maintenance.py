"""The Redis steps that look deeper, and the one that saves, on real servers."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps import CHECKS
from runbooks.steps.action import Failed
from runbooks.steps.reach import Connections, Previous, Reach, utc_now
from runbooks.steps.redis_config import RedisConfigDiff, read_config, same
from runbooks.steps.step import Measured
from tests.conftest import run_redis
from tests.steps.acting import act
from tests.steps.maintaining import soon
from tests.steps.redis_servers import at


async def look(kind: str, url: str, previous: Measured | None = None, **fields: Any) -> Measured:
    """What a check of that kind measures there."""
    async with Connections() as connections:
        before = Previous(utc_now(), previous.values) if previous else None
        reach = Reach(targets={}, connections=connections, previous=before)
        return await CHECKS[kind].model_validate({"target": "cache", **fields}).measure(at(url), reach)


@pytest.fixture
def slow(redis_url: str) -> Iterator[redis.Redis]:
    """A client; from now on every command is slow, those that set this up are not in the log."""
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("slowlog-log-slower-than", 0)
        client.slowlog_reset()
        yield client
        client.config_set("slowlog-log-slower-than", 10_000)
        client.slowlog_reset()


async def test_commands_that_were_slow_are_listed_without_their_arguments(
    redis_url: str, slow: redis.Redis
) -> None:
    """Since the last look; what they were about is people's data."""
    slow.set("customer:ada@example.com", "secret")
    first = await look("redis.slowlog", redis_url)
    slow.get("customer:ada@example.com")

    second = await look("redis.slowlog", redis_url, first)

    assert any(line.endswith("  SET") for line in first.details)
    assert not any(line.endswith("  SET") for line in second.details)
    assert any(line.endswith("  GET") for line in second.details)
    assert "ada" not in str(second)
    assert second.summary == "since the last look"
    assert second.values["threshold_ms"] == 0


async def test_a_redis_that_keeps_no_slow_log_is_skipped(redis_url: str, slow: redis.Redis) -> None:
    """No entries there mean nothing."""
    slow.config_set("slowlog-log-slower-than", -1)

    assert "keeps no slow log" in (await look("redis.slowlog", redis_url)).skipped


async def test_the_biggest_keys_are_found(redis_url: str, slow: redis.Redis) -> None:
    """By SCAN and MEMORY USAGE; keys of one sort are counted together."""
    for number in range(300):
        slow.set(f"session:{number}", "x" * 100)
    slow.rpush("cart:\x07bell", *["y" * 1000] * 2000)
    slow.slowlog_reset()

    measured = await look("redis.big_keys", redis_url)

    biggest = measured.values["biggest_bytes"]
    assert isinstance(biggest, float)
    assert biggest > 1_500_000
    assert measured.values["big"] == 1
    assert measured.values["looked_at"] == measured.values["keys"] == 301
    assert measured.values["biggest"] == r"cart:\x07bell"
    assert "  list  " in measured.details[0]
    assert any(line.endswith(" in 300 keys like session:*") for line in measured.details)
    assert not any(entry["command"].upper().startswith(b"KEYS") for entry in slow.slowlog_get(1000))


async def test_a_sample_says_how_much_of_it_was_seen(redis_url: str, slow: redis.Redis) -> None:
    """What was not looked at may be bigger."""
    slow.mset({f"key:{number}": "x" for number in range(5000)})

    measured = await look("redis.big_keys", redis_url, sample=1000)

    share = measured.values["share_percent"]
    assert isinstance(share, float)
    assert 19 < share < 50
    assert "the rest not within 20s or 1,000 keys" in measured.summary


async def test_an_empty_redis_has_no_big_key(redis_url: str) -> None:
    """And no share that could not be reckoned."""
    measured = await look("redis.big_keys", redis_url)

    assert measured.values["biggest"] is None
    assert measured.values["share_percent"] == 100


async def test_a_save_is_waited_for(redis_url: str) -> None:
    """And the step says how much it saved."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("a", 1)

    done = await act("redis.bgsave", at(redis_url), {})

    with redis.Redis.from_url(redis_url) as client:
        assert client.info("persistence")["rdb_changes_since_last_save"] == 0
    assert done.values["changes"] != 0
    assert " changes saved in " in done.summary


@pytest.fixture
def own() -> Iterator[str]:
    """A Redis of its own that is in no hurry to save."""
    with (
        tempfile.TemporaryDirectory(prefix="redis") as folder,
        run_redis(Path(folder), "--rdb-key-save-delay", "20000") as url,
    ):
        with redis.Redis.from_url(url) as client:
            client.mset({f"key:{number}": "x" for number in range(200)})
        yield url


async def test_a_second_save_is_refused(own: str) -> None:
    """Two at a time would take the memory three times."""
    told: list[str] = []
    first = asyncio.create_task(act("redis.bgsave", at(own), {}, told.append))
    await soon(lambda: bool(told))

    with pytest.raises(StepError, match="saves already, for"):
        await act("redis.bgsave", at(own), {})
    with redis.Redis.from_url(own) as client:
        client.config_set("rdb-key-save-delay", 0)
    await first


async def test_a_save_that_fails_is_told(own: str) -> None:
    """With where to look; the one before is as it was."""
    with redis.Redis.from_url(own) as client:
        client.config_set("rdb-key-save-delay", 0)
        client.config_set("dbfilename", "x" * 250 + ".rdb")
        client.config_set("dir", "/proc")

    with pytest.raises(StepError, match=r"could not save .*its log says why"):
        await act("redis.bgsave", at(own), {})


async def test_a_server_that_goes_away_in_the_middle_is_told(own: str) -> None:
    """Nobody knows then how the save ended."""
    told: list[str] = []
    step = asyncio.create_task(act("redis.bgsave", at(own), {}, told.append))
    await soon(lambda: bool(told))
    with redis.Redis.from_url(own) as client:
        client.shutdown(nosave=True)

    with pytest.raises(Failed, match=r"redis\.ping says how it ended"):
        await step


async def test_a_login_that_may_not_is_told_what_it_needs(redis_url: str) -> None:
    """As an ACL says it."""
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">reader-password", "+info")
    url = redis_url.replace("unix://", "unix://reader:reader-password@")
    try:
        with pytest.raises(StepError, match=r"ACL SETUSER name \+scan \+memory\|usage"):
            await look("redis.big_keys", url)
        with pytest.raises(StepError, match=r"\+bgsave"):
            await act("redis.bgsave", at(url), {})
    finally:
        with redis.Redis.from_url(redis_url) as client:
            client.execute_command("ACL", "DELUSER", "reader")


async def test_settings_are_compared_with_the_file(redis_url: str, tmp_path: Path) -> None:
    """In whatever unit; a password is never shown."""
    (tmp_path / "redis.conf").write_text(
        "# ours\nmaxmemory 64mb\nport 0\nmaxmemory-policy allkeys-lru\nrequirepass hunter22\n"
        "no-such-thing 1\nuser ada on\nhash-max-ziplist-entries 512\n"
    )

    measured = await look("redis.config_diff", redis_url, file=str(tmp_path / "redis.conf"))

    assert measured.details == (
        "maxmemory: 0, wanted 64mb",
        "maxmemory-policy: noeviction, wanted allkeys-lru",
        "requirepass: (not shown), wanted (not shown)",
        "not known there: no-such-thing",
    )
    assert measured.findings[0][1].endswith("line 7 (user) is not looked at")


@pytest.mark.parametrize(
    ("wanted", "setting", "expected"),
    [
        (["64mb"], "67108864", True),
        (["64MB"], "67108865", False),
        (["1k"], "1000", True),
        (["yes"], "yes", True),
        (["900 1", "300 10"], "900 1 300 10", True),
        (["pubsub 32mb 8mb 60"], "pubsub 33554432 8388608 60", True),
        (["900 1"], "900 10", False),
        (["allkeys-lru"], "noeviction", False),
        (["10"], "ten", False),
    ],
)
def test_a_value_is_the_same_in_whatever_unit(wanted: list[str], setting: str, *, expected: bool) -> None:
    """As Redis itself would take it."""
    assert same(wanted, setting) is expected


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Every line is a setting, a comment, or told."""
    found, left = read_config(text)

    assert sum(map(len, found.values())) + len(left) <= len(text.splitlines())


@pytest.mark.parametrize("fields", [{}, {"file": "/x", "settings": {"port": 1}}, {"file": "redis.conf"}])
def test_what_is_wanted_is_said_once(fields: dict[str, Any]) -> None:
    """By a file, or by the runbook."""
    with pytest.raises(ValidationError):
        RedisConfigDiff.model_validate(fields)
