"""What the tests of traffic drivers hand to a driver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from runbooks.steps.action import Call
from runbooks.steps.reach import Connections
from runbooks.targets import HttpTarget, TargetBase


def app_at(url: str, traffic: dict[str, Any] | None, **more: Any) -> HttpTarget:
    """The target `app` there, whose traffic is moved so."""
    return HttpTarget.model_validate({"type": "http", "name": "app", "url": url, "traffic": traffic, **more})


@asynccontextmanager
async def call_with(*targets: TargetBase) -> AsyncIterator[Call]:
    """A call in which these targets are known."""
    async with Connections() as connections:
        yield Call(
            targets={target.name: target for target in targets},
            connections=connections,
            key="k",
            run="r",
            requester="Ann",
        )
