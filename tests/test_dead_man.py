"""Something outside hears that Maint is alive; nothing waits for it, and nobody reads its address."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bot.dead_man import MOST_WAITING, DeadMan
from bot.settings import load_settings
from runbooks.errors import ConfigError

Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[str]:
    """A real server; its address."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def until(true: Callable[[], bool]) -> None:
    """Waits for it."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/uuid", ["/uuid/start", "/uuid", "/uuid/fail"]),
        ("/uuid/", ["/uuid/start", "/uuid", "/uuid/fail"]),
        ("/push?key=1", ["/push/start?key=1", "/push?key=1", "/push/fail?key=1"]),
    ],
)
async def test_calls_come_in_their_order(path: str, expected: list[str]) -> None:
    """A slow start is not overtaken by its end; an answer that refuses ends nothing."""
    heard: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if not heard:
            await asyncio.sleep(0.1)
        heard.append(request.path_qs)
        return web.Response(status=500)

    async with listening(answer) as address:
        man = DeadMan(address + path)
        man.begin()
        man.start()
        man.success()
        man.fail()
        await until(lambda: len(heard) == 3)
        await man.stop()
    assert heard == expected


async def test_nobody_waits_for_a_side_that_does_not_answer() -> None:
    """The newest calls are kept; the process ends all the same."""
    release = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with listening(never) as address:
        man = DeadMan(address)
        man.begin()
        for _ in range(3 * MOST_WAITING):
            man.start()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await man.stop()
        release.set()


async def test_a_side_that_is_not_there_is_told_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    """The address is a secret, and errors like to name it."""
    man = DeadMan("http://127.0.0.1:9/1b2c3d4e-secret-uuid")
    with caplog.at_level(logging.WARNING):
        man.begin()
        man.success()
        await until(lambda: "heartbeat.failed" in caplog.text)
        await man.stop()
    assert "1b2c3d4e" not in caplog.text
    assert "1b2c3d4e" not in repr(man)


def test_the_address_is_scrubbed_from_everything(tmp_path: Path) -> None:
    """Whole, and its key alone."""
    (tmp_path / "maint.yaml").write_text("heartbeat: 'https://hc-ping.com/${KEY}'\n")
    loaded = load_settings(tmp_path / "maint.yaml", {"KEY": "1b2c3d4e-0000-4000"})

    assert "1b2c3d4e" not in repr(loaded.settings)
    key = "1b2c3d4e-0000-4000"
    assert key not in loaded.scrub(f"GET https://hc-ping.com/{key}/fail, or {key}")


@pytest.mark.parametrize(
    "address",
    ["ftp://x/y", "hc-ping.com/uuid", "https://", "https://u:p@x/y", "https://x/y#z", "https://x:y/z"],
)
def test_what_is_no_address_is_a_fault(tmp_path: Path, address: str) -> None:
    """Told when the file is read, without the text, which may be a secret."""
    (tmp_path / "maint.yaml").write_text(f"heartbeat: '{address}'\n")

    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "maint.yaml", {})

    assert "heartbeat" in str(caught.value) or "address" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{full: 1h}", "{full: 100d, hourly: 90d}", "{hourly: 800d}", "{largest_mb: 1}", "{full: 2y}"]
)
def test_trends_that_make_no_sense_are_a_fault(tmp_path: Path, text: str) -> None:
    """A coarser form is kept for longer."""
    (tmp_path / "maint.yaml").write_text(f"trends: {text}\n")

    with pytest.raises(ConfigError):
        load_settings(tmp_path / "maint.yaml", {})


REPORT = """
name: look
title: Look
schedule: [{on: 'daily 9:00', report: digest}]
steps: [{id: load, host.load: {target: '*'}}]
"""


def test_a_report_that_goes_nowhere_is_a_fault(tmp_path: Path) -> None:
    """A digest that nobody gets proves nothing."""
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "look.yaml").write_text(REPORT)
    (tmp_path / "maint.yaml").write_text("runbooks: runbooks\n")

    with pytest.raises(ConfigError, match="has no channel to go to"):
        load_settings(tmp_path / "maint.yaml", {})


@pytest.mark.parametrize(
    ("channels", "expected"),
    [("{}", []), ("{ops: C0000000OPS}", ["digest", "weekly"]), ("{alerts: C0000000OPS}", ["changes"])],
)
def test_what_ships_reports_where_there_are_channels(
    tmp_path: Path, channels: str, expected: list[str]
) -> None:
    """A team without those channels has its health runbook, and no digests yet."""
    (tmp_path / "maint.yaml").write_text(f"slack: {{channels: {channels}}}\n")
    loaded = load_settings(tmp_path / "maint.yaml", {})

    assert [each.report for each in loaded.runbooks["health"].schedule] == expected
    assert "health" not in loaded.unfit
