"""Rollouts in the sandbox: stages with live numbers, what people can do meanwhile, and the way back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.scenario.floor import Floor

ROLLOUT = """
    name: roll
    title: Roll out {{ params.version }}
    params: {version: {type: string}}
    locks: [shop]
    steps:
      - id: shift
        title: Shift
        rollout:
          target: shop
          to: '{{ params.version }}'
          stages: [10, 50, 100]
          soak: 1h
          every: 10m
          verify: [{as: answers, http.probe: {target: shop, path: /}}]
          on_failure: {FAILURE}
          {MORE}
      - id: watch
        title: Watch
        soak: {for: 24h, every: 1h, checks: [shift.verify]}
"""


class Shop:
    """A service whose weight can be set, and that fails when told."""

    def __init__(self) -> None:
        self.version, self.weight = "1.0.0", 100.0
        self.status = 200
        self.set: list[tuple[str, float]] = []

    async def page(self, _: web.Request) -> web.Response:
        """A visitor's page."""
        return web.Response(status=self.status)

    async def slow(self, _: web.Request) -> web.Response:
        """The same, as only the new version is: slow."""
        await asyncio.sleep(0.5)
        return web.Response()

    async def told(self, _: web.Request) -> web.Response:
        """The weight as it is."""
        return web.json_response({"version": self.version, "weight": self.weight})

    async def moved(self, request: web.Request) -> web.Response:
        """Another weight."""
        wanted = await request.json()
        self.version, self.weight = wanted["version"], wanted["weight"]
        self.set.append((self.version, self.weight))
        return web.json_response(wanted)


@pytest.fixture
async def shop(floor: Floor) -> AsyncIterator[Shop]:
    """The service, as a target of the floor."""
    shop = Shop()
    application = web.Application()
    application.add_routes(
        [web.get("/rollout", shop.told), web.put("/rollout", shop.moved), web.get("/", shop.page)]
    )
    application.router.add_get("/slow", shop.slow)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    body = {"version": "{version}", "weight": "{weight}"}
    traffic = {"get": {"path": "/rollout", "version": "/version"}, "set": {"path": "/rollout", "json": body}}
    floor.workplace.settings["targets"]["shop"] = {  # type: ignore[index]
        "type": "http",
        "url": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "traffic": {"http": traffic},
    }
    yield shop
    await runner.cleanup()


def rolls(floor: Floor, more: str = "", failure: str = "rollback") -> None:
    """A runbook that rolls the shop out."""
    floor.runbook("roll", ROLLOUT.replace("{MORE}", more).replace("{FAILURE}", failure))


async def test_stages_hours_and_a_watch_of_a_day(floor: Floor, shop: Shop) -> None:
    """10, 50, 100 %, each for an hour, then a day of watching: with nothing running in between."""
    rolls(floor)
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        await floor.shows(card, "Soaking", "10 %", "Promote now", "Hold", "Roll back")
        await floor.pass_time(card, minutes=11)
        await floor.shows(card, "answers", "ms")
        for weight in (50, 100):
            await floor.pass_time(card, hours=1, minutes=1)
            await floor.until(lambda w=weight: shop.weight == w, lambda: card.shown)  # type: ignore[misc]
            await floor.shows(card, f"{weight} %")
        await floor.pass_time(card, hours=1, minutes=1)
        await floor.until(lambda: not floor.offers(card, "promote"), lambda: card.shown)
        await floor.pass_time(card)
    floor.clock.turn(hours=25)  # the watch lives longer than the process
    async with floor.open():
        await floor.shows(card, "Done")
    assert shop.set == [("2.0.0", 10), ("2.0.0", 50), ("2.0.0", 100)]


async def test_a_failing_check_puts_back_what_was_there(floor: Floor, shop: Shop) -> None:
    """By itself and at once, to the version and the weight from before the first stage."""
    rolls(floor)
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        await floor.shows(card, "Soaking", "10 %")
        await floor.pass_time(card, hours=1, minutes=1)
        await floor.until(lambda: shop.weight == 50, lambda: card.shown)
        shop.status = 500
        await floor.pass_time(card, minutes=11)
        await floor.shows(card, "Rolled back", "500")
    assert shop.set[-1] == ("1.0.0", 100)


async def test_a_failing_check_asks_where_the_runbook_says_so(floor: Floor, shop: Shop) -> None:
    """`on_failure: ask`: people decide, and the weight stays meanwhile."""
    rolls(floor, failure="ask")
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        await floor.shows(card, "Soaking", "10 %")
        shop.status = 500
        await floor.pass_time(card, minutes=11)
        await floor.shows(card, "Needs a decision", "Retry", "Roll back")
        assert (shop.version, shop.weight) == ("2.0.0", 10)
        await floor.press("admin", card, "Roll back")
        await floor.shows(card, "Rolled back")
    assert (shop.version, shop.weight) == ("1.0.0", 100)


async def test_people_promote_hold_and_roll_back(floor: Floor, shop: Shop) -> None:
    """Promote now ends the soak, Hold keeps the stage beyond it, Resume goes on, Roll back goes back."""
    rolls(floor)
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        await floor.shows(card, "Soaking", "10 %")
        await floor.press("nobody", card, "Promote now")
        await floor.told("nobody", "may not answer")
        await floor.press("admin", card, "Promote now")
        await floor.until(lambda: shop.weight == 50, lambda: card.shown)
        await floor.until(lambda: floor.offers(card, "hold"), lambda: card.shown)
        await floor.press("admin", card, "Hold")
        await floor.until(lambda: floor.offers(card, "resume"), lambda: card.shown)
        await floor.pass_time(card, hours=2)
        await floor.shows(card, "held")
        assert shop.weight == 50
        await floor.press("admin", card, "Resume")
        await floor.until(lambda: shop.weight == 100, lambda: card.shown)
        await floor.until(lambda: floor.offers(card, "promote"), lambda: card.shown)
        await floor.press("admin", card, "Roll back")
        await floor.shows(card, "Rolled back")
    assert shop.set[-1] == ("1.0.0", 100)


async def test_a_version_much_slower_than_the_stable_one_goes_back(floor: Floor, shop: Shop) -> None:
    """`compare:` holds the new version against the stable one, not against a number of its own."""
    rolls(
        floor,
        more="""compare:
            as: slowness
            stable: {http.probe: {target: shop, path: /}}
            canary: {http.probe: {target: shop, path: /slow}}
            critical: {difference: {above: 200}}""",
    )
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        await floor.shows(card, "Soaking", "10 %")
        await floor.pass_time(card, minutes=11)
        await floor.shows(card, "Rolled back", "slowness")
    assert (shop.version, shop.weight) == ("1.0.0", 100)


async def test_a_gate_stands_between_two_stages(floor: Floor, shop: Shop) -> None:
    """After the soak people decide; the checks go on meanwhile, and a failing one closes the gate."""
    rolls(floor, "between: {gate: {approvers: [sre]}}")
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        await floor.shows(card, "Soaking", "10 %")
        await floor.pass_time(card, hours=1, minutes=1)
        await floor.until(lambda: floor.offers(card, "approve"), lambda: card.shown)
        assert shop.weight == 10
        await floor.press("sre1", card, "Approve")
        await floor.until(lambda: shop.weight == 50, lambda: card.shown)
        await floor.pass_time(card, hours=1, minutes=1)
        await floor.until(lambda: floor.offers(card, "approve"), lambda: card.shown)
        shop.status = 500
        await floor.pass_time(card, minutes=11)
        await floor.shows(card, "Rolled back")
        assert not floor.offers(card, "approve")


async def test_a_gradual_rollback_goes_down_only(floor: Floor, shop: Shop) -> None:
    """Through the stages below the weight it has, and then what was noted."""
    rolls(floor, "gradual_rollback: true")
    shop.version, shop.weight = "2.0.0", 0
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        for weight in (50, 100):
            await floor.until(lambda: floor.offers(card, "promote"), lambda: card.shown)
            await floor.press("admin", card, "Promote now")
            await floor.until(lambda w=weight: shop.weight == w, lambda: card.shown)  # type: ignore[misc]
        await floor.until(lambda: floor.offers(card, "rollback"), lambda: card.shown)
        await floor.press("admin", card, "Roll back")
        for weight in (50, 10):
            await floor.until(lambda w=weight: shop.weight == w, lambda: card.shown)  # type: ignore[misc]
            await floor.pass_time(card, minutes=11)
        await floor.shows(card, "Rolled back")
    assert [weight for _, weight in shop.set] == [10, 50, 100, 50, 10, 0]


@pytest.mark.parametrize("meddled", [False, True])
async def test_a_finished_rollout_is_undone_unless_something_else_has_changed(
    floor: Floor, shop: Shop, meddled: bool
) -> None:
    """`/maint rollback RUN`: what was noted is restored, or it is said what is different now."""
    rolls(floor)
    async with floor.open():
        card = await floor.start("roll version=2.0.0", card="Roll out 2.0.0")
        for weight in (50, 100):
            await floor.until(lambda: floor.offers(card, "promote"), lambda: card.shown)
            await floor.press("admin", card, "Promote now")
            await floor.until(lambda w=weight: shop.weight == w, lambda: card.shown)  # type: ignore[misc]
        await floor.until(lambda: floor.offers(card, "promote"), lambda: card.shown)
        await floor.press("admin", card, "Promote now")
        await floor.until(lambda: not floor.offers(card, "promote"), lambda: card.shown)
        await floor.pass_time(card, hours=25)
        await floor.shows(card, "Done")
        if meddled:
            shop.version = "2.0.7"
        run = (await floor.view(card)).run.id[-8:]
        await floor.type("admin", f'rollback {run} "orders fail"')
        if meddled:
            await floor.told("admin", "2.0.7")
        else:
            undone = await floor.card("undoes run")
            await floor.shows(undone, "Rolled back")
    assert (shop.version, shop.weight) == (("2.0.7", 100) if meddled else ("1.0.0", 100))
