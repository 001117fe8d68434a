"""What moves the shop's traffic: /rollout tells and takes version 2's release and weight, in JSON."""

import json
from typing import Any

from aiohttp import web

from bot.demo.shop.control import demand_host
from bot.demo.shop.switches import Switchboard


def add_rollout(app: web.Application, switchboard: Switchboard) -> None:
    """Adds /rollout: GET answers `{"version": "2.0.0", "weight": 25}`, PUT takes the same."""

    async def show(request: web.Request) -> web.Response:
        demand_host(request)
        return web.json_response(_shown(switchboard))

    async def move(request: web.Request) -> web.Response:
        # No page of another origin can send a PUT: a browser asks first, and gets no answer to that.
        demand_host(request)
        try:
            told = json.loads(await request.text())
            if not isinstance(told, dict) or set(told) != {"version", "weight"}:
                raise ValueError('expected {"version": "2.0.0", "weight": 25}')
            switchboard.turn({"release": str(told["version"]), "weight_percent": str(told["weight"])})
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response(_shown(switchboard))

    app.add_routes([web.get("/rollout", show), web.put("/rollout", move)])


def _shown(switchboard: Switchboard) -> dict[str, Any]:
    return {"version": switchboard.now.release, "weight": switchboard.now.weight_percent}
