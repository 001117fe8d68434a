"""The health check of the image tells a Maint that answers from everything else, and says why."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest
from aiohttp import web

from bot import alive
from bot.http import HttpServer, make_http
from bot.settings import Http
from tests.test_image import HEALTHCHECK


async def no_faults() -> dict[str, str]:
    """Nothing is wrong."""
    return {}


async def check(port: int | str, cwd: Path, **environ: str) -> tuple[int | None, str]:
    """Exit code and output of the Dockerfile's command, with this Python."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *HEALTHCHECK[1:],
        cwd=cwd,
        env={**os.environ, "MAINT_HTTP_PORT": str(port), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_maint_that_answers_is_healthy(tmp_path: Path) -> None:
    """The real HTTP edge answers, also when it is not ready, and proxies in the environment are not asked."""
    server = HttpServer(make_http(no_faults), "127.0.0.1", 0)
    port = await server.start()
    try:
        code, output = await check(port, tmp_path, http_proxy=f"http://127.0.0.1:{free_port()}")
    finally:
        await server.stop()

    assert (code, output) == (0, f"http://127.0.0.1:{port}/healthz answers 200.\n")


async def test_without_an_http_edge_it_is_unhealthy_and_says_what_to_do(tmp_path: Path) -> None:
    """Nothing that could be measured is not called healthy; one line names the setting."""
    code, output = await check(free_port(), tmp_path)

    assert code == 1
    assert "Connection refused" in output
    assert "`http:`" in output
    assert output.count("\n") == 1


async def test_another_server_on_the_port_is_unhealthy(tmp_path: Path) -> None:
    """A server that knows no /healthz is not Maint."""
    server = HttpServer(web.Application(), "127.0.0.1", 0)
    port = await server.start()
    try:
        code, output = await check(port, tmp_path)
    finally:
        await server.stop()

    assert code == 1
    assert output.endswith("/healthz answers 404.\n")


@pytest.mark.parametrize("port", ["http", "", "70000", "-1"])
async def test_a_port_that_is_none_is_unhealthy_without_a_trace(port: str, tmp_path: Path) -> None:
    """What MAINT_HTTP_PORT holds is a line in the log of health checks at the worst."""
    code, output = await check(port, tmp_path)

    assert code == 1
    assert output.count("\n") == 1


async def test_files_in_the_data_folder_are_not_run(tmp_path: Path) -> None:
    """The check runs where people's files are; a package there is not taken for Maint's."""
    package = tmp_path / "bot"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "alive.py").write_text("print('taken over')", encoding="utf-8")

    _, output = await check(free_port(), tmp_path)

    assert "taken over" not in output


def test_a_server_that_hangs_is_unhealthy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A connection that is taken and never answered ends with the time limit."""
    monkeypatch.setattr(alive, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        monkeypatch.setenv("MAINT_HTTP_PORT", str(hanging.getsockname()[1]))

        assert alive.main() == 1
    assert "timed out" in capsys.readouterr().out


def test_it_asks_where_maint_listens_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The port that is asked and the port of `http: {}` are the same."""
    monkeypatch.delenv("MAINT_HTTP_PORT", raising=False)
    monkeypatch.setattr(alive, "TIMEOUT", 0.1)
    alive.main()

    assert capsys.readouterr().out.startswith(f"http://127.0.0.1:{Http().port}/healthz ")
