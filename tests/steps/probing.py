"""What the tests of `http.probe` do again and again."""

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from runbooks.status import Status
from runbooks.steps.http import HttpProbe
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Measured
from runbooks.targets import HttpTarget

#: The time that probes take it to be.
NOW = datetime.now(UTC).replace(microsecond=0)


async def probe(url: str, target: dict[str, Any] | None = None, **fields: Any) -> Measured:
    """What a probe of that address measures; `target` has more of the target's settings."""
    service = HttpTarget(name="app", type="http", url=url, **(target or {}))
    reach = Reach(targets={"app": service}, connections=Connections(), now=lambda: NOW)
    return await HttpProbe.model_validate(fields).measure(service, reach)


def finding(measured: Measured) -> str:
    """The text of the one critical finding."""
    ((status, text),) = measured.findings
    assert status is Status.CRITICAL
    return text


async def never(_: web.Request) -> web.StreamResponse:
    """Holds every caller for longer than any probe waits."""
    await asyncio.sleep(30)
    return web.Response()


def names(monkeypatch: pytest.MonkeyPatch, answers: list[str] | OSError) -> list[str]:
    """Answers every look-up with these addresses and keeps the names asked for.

    A stand-in because the tests may ask no name server: a name that exists nowhere gives another error on
    every network.
    """
    asked: list[str] = []

    async def look_up(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        if isinstance(answers, OSError):
            raise answers
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    return asked
