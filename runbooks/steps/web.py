"""How steps speak HTTP: bounded in time and size, to checked addresses, with failures put into words."""

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio.lowlevel
import httpx

from runbooks.errors import StepError
from runbooks.steps.address import look_up
from runbooks.targets import HttpTarget, PrometheusTarget

#: Seconds in which a healthy host completes a connection, TLS included.
CONNECT_TIMEOUT = 5.0
#: What can go wrong on our side before a packet leaves: it says nothing about the other side.
_OURS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EACCES, errno.EPERM, errno.ENETUNREACH}
    | {errno.EADDRNOTAVAIL, errno.ENETDOWN}
)
#: getaddrinfo's words for "there is no such name"; any other failure is the resolver's.
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Unreachable(Exception):
    """The other side does not answer as a web server does. `str()` goes on after its name: "refused the
    connection"."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back. `body` has at most as many bytes as were asked for; `cut` says there was more."""

    status: int
    body: bytes
    cut: bool
    encoding: str  # Content-Encoding; empty for plain
    location: httpx.URL | None  # where a redirect leads
    certificate_ends: datetime | None  # None without TLS, or when it is not verified


def join(address: str, path: str) -> httpx.URL:
    """A path below a target's address. Raises StepError when that is no address."""
    try:
        return httpx.URL(address + path)
    except httpx.InvalidURL as error:
        raise StepError(f"{address}{path} is no address; look at the target in maint.yaml") from error


def show_url(url: httpx.URL) -> str:
    """An address for people: without its query, where tokens travel, and cut."""
    text = f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


_building = threading.Lock()


@lru_cache(maxsize=64)
def _built_context(
    tls: bool,
    verify: bool,
    ca_file: str | None,
    changed: float,  # noqa: ARG001 - a file that was changed is another key of the cache
) -> ssl.SSLContext:
    if not tls:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()  # authorities of the company's own are installed in the system
    return context


@lru_cache(maxsize=1)
def _load_libraries() -> None:
    # httpx imports half of its machinery at the first request: on the event loop, for 100 ms that would be
    # taken for the service's.
    httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    anyio.run(anyio.lowlevel.checkpoint)


def _context(target: HttpTarget | PrometheusTarget, tls: bool) -> ssl.SSLContext:
    ca_file = target.ca_file if tls and target.verify_tls else None
    # One at a time: a context takes 40 ms of CPU, and twelve probes that start together need the same one.
    with _building:
        _load_libraries()
        try:
            changed = Path(ca_file).stat().st_mtime if ca_file else 0.0
            return _built_context(tls, target.verify_tls, ca_file, changed)
        except OSError as error:  # ssl.SSLError is one
            why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            raise StepError(
                f"the ca_file of target {target.name} cannot be used: {ca_file}: {why}"
            ) from error


class _CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to the very addresses that were checked; the name stays in Host, SNI and verification."""

    def __init__(self, context: ssl.SSLContext) -> None:
        # A kept connection is known by its IP address alone: another name there would get it unverified.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await look_up(host, port)
        timeouts = dict(request.extensions["timeout"])
        timeouts["connect"] /= len(addresses)
        first_failure: httpx.TransportError | None = None
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "timeout": timeouts, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
                    raise  # a bad certificate is a finding, whatever the next address has
                first_failure = first_failure or error
        assert first_failure is not None  # getaddrinfo raises rather than answer with nothing
        raise first_failure

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def open_client(
    target: HttpTarget | PrometheusTarget, seconds: float, *, tls: bool
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the target's TLS settings, whose calls give up after `seconds`. Without `tls` it can
    call http:// only.

    Every request is a connection of its own, as a new visitor has it. Proxies in the environment are not
    used, redirects not followed, and cookies forgotten. Raises StepError when `ca_file` cannot be used.
    """
    context = await asyncio.to_thread(_context, target, tls)
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_TIMEOUT, seconds))
    transport = _CheckedTransport(context)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
        yield client


#: What every request says. Bodies are never unpacked: a small one could become a huge one.
PLAIN_HEADERS = {"User-Agent": "maint", "Accept-Encoding": "identity"}


def headers_of(target: HttpTarget | PrometheusTarget) -> dict[str, str]:
    """The headers for a request to the target's own address, its secret ones in clear."""
    return PLAIN_HEADERS | {name: value.get_secret_value() for name, value in target.headers.items()}


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    *,
    headers: Mapping[str, str],
    limit: int,
    form: Mapping[str, str] | None = None,
    json: Any = None,
    content: bytes | None = None,
    sending: Callable[[], None] = lambda: None,
) -> Answer:
    """Asks once and reads at most `limit` bytes of the body. One of `form`, `json` and `content` is sent, if
    one is given. `sending` is called before the first byte of the request leaves: from then on nobody knows
    whether it took effect, until it is answered.

    Raises Unreachable when the other side is to blame, StepError when it is us (headers that cannot be
    sent, an address that must not be called, no network).
    """

    async def trace(event: str, _: object) -> None:
        if event.endswith("send_request_headers.started"):
            sending()

    try:
        request = client.build_request(
            method, url, headers=headers, data=form, json=json, content=content, extensions={"trace": trace}
        )
    except ValueError:
        # Not chained: the text of this error has the header's value in it.
        raise StepError("a header of the target cannot be sent: only ASCII letters fit") from None
    try:
        response = await client.send(request, stream=True)
        try:
            return await _read(response, limit)
        finally:
            await response.aclose()
    except httpx.LocalProtocolError:
        # Not chained: the text of this error has the header's value in it.
        raise StepError(
            "a header of the target cannot be sent: it has a line break or a control character"
        ) from None
    except httpx.HTTPError as error:
        raise _in_words(error) from error
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_NAME:
            raise Unreachable("cannot be found: its host name does not exist") from error
        raise StepError(f"the name {url.host} could not be looked up: {error.strerror}") from error


async def _read(response: httpx.Response, limit: int) -> Answer:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            break
    encoding = response.headers.get("content-encoding", "")
    return Answer(
        status=response.status_code,
        body=bytes(body[:limit]),
        cut=len(body) > limit,
        encoding="" if encoding == "identity" else encoding,
        location=response.next_request.url if response.next_request else None,
        certificate_ends=_certificate_ends(response),
    )


def _certificate_ends(response: httpx.Response) -> datetime | None:
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _in_words(error: httpx.HTTPError) -> Exception:
    if isinstance(error, httpx.ConnectTimeout):
        return Unreachable("did not accept the connection in time")
    if isinstance(error, httpx.TimeoutException):
        return Unreachable("did not answer in time")
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "; is its authority in the target's ca_file?" if "issuer" in cause.verify_message else ""
            return Unreachable(f"has a certificate that does not hold: {cause.verify_message}{hint}")
        if isinstance(cause, ssl.SSLError):
            return Unreachable(f"fails the TLS handshake ({cause.reason or 'it broke off'})")
        if isinstance(cause, ConnectionRefusedError):
            return Unreachable("refused the connection")
        if isinstance(cause, OSError) and cause.errno in _OURS:
            return StepError(f"this machine could not open a connection: {cause.strerror}")
        if isinstance(cause, OSError) and cause.errno == errno.EHOSTUNREACH:
            return Unreachable("is not reachable: no route to the host")
    if isinstance(error, httpx.RemoteProtocolError) and "without" not in str(error):
        return Unreachable("does not answer in HTTP")
    return Unreachable("broke off the connection before the answer was complete")
