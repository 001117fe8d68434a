"""What the tests of servers behind another machine do again and again."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from runbooks.steps.reach import Connections, Reach
from runbooks.steps.socket_folder import PREFIX
from runbooks.steps.step import Check, Measured
from runbooks.targets import PostgresTarget, RedisTarget, TargetBase
from tests.steps.conftest import Sshd


def left_in(folder: Path) -> list[str]:
    """What ways through another machine have there."""
    return [path.name for path in folder.iterdir() if path.name.startswith(PREFIX)]


def db(url: str, **changes: Any) -> PostgresTarget:
    """The PostgreSQL at that url, as `remote` sees it."""
    fields: dict[str, Any] = {"name": "db", "type": "postgres", "url": SecretStr(url), "via": "remote"}
    return PostgresTarget(**{**fields, **changes})


def cache(url: str) -> RedisTarget:
    """The Redis at that url, as `remote` sees it."""
    return RedisTarget(name="cache", type="redis", url=SecretStr(url), via="remote")


def with_remote(sshd: Sshd, *targets: TargetBase) -> Mapping[str, TargetBase]:
    """These targets, and the machine through which they are reached."""
    return {"remote": sshd.target(), **{target.name: target for target in targets}}


async def measure(sshd: Sshd, *steps: Check[Any], target: TargetBase) -> list[Measured]:
    """What these steps measure there at the same time, in one report."""
    async with Connections() as connections:
        reach = Reach(targets=with_remote(sshd, target), connections=connections)
        return list(await asyncio.gather(*(step.measure(target, reach) for step in steps)))
