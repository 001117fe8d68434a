"""What the shop sells: from a list, or from a Redis cache in front of a PostgreSQL database."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Protocol

from psycopg import AsyncConnection, Error
from redis.asyncio import Redis
from redis.exceptions import RedisError

#: Seconds that the database and the cache have for an answer.
TIMEOUT = 5.0
#: Seconds after which a product is read from the database again: not all of them in one moment.
CACHED = (60, 240)


class GoodsError(Exception):
    """The database or the cache does not do its part."""


@dataclass(frozen=True)
class Product:
    """One thing to buy. The price is in cents."""

    id: int
    name: str
    cents: int


NAMES = (
    *("oak desk", "desk lamp", "swivel chair", "book end", "ink pen", "letter tray"),
    *("wall clock", "coat stand", "paper bin", "cork board", "desk fan", "door mat"),
)
PRODUCTS = tuple(Product(number, name, 990 + 1500 * number) for number, name in enumerate(NAMES, 1))


class Goods(Protocol):
    """Where products and orders are kept."""

    async def products(self, ids: Sequence[int]) -> list[Product]:
        """Those of them that there are. Raises GoodsError."""
        ...

    async def order(self, product: int) -> int:
        """Sells one; the order's number. Raises GoodsError."""
        ...

    async def close(self) -> None:
        """Gives back what it holds."""
        ...


class ListedGoods:
    """A list in memory, for a shop without services."""

    def __init__(self) -> None:
        self._orders = count(1)

    async def products(self, ids: Sequence[int]) -> list[Product]:
        """Those of them that there are."""
        return [product for product in PRODUCTS if product.id in ids]

    async def order(self, product: int) -> int:  # noqa: ARG002 - nothing is kept here
        """A new number."""
        return next(self._orders)

    async def close(self) -> None:
        """Nothing to give back."""


class StoredGoods:
    """Products in `products` behind the cache, orders in `orders`.

    While `leaking` says so, every query keeps a connection of its own in an open transaction, until the
    server has none left; afterwards all of them are given back.
    """

    def __init__(self, database: str, cache: str, leaking: Callable[[], bool]) -> None:
        self._database = database
        self._cache = Redis.from_url(
            cache, decode_responses=True, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        self._leaking = leaking
        self._connection: AsyncConnection[Any] | None = None
        self._leaked: list[AsyncConnection[Any]] = []
        self._turn = asyncio.Lock()

    async def products(self, ids: Sequence[int]) -> list[Product]:
        """Those of them that there are. Raises GoodsError."""
        try:
            cached = await self._cache.mget([f"product:{number}" for number in ids])
            found = [Product(**json.loads(text)) for text in cached if text is not None]
            missing = [number for number, text in zip(ids, cached, strict=True) if text is None]
            if missing:
                rows = await self._rows(
                    "SELECT id, name, cents FROM products WHERE id = ANY(%s) ORDER BY id", missing
                )
                read = [Product(*row) for row in rows]
                for product in read:
                    text = json.dumps(asdict(product))
                    seconds = random.randint(*CACHED)  # noqa: S311 - no secret is made of it
                    await self._cache.set(f"product:{product.id}", text, ex=seconds)
                found += read
        except RedisError as error:
            raise GoodsError(f"cache: {error}") from error
        return found

    async def order(self, product: int) -> int:
        """Sells one; the order's number. Raises GoodsError."""
        ((number,),) = await self._rows("INSERT INTO orders (product) VALUES (%s) RETURNING id", product)
        return int(number)

    async def close(self) -> None:
        """Gives back every connection."""
        await self._give_back()
        if self._connection is not None:
            await self._connection.close()
        await self._cache.aclose()

    async def _rows(self, query: str, parameter: object) -> list[tuple[Any, ...]]:
        try:
            async with asyncio.timeout(TIMEOUT), self._turn:
                connection = await self._connect()
                cursor = await connection.execute(query.encode(), (parameter,))
                return await cursor.fetchall()
        except Error as error:
            raise GoodsError(f"database: {error}") from error
        except TimeoutError as error:
            raise GoodsError(f"database: no answer within {TIMEOUT:.0f} s") from error

    async def _connect(self) -> AsyncConnection[Any]:
        if self._leaking():
            leaked: AsyncConnection[Any] = await AsyncConnection.connect(self._database)
            self._leaked.append(leaked)
            return leaked
        await self._give_back()
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(self._database, autocommit=True)
        return self._connection

    async def _give_back(self) -> None:
        while self._leaked:
            await self._leaked.pop().close()
