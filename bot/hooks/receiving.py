"""Takes in what other systems send to `/hooks/NAME`: nothing without a token, and an answer after the commit.

A sender tries again until it gets a 2xx. So what was taken in is in the database, what was not may come
again, and what comes twice does no harm.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

import structlog
from aiohttp import ClientError, web
from aiohttp.http import HttpProcessingError

from bot.hooks import AnyHook
from bot.hooks.told import Known, Told, Unreadable
from runbooks.errors import RecordsError
from runbooks.records.alerts import Severity
from runbooks.records.records import Records
from runbooks.watch.alerts import Alerts
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.settle import MAINT
from runbooks.watch.signal import Seen, Signal

log = structlog.get_logger()

PATH = "/hooks/{name}"
#: Bytes of a body. 10,000 alerts with seven labels and an annotation have 4 MB.
LARGEST_HOOK = 16_000_000
#: Seconds in which a body must be here.
LONGEST_BODY = 30.0
#: Bodies that are read and taken in at the same time: what they need of memory has an end.
AT_ONCE = 3
#: Signals of one transaction.
BATCH = 500
#: Seconds after which a sender may try again.
PAUSE = 10


class Receiving:
    """The hooks of one process."""

    def __init__(
        self,
        hooks: Mapping[str, AnyHook],
        known: Known,
        records: Records,
        alerts: Alerts,
        now: Callable[[], datetime],
    ) -> None:
        self._hooks = hooks
        self._known = known
        self._records = records
        self._alerts = alerts
        self._now = now
        self._room = asyncio.Semaphore(AT_ONCE)

    def route(self) -> web.RouteDef:
        """Where they are."""
        return web.post(PATH, self._take)

    async def _take(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        hook = self._hooks.get(name)
        believed = _believed(hook, request.headers.get("Authorization", ""))
        if hook is None or not believed:
            log.warning("hook.refused", hook=name[:100], remote=request.remote)
            return _answer(
                401,
                "There is no hook of that name with that token. Send it to /hooks/NAME, with the header "
                "`Authorization: Bearer` and the token that `hooks:` in maint.yaml has for NAME.",
                **{"WWW-Authenticate": "Bearer"},
            )
        if fault := _unfit(request):
            return fault
        async with self._room:
            body = await _body(request)
            if isinstance(body, web.Response):
                return body
            try:
                told = await asyncio.to_thread(self._read, name, hook, body)
                await self.keep(name, told)
            except Unreadable as error:
                log.warning("hook.unreadable", hook=name, error=str(error))
                return _answer(400, str(error))
            except RecordsError as error:
                log.warning("hook.not_kept", hook=name, error=str(error))
                return _answer(
                    503, "It could not be kept just now: send it again.", **{"Retry-After": str(PAUSE)}
                )
        taken = {"alerts": len(told.signals), "unreadable": told.unreadable, "left_out": told.left_out}
        return web.json_response(taken)

    def _read(self, name: str, hook: AnyHook, body: bytes) -> Told:
        """Blocks. Raises Unreadable."""
        try:
            content = json.loads(body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise Unreadable("The body is not JSON in UTF-8.") from None
        return hook.read(name, content, self._known, self._now())

    async def keep(self, name: str, told: Told) -> None:
        """Writes it down, some hundred alerts in one transaction. Raises RecordsError."""
        signals = (*told.signals, self._missing(name, told))
        changed = False
        try:
            for batch in _batches(signals):
                changed = await self._records.write(partial(self._alerts.ingest, signals=batch)) or changed
        finally:
            if changed:
                self._alerts.told()

    def _missing(self, name: str, told: Told) -> Signal:
        """What did not come is trouble of its own, until the same group comes whole."""
        parts = []
        if told.left_out:
            parts.append(f"{told.left_out:,} were left out by their sender (max_alerts)")
        if told.unreadable:
            parts.append(f"{told.unreadable:,} have no status, start or labels that could be read")
        return Signal(
            fingerprint=fingerprint(MAINT, {"hook": name, "group": told.group}),
            source=MAINT,
            seen=Seen.BAD if parts else Seen.WELL,
            at=self._now(),
            severity=Severity.WARNING,
            title=f"Alerts of {name} are missing",
            summary=f"Of one group {' and '.join(parts)}." if parts else "",
            channel=self._hooks[name].channel or "",
            labels={"hook": name},
        )


def _believed(hook: AnyHook | None, header: str) -> bool:
    """Whether the header has one of the hook's tokens; it takes as long whichever it is, and for none."""
    scheme, _, token = header.partition(" ")
    given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
    found = False
    for secret in (each.get_secret_value() for each in hook.token) if hook else ("",):
        expected = hashlib.sha256(secret.encode()).digest()
        found = hmac.compare_digest(given, expected) or found
    return found and hook is not None and scheme.casefold() == "bearer"


def _unfit(request: web.Request) -> web.Response | None:
    """What can be said before the body is read."""
    if request.content_type != "application/json":
        return _answer(415, "The body is JSON: send `Content-Type: application/json`.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        return _answer(415, "The body is taken as it is: send it without Content-Encoding.")
    if (request.content_length or 0) > LARGEST_HOOK:
        return _too_large()
    return None


async def _body(request: web.Request) -> bytes | web.Response:
    body = bytearray()
    try:
        async with asyncio.timeout(LONGEST_BODY):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > LARGEST_HOOK:
                    return _too_large()
    except TimeoutError:
        return _answer(408, f"The body was not here after {LONGEST_BODY:g} s.")
    except (web.PayloadAccessError, HttpProcessingError, ClientError, OSError):
        return _answer(400, "The body broke off.")
    return bytes(body)


def _too_large() -> web.Response:
    return _answer(
        413,
        f"A body has at most {LARGEST_HOOK:,} bytes. Of Alertmanager: group alerts by more labels "
        "(`group_by`), or set `max_alerts`.",
    )


def _answer(status: int, text: str, **headers: str) -> web.Response:
    return web.json_response({"error": text}, status=status, headers=headers)


def _batches(signals: tuple[Signal, ...]) -> Iterator[tuple[Signal, ...]]:
    for start in range(0, len(signals), BATCH):
        yield signals[start : start + BATCH]
