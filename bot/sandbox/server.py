"""The HTTP server of the sandbox. It binds to loopback only: it is a development server."""

import ipaddress
import logging

from aiohttp import web

from bot.sandbox.faults import Faults
from bot.sandbox.feed import Kind
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.sockets import Sockets
from bot.sandbox.web_api import WebApi
from bot.sandbox.workspace import Workspace

log = logging.getLogger(__name__)

UPLOAD_BYTES = 64 * 1024 * 1024


class NotLoopbackError(Exception):
    """The sandbox was asked to listen where others could reach it."""


def check_loopback(host: str) -> None:
    """Raises NotLoopbackError for anything but a loopback address."""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise NotLoopbackError(
            f"The sandbox is a development server without any protection, so it does not listen on {host!r}: "
            "use 127.0.0.1, ::1 or localhost."
        )


class Server:
    """One aiohttp application that speaks all of Slack's protocols, and can be given more routes."""

    def __init__(
        self, workspace: Workspace, api: WebApi, sockets: Sockets, response_urls: ResponseUrls, faults: Faults
    ) -> None:
        self._workspace = workspace
        self._api = api
        self._sockets = sockets
        self._response_urls = response_urls
        self._faults = faults
        self._runner: web.AppRunner | None = None
        self.app = web.Application(client_max_size=UPLOAD_BYTES)
        self.app.add_routes(
            [
                web.get("/api/{method}", api.handle),
                web.post("/api/{method}", api.handle),
                web.get("/socket", sockets.handle),
                web.post("/upload/v1/{file}", self._upload),
                web.get("/files/{file}/{name}", self._download),
                web.post("/response/{secret}", self._respond),
            ]
        )

    async def start(self, host: str, port: int) -> int:
        """Listens; the port, which is a free one for port 0. Raises NotLoopbackError and OSError."""
        check_loopback(host)
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        where = f"[{host}]" if ":" in host else host
        self._workspace.base_url = f"http://{where}:{bound}/"
        log.info("The Slack sandbox, a development server, listens on %s", self._workspace.base_url)
        return bound

    async def stop(self) -> None:
        """Closes every connection."""
        self._api.closing.set()
        await self._sockets.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        fault = self._faults.take("response_url")
        if fault is not None and (refusal := await self._api.before(fault, request)) is not None:
            return refusal
        answer = await self._response_urls.handle(request)
        if fault is not None:
            await self._api.after(fault, request)
        return answer

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        fault = self._faults.take("upload")
        if fault is not None and (refusal := await self._api.before(fault, request)) is not None:
            return refusal
        file = self._workspace.files.get(request.match_info["file"])
        if file is None or file.content is not None:
            return web.Response(status=404, text="no such upload")
        content = await _content(request)
        if len(content) != file.length:
            return web.Response(status=400, text=f"expected {file.length} bytes, got {len(content)}")
        file.content = content
        self._workspace.feed.publish(Kind.FILE, file)
        if fault is not None:
            await self._api.after(fault, request)
        return web.Response(text=f"OK - {len(content)}")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        file = self._workspace.files.get(request.match_info["file"])
        if file is None or file.content is None:
            return web.Response(status=404)
        # Never shown in place: a file could hold a page with a script in it.
        disposition = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=file.content, content_type="application/octet-stream", headers=disposition)


async def _content(request: web.Request) -> bytes:
    """The file: the whole body, or the first file of a form."""
    if request.content_type != "multipart/form-data":
        return await request.read()
    for part in (await request.post()).values():
        if isinstance(part, web.FileField):
            return part.file.read()
    return b""
