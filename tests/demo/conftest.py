"""The shop alone, and the whole demo in this process."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.demo.demo import Options, Running, running
from bot.demo.shop.goods import ListedGoods
from bot.demo.shop.journal import Journal
from bot.demo.shop.service import Shop
from bot.demo.shop.switches import Switchboard
from bot.sandbox import Message, Workspace


@dataclass
class Visit:
    """What the shop answered."""

    status: int
    headers: Any
    body: str


@dataclass
class Open:
    """A shop that is open, and a client for it."""

    address: str
    journal: Journal
    client: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> Visit:
        """One request; redirects are not followed."""
        async with self.client.request(method, path, allow_redirects=False, **more) as answer:
            return Visit(answer.status, answer.headers, await answer.text())

    async def turn(self, **switches: object) -> Visit:
        """Turns switches as a program would, without an Origin."""
        return await self.ask(
            "POST", "/switches", data={name: str(value) for name, value in switches.items()}
        )


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Open]:
    """A shop without services and without visitors, whose chance is the same in every test."""
    journal = Journal(tmp_path)
    journal.open()
    shop = Shop(ListedGoods(), Switchboard(can_leak=False), journal, random.Random(1))
    async with shop.open() as address, aiohttp.ClientSession(address) as client:
        yield Open(address, journal, client)
    journal.close()


def names(folder: Path) -> set[str]:
    """What is in a folder."""
    return {path.name for path in folder.iterdir()}


def newest(up: Running, words: str, user: str | None = None) -> Message | None:
    """The newest message of #ops that has those words, if there is one."""
    messages = up.sandbox.messages("ops", user)
    return next((message for message in reversed(messages) if words in message.shown), None)


async def turn(up: Running, **switches: object) -> None:
    """Turns switches of the demo's shop."""
    async with aiohttp.ClientSession(up.shop) as client, client.post("/switches", data=switches) as answer:
        assert answer.status == 200


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Running]:
    """The whole demo without services, on a free port."""
    async with running(Options(port=0, folder=tmp_path / "demo"), Workspace()) as up:
        yield up


@pytest.fixture
async def serviced(tmp_path: Path) -> AsyncIterator[Running]:
    """The whole demo with a PostgreSQL and a Redis, on a free port."""
    options = Options(port=0, folder=tmp_path / "demo", with_services=True)
    async with running(options, Workspace()) as up:
        yield up
