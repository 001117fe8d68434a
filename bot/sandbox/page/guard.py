"""Keeps other sites out: a page anywhere on the web can send requests to loopback through a browser."""

from collections.abc import Awaitable, Callable

from aiohttp import web

#: Nothing comes from elsewhere, nothing is run that is not a file of ours, and no text becomes markup:
#: with Trusted Types an assignment to innerHTML fails.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers only our own page, under a name of loopback: a name that was rebound to it is another site."""
    if request.host not in _own_hosts(request):
        raise web.HTTPForbidden(text="This development server answers on loopback names only.")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        raise web.HTTPForbidden(text="This development server answers its own page only.")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise web.HTTPForbidden(text="This development server answers its own page only.")
    # A form of another site cannot send JSON; what can, is asked first and then stopped above.
    if request.method == "POST" and request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Send JSON.")
    return await handler(request)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`."""
    response.headers.update(HEADERS)


def _own_hosts(request: web.Request) -> set[str]:
    """The Host headers of somebody who typed a loopback address."""
    assert request.transport is not None
    port = request.transport.get_extra_info("sockname")[1]
    return {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
