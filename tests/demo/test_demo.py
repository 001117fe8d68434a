"""The whole demo in this process: the real bot with the real library looks after the shop."""

import asyncio
import re
import shlex
import socket
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from bot.demo.demo import Options, Running, running
from bot.sandbox import Message, Workspace
from runbooks.errors import MaintError, UsageError
from tests.demo.conftest import names, newest, turn

REPORTED = "Health check: "


def port_of(up: Running) -> int:
    """The port of its workspace."""
    return int(up.address.rstrip("/").rpartition(":")[2])


async def test_health_is_fine_at_first_and_critical_when_the_shop_fails(demo: Running) -> None:
    """`/maint health shop` is ok, and after the switch is turned it is critical and says why."""
    await demo.sandbox.slash("admin", "ops", "/maint health shop")
    await demo.sandbox.wait_for(lambda: newest(demo, f"{REPORTED}ok"), 15)
    await turn(demo, failing_percent=50)
    await demo.sandbox.slash("admin", "ops", "/maint health shop")
    card = await demo.sandbox.wait_for(lambda: newest(demo, f"{REPORTED}critical"), 15)

    assert "503" in card.shown


async def test_the_digest_comes_when_it_is_asked_for(demo: Running) -> None:
    """As everybody would have it in the morning, with what comes today."""
    await demo.sandbox.slash("admin", "ops", "/maint digest post")
    card = await demo.sandbox.wait_for(lambda: newest(demo, "checks ran, in"), 20)

    assert "fine:" in card.shown
    assert card.shown.count("Health check") >= 1


async def test_what_ships_is_on_a_schedule(serviced: Running) -> None:
    """In maint.yaml, with the shop's own targets; each with the time that comes next."""
    await serviced.sandbox.slash("admin", "ops", "/maint schedule")
    card = await serviced.sandbox.wait_for(lambda: newest(serviced, "Schedules", "admin"), 15)
    whens = ("daily 02:30", "Sunday 03:30", "2nd Monday 21:00", "daily 2:00", "Monday 9:00", "Monday 10:00")

    assert [each for each in whens if each not in card.shown] == []
    assert "Maintenance of db" in card.shown


async def test_a_slow_shop_is_a_warning(demo: Running) -> None:
    """Turned to slow, the shop's answers pass the library's threshold."""
    await turn(demo, slow_ms=800)
    await demo.sandbox.slash("sre1", "ops", "/maint health shop")
    card = await demo.sandbox.wait_for(lambda: newest(demo, f"{REPORTED}warning"), 15)

    assert "> 500 ms" in card.shown


@pytest.mark.skipif(sys.platform != "linux", reason="the host is one of the targets, and reads /proc")
async def test_every_target_can_be_measured(demo: Running) -> None:
    """The whole report has no check that nobody could make: the logs have lines, the shop has visitors."""
    await demo.sandbox.slash("admin", "ops", "/maint health")
    card = await demo.sandbox.wait_for(lambda: newest(demo, " checks in "), 20)

    assert "unknown" not in card.shown
    assert all(name in card.shown for name in ("shop", "shop-access-log", "shop-errors", "local"))


async def test_what_visitors_met_is_in_the_report(demo: Running) -> None:
    """Once pages fail, the access log's error rate is out of bounds by what visitors do."""
    await turn(demo, failing_percent=100)
    await asyncio.to_thread(_wait_for, demo.folder / "access.log", b'" 500 ')
    await demo.sandbox.slash("admin", "ops", "/maint health shop-access-log")
    card = await demo.sandbox.wait_for(lambda: newest(demo, "error rate"), 15)

    assert "shop-access-log" in card.shown


def _wait_for(log: Path, words: bytes) -> None:
    deadline = time.monotonic() + 10
    while words not in log.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_the_welcome_says_what_to_type_and_who_to_be(demo: Running) -> None:
    """The first message in #ops is the admin's, with the commands, the switches and the members."""
    first = demo.sandbox.messages("ops")[0]

    assert first.user == demo.sandbox.workspace.member("admin").id
    assert "`/maint health`" in first.text
    assert "`/maint help`" in first.text
    assert f"<{demo.shop}/switches|" in first.text
    assert "*nobody* has no grants" in first.text


@pytest.mark.parametrize("user", ["nobody", "dba"])
async def test_who_has_no_grant_is_refused(demo: Running, user: str) -> None:
    """The member without grants may not look, and without a database neither may its administrator."""
    await demo.sandbox.slash(user, "ops", "/maint health")
    await demo.sandbox.wait_for(lambda: newest(demo, "no grant for health", user), 15)


async def test_a_named_folder_is_kept_and_can_be_used_again(tmp_path: Path) -> None:
    """What one demo wrote is there for the next, which goes on in the same files."""
    folder = tmp_path / "kept"
    for _ in range(2):
        async with running(Options(port=0, folder=folder), Workspace()) as up:
            await up.sandbox.slash("admin", "ops", "/maint health shop")
            await up.sandbox.wait_for(lambda up=up: newest(up, f"{REPORTED}ok"), 15)

    assert (folder / "maint.db").exists()
    assert (folder / "error.log").read_text(encoding="utf-8").count("open at http://127.0.0.1:") == 2


async def test_settings_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    """A folder with a maint.yaml that the demo did not write is refused, and is as before."""
    (tmp_path / "maint.yaml").write_text("targets: {}\n")

    with pytest.raises(UsageError, match="was not written by the demo"):
        async with running(Options(port=0, folder=tmp_path), Workspace()):
            pass

    assert names(tmp_path) == {"maint.yaml"}
    assert (tmp_path / "maint.yaml").read_text() == "targets: {}\n"


async def test_one_folder_is_for_one_demo(demo: Running) -> None:
    """A second demo on the same folder is refused before it touches anything there."""
    before = (demo.folder / "maint.yaml").read_bytes()

    with pytest.raises(MaintError, match="is serving"):
        async with running(Options(port=0, folder=demo.folder), Workspace()):
            pass

    assert (demo.folder / "maint.yaml").read_bytes() == before


async def test_a_port_that_was_asked_for_and_is_taken_is_told(demo: Running) -> None:
    """`--port` with a port that is in use ends with one line that names it and says what to do."""
    taken = port_of(demo)

    with pytest.raises(UsageError, match=f"Port {taken} .*in use.*leave --port out"):
        async with running(Options(port=taken), Workspace()):
            pass


async def test_without_a_port_a_free_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the usual port is taken and nobody asked for it, the demo takes another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("bot.demo.demo.PORT", taken.getsockname()[1])

        async with running(Options(), Workspace()) as up:
            assert port_of(up) != taken.getsockname()[1]


async def test_an_alert_from_outside_is_a_card(demo: Running) -> None:
    """What the page shows, with the address and the token that the demo names."""
    page = Path(__file__).parents[2] / "docs" / "demo.md"
    (command,) = re.findall(r"```sh\n(curl .*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    words = shlex.split(command)
    token = (demo.folder / "hook-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    assert (words[1], words[3]) == ("ADDRESS", "Authorization: Bearer $(cat FOLDER/hook-token)")
    async with (
        aiohttp.ClientSession() as session,
        session.post(demo.hook, data=words[words.index("-d") + 1], headers=headers) as answer,
    ):
        assert answer.status == 200
    await demo.sandbox.wait_for(
        lambda: any("shop TooManyOrders" in each.shown for each in demo.sandbox.messages("alerts")), 15
    )


async def test_a_switch_makes_an_alert_that_ends_when_it_is_turned_back(demo: Running) -> None:
    """One message in #alerts, in whose thread who is on call is called; taken on, and over."""

    def shown(words: str) -> Message | None:
        found = [each for each in demo.sandbox.messages("alerts") if not each.thread_ts]
        return next((each for each in found if words in each.shown), None)

    await turn(demo, failing_percent=50)
    await demo.sandbox.slash("admin", "ops", "/maint health shop")
    card = await demo.sandbox.wait_for(lambda: shown("firing"), 15)
    await demo.sandbox.wait_for(lambda: demo.sandbox.thread(card), 15)
    await demo.sandbox.click("sre1", card, "Acknowledge")
    await demo.sandbox.wait_for(lambda: shown("acknowledged by"), 15)
    await turn(demo, failing_percent=0)
    await demo.sandbox.slash("admin", "ops", "/maint health shop")
    over = await demo.sandbox.wait_for(lambda: shown("resolved after"), 15)

    assert over.ts == card.ts
    assert "U00000SRE" in str([reply.blocks for reply in demo.sandbox.thread(card)])
