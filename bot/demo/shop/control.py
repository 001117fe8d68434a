"""The page with the shop's switches: plain forms, for people on this machine and no website."""

from collections.abc import Iterable
from pathlib import Path
from string import Template

from aiohttp import hdrs, web

from bot.demo.shop.switches import Switchboard, Switches

_HERE = Path(__file__).parent
_PAGE = Template((_HERE / "switches.html").read_text(encoding="utf-8"))
_STYLE = (_HERE / "switches.css").read_text(encoding="utf-8")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

#: Switch -> its heading, and its buttons as (value, words).
_BUTTONS: tuple[tuple[str, str, tuple[tuple[int, str], ...]], ...] = (
    ("slow_ms", "Answers", ((0, "Quick"), (800, "Slow"), (2500, "Very slow"))),
    ("failing_percent", "Failures", ((0, "None"), (10, "10 %"), (50, "50 %"))),
    ("leaking", "Database connections", ((0, "Given back"), (1, "Leaking"))),
    ("weight_percent", "Version 2", tuple((share, f"{share} %") for share in (0, 10, 25, 50, 100))),
)


def add_control(app: web.Application, switchboard: Switchboard) -> None:
    """Adds /switches: GET shows the buttons; POST sets what its form names, as `slow_ms=800`."""

    async def show(request: web.Request) -> web.Response:
        demand_host(request)
        text = _PAGE.substitute(switches="\n".join(_draw(switchboard)))
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def style(_: web.Request) -> web.Response:
        return web.Response(text=_STYLE, content_type="text/css", headers=_HEADERS)

    async def turn(request: web.Request) -> web.Response:
        demand_host(request)
        # A browser names the page that sends a form; what is no browser (curl) says nothing.
        if request.headers.get(hdrs.ORIGIN, f"http://{request.host}") != f"http://{request.host}":
            raise web.HTTPForbidden(text="The switches are turned from their own page only.")
        form = await request.post()
        try:
            switchboard.turn({name: str(value) for name, value in form.items()})
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error), headers=_HEADERS) from error
        raise web.HTTPSeeOther("/switches")

    app.add_routes([web.get("/switches", show), web.post("/switches", turn), web.get("/switches.css", style)])


def demand_host(request: web.Request) -> None:
    """Refuses a name of somebody else's that leads here: its pages would count as ours (DNS rebinding)."""
    name = request.host.rpartition(":")[0] or request.host
    if name not in ("127.0.0.1", "localhost"):
        raise web.HTTPForbidden(text="The switches answer at 127.0.0.1 only.")


def _draw(switchboard: Switchboard) -> Iterable[str]:
    now = switchboard.now
    for name, heading, buttons in _BUTTONS:
        yield f'<form method="post" action="/switches"><fieldset><legend>{heading}</legend>'
        yield from (_button(name, value, words, now) for value, words in buttons)
        if name == "leaking" and not switchboard.can_leak:
            yield "<p>Needs a database: <code>maint demo --with-services</code></p>"
        yield "</fieldset></form>"


def _button(name: str, value: int, words: str, now: Switches) -> str:
    pressed = "true" if int(getattr(now, name)) == value else "false"
    return f'<button name="{name}" value="{value}" aria-pressed="{pressed}">{words}</button>'
