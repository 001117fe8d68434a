"""Real Redis servers in every state, for the tests of the Redis steps."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from pydantic import SecretStr

from runbooks.steps.reach import Connections, Previous, Reach
from runbooks.steps.step import Check, Measured
from runbooks.targets import RedisTarget
from tests.conftest import run_redis


def at(url: str) -> RedisTarget:
    """The target of that address."""
    return RedisTarget(name="cache", type="redis", url=SecretStr(url))


async def measure(step: Check[RedisTarget], url: str, previous: Previous | None = None) -> Measured:
    """What the step measures there, after that last measurement."""
    async with Connections() as connections:
        return await step.measure(at(url), Reach(targets={}, connections=connections, previous=previous))


@contextmanager
def serve(*options: str) -> Iterator[str]:
    """A Redis of its own with those options; its url."""
    # Not under tmp_path: the path of a unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="redis") as folder, run_redis(Path(folder), *options) as url:
        yield url


def wait_for(url: str, condition: Callable[[dict[str, object]], bool]) -> None:
    """Returns as soon as the condition holds for the server's INFO; raises TimeoutError after ten seconds."""
    deadline = time.monotonic() + 10
    with redis.Redis.from_url(url, decode_responses=True) as client:
        while not condition(client.info()):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.02)
