"""The real servers that other tests stand on are there."""

from pathlib import Path

import psycopg
import pytest
import redis


def test_postgres_answers(postgres_url: str) -> None:
    """A fresh PostgreSQL database answers a query."""
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_redis_answers(redis_url: str) -> None:
    """The Redis server answers PING."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping() is True


def test_both_databases_are_offered(database_url: str) -> None:
    """The database fixture names one of the two databases that Maint supports."""
    assert database_url.startswith(("sqlite:///", "postgresql://"))


def test_a_test_that_blocks_the_loop_fails(pytester: pytest.Pytester) -> None:
    """A test whose coroutine blocks the event loop fails, whatever it asserts."""
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makeini(
        """
        [pytest]
        asyncio_mode=auto
        asyncio_debug=true
        asyncio_default_fixture_loop_scope=function
        markers=debian(program): x
        """
    )
    pytester.makepyfile("import time\nasync def test_it():\n    time.sleep(1.2)\n")

    result = pytester.runpytest_subprocess("-p", "no:xdist")

    assert result.parseoutcomes()["errors"] == 1
