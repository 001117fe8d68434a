"""The Web API at /api/: from an HTTP request to the method's handler and back."""

import asyncio
import contextlib
import json
import time
from typing import Any

from aiohttp import web

from bot.sandbox.errors import SlackError, invalid
from bot.sandbox.faults import Fault, Faults, Trouble
from bot.sandbox.method import Method, Request
from bot.sandbox.methods import METHODS
from bot.sandbox.throttle import Throttle
from bot.sandbox.triggers import Triggers
from bot.sandbox.workspace import Call, Workspace

#: Arguments that every method takes.
ALWAYS = frozenset({"token", "team_id"})


class WebApi:
    """Answers the calls of the app."""

    def __init__(self, workspace: Workspace, triggers: Triggers, faults: Faults) -> None:
        self._workspace = workspace
        self._triggers = triggers
        self._faults = faults
        self.throttle = Throttle(workspace)
        #: Set when the sandbox stops, so that nobody waits for an answer that never comes.
        self.closing = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The aiohttp handler of /api/{method}."""
        name = request.match_info["method"]
        try:
            arguments = await _arguments(request)
        except SlackError as error:
            return web.json_response(error.answer)
        token = _token(request, arguments)
        fault = self._faults.take(name)
        if fault is not None and (refusal := await self.before(fault, request)) is not None:
            self._record(name, arguments, {}, refusal.status, fault)
            return refusal
        status, headers = 200, {}
        try:
            answer = self._answer(name, token, arguments)
        except SlackError as error:
            answer = error.answer
            if error.code == "ratelimited":
                status, headers = 429, {"Retry-After": str(answer.pop("retry_after"))}
        self._record(name, arguments, answer, status, fault)
        if fault is not None:
            await self.after(fault, request)
        headers["X-OAuth-Scopes"] = ",".join(sorted(self._workspace.scopes))
        return web.json_response(answer, status=status, headers=headers)

    async def before(self, fault: Fault, request: web.Request) -> web.Response | None:
        """The trouble that keeps a request from being handled, if it is of that kind."""
        if fault.trouble is Trouble.RATELIMITED:
            headers = {"Retry-After": str(int(fault.seconds))}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        if fault.trouble is Trouble.SERVER_ERROR:
            return web.Response(status=fault.status, text="upstream connect error")
        if fault.trouble is Trouble.DROP_BEFORE:
            return _drop(request)
        if fault.trouble is Trouble.BLACK_HOLE:
            await self.closing.wait()
            return _drop(request)
        return None

    async def after(self, fault: Fault, request: web.Request) -> None:
        """The trouble that keeps an answer from arriving, or from arriving soon."""
        if fault.trouble is Trouble.DROP_AFTER:
            _drop(request)
        elif fault.trouble is Trouble.LATE:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.closing.wait(), fault.seconds)

    def _answer(self, name: str, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        self._authenticate(method, token)
        request = Request(self._workspace, self._triggers, arguments)
        if method.scope is not None and not method.app_token and not method.by_kind:
            request.need(method.scope)
        wait = self.throttle.wait(name, method, request.text("channel"))
        if wait:
            raise SlackError("ratelimited", retry_after=wait)
        missing = [each for each in method.must if arguments.get(each) in (None, "")]
        if missing:
            raise invalid(
                _missing_code(name, missing), *(f"missing required field: {each}" for each in missing)
            )
        unknown = set(arguments) - set(method.must) - set(method.may) - ALWAYS
        if unknown:
            raise invalid("invalid_arguments", *(f"unknown argument: {each}" for each in sorted(unknown)))
        return {"ok": True, **method.handler(request)}

    def _authenticate(self, method: Method, token: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if token not in (self._workspace.bot_token, self._workspace.app_token):
            raise SlackError("invalid_auth")
        if (token == self._workspace.app_token) is not method.app_token:
            raise SlackError("not_allowed_token_type")

    def _record(
        self, name: str, arguments: dict[str, Any], answer: dict[str, Any], status: int, fault: Fault | None
    ) -> None:
        shown = answer if name != "apps.connections.open" else {**answer, "url": "(a WebSocket address)"}
        call = Call(name, arguments, shown, time.time(), status, fault.trouble if fault else None)
        self._workspace.calls.append(call)
        self._workspace.log("api", call)


def _missing_code(name: str, missing: list[str]) -> str:
    """Most methods say invalid_arguments; a few have a word of their own."""
    if name.startswith("chat.") and "channel" in missing:
        return "channel_not_found"
    return "missing_argument" if name.startswith("files.get") else "invalid_arguments"


def _drop(request: web.Request) -> web.Response:
    """Cuts the connection. The response that is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


async def _arguments(request: web.Request) -> dict[str, Any]:
    """What stands in the query, then in a form or a JSON body. Raises SlackError."""
    found: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text() or "{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        found.update({name: value for name, value in body.items() if value is not None})
    elif request.method == "POST":
        found.update(await request.post())
    return found


def _token(request: web.Request, arguments: dict[str, Any]) -> str:
    """The token, which is taken out of the arguments: it is not to be kept."""
    given = str(arguments.pop("token", ""))
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else given
