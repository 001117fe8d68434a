"""`http.probe` and services that send it elsewhere."""

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from runbooks.errors import StepError
from tests.steps.probing import finding, names, probe
from tests.steps.serving import redirects, says, serve, serve_bytes


async def test_a_redirect_is_not_followed_unless_told() -> None:
    """A redirect is the answer, and one that nobody expected."""
    async with serve(root=redirects("/login"), login=says("")) as url:
        text = finding(await probe(url))
    assert text == f"{url}/ answered 302, a redirect to {url}/login, instead of 2xx"


async def test_a_redirect_on_the_same_host_is_followed_when_told() -> None:
    """With `follow_redirects` the last answer counts."""
    async with serve(root=redirects("/login"), login=says("in")) as url:
        assert (await probe(url, follow_redirects=True, body_contains="in")).values["status"] == 200


async def test_a_redirect_loop_ends() -> None:
    """A service that redirects to itself for ever is a finding."""
    async with serve(root=redirects("/")) as url:
        assert "a loop?" in finding(await probe(url, follow_redirects=True))


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:6379/",
        "//evil.example/",
        "http://127.0.0.1:1/",
        "http://user:pass@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_elsewhere_is_not_followed(location: str) -> None:
    """Another host, port or scheme is not visited, and the finding says how to allow it."""
    async with serve(root=redirects(location)) as url:
        assert "redirect_hosts" in finding(await probe(url, follow_redirects=True))


@pytest.mark.parametrize("location", ["http://[", "http://a:99999/", "http://\x7f/"])
async def test_a_redirect_that_cannot_be_read_is_critical(location: str) -> None:
    """A Location that is no address is the service's fault."""
    data = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    async with serve_bytes(data) as url:
        assert finding(await probe(url, follow_redirects=True))


async def test_a_listed_host_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`redirect_hosts` allows a host by the name and port that an address shows."""
    async with serve(root=says("there")) as there, serve(root=redirects(there)) as here:
        host = there.removeprefix("http://")
        measured = await probe(here, follow_redirects=True, redirect_hosts=[host], body_contains="there")
    assert measured.findings == ()


async def test_a_listed_host_is_checked_as_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect to an allowed name does not open a forbidden address."""
    names(monkeypatch, ["169.254.169.254"])
    async with serve_bytes(
        b"HTTP/1.1 302 Found\r\nLocation: http://cdn.example/\r\nContent-Length: 0\r\n\r\n"
    ) as url:
        port = url.rsplit(":", 1)[1]
        monkeypatch.undo()
        names_of = {"cdn.example": "169.254.169.254", "127.0.0.1": "127.0.0.1"}

        async def look_up(host: str, port: int, **_: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (names_of[host], port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        with pytest.raises(StepError, match=r"cdn\.example is 169\.254\.169\.254"):
            await probe(f"http://127.0.0.1:{port}", follow_redirects=True, redirect_hosts=["cdn.example"])


async def test_another_host_does_not_get_the_targets_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target's secrets go to its own host only."""
    names(monkeypatch, ["127.0.0.1"])

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"key={request.headers.get('X-Api-Key')}")

    async with serve(root=handler) as there:
        elsewhere = there.replace("127.0.0.1", "cdn.example")
        async with serve(root=redirects(elsewhere)) as here:
            measured = await probe(
                here,
                target={"headers": {"X-Api-Key": SecretStr("s3cret")}},
                follow_redirects=True,
                redirect_hosts=[elsewhere.removeprefix("http://")],
                body_contains="key=None",
            )
    assert measured.findings == ()
