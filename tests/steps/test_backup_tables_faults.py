"""What is in the way of a table that comes back: of all of it, or of a key to another table only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from runbooks.errors import StepError
from runbooks.steps.backup import tables
from runbooks.steps.backup.server import connect
from tests.steps.backup_world import World, database, filled, names_of, seen, vault
from tests.steps.postgres_servers import session
from tests.steps.test_backup_restore import own
from tests.steps.test_backup_tables import NAMES, TABLES, as_dumped, statement_of


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> World:
    """An empty database and an empty folder."""
    return World({"db": database(postgres_url), "vault": vault(tmp_path / "vault")})


async def test_rows_that_point_nowhere_do_not_cost_the_table(world: World, postgres_url: str) -> None:
    """The key is told with its reason and the statement that makes it once that is put right."""
    await filled(postgres_url, TABLES)
    before = await as_dumped(postgres_url, "public.orders")
    await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, "DROP TABLE orders CASCADE; DELETE FROM users WHERE id = 3")

    done = await world.act("postgres.restore", "db", tables=["orders"], database=own(postgres_url))
    told = done.warnings[0]

    assert "violates foreign key constraint" in told
    assert await seen(postgres_url, "SELECT count(*) FROM orders") == [(20,)]
    await filled(postgres_url, "INSERT INTO users VALUES (3, 'again')")
    for warning in done.warnings[:2]:
        await filled(postgres_url, statement_of(warning))
    assert await as_dumped(postgres_url, "public.orders") == before


@pytest.mark.parametrize("in_the_way", ["CREATE SEQUENCE orders_id_seq", "CREATE TABLE orders_lower ()"])
async def test_all_of_a_table_comes_back_or_nothing(world: World, postgres_url: str, in_the_way: str) -> None:
    """Whatever has one of its names: in the beginning, or when the rows are in."""
    await filled(postgres_url, TABLES)
    await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, f"DROP TABLE orders CASCADE; {in_the_way}")

    with pytest.raises(StepError, match="already exists"):
        await world.act("postgres.restore", "db", tables=["orders"], database=own(postgres_url))
    assert await seen(postgres_url, "SELECT to_regclass('orders')") == [(None,)]


async def test_a_table_that_the_backup_does_not_have_is_told(world: World, postgres_url: str) -> None:
    """A schema that is another one is no answer."""
    await filled(postgres_url, NAMES)
    await world.act("postgres.backup", "db", store="vault")
    for table in ("nix", "nix.orders", "order", "odd one"):
        with pytest.raises(StepError, match="has no table"):
            await world.act("postgres.restore", "db", tables=[table])
    assert names_of(postgres_url, "maint\\_%") == []


async def test_a_lock_that_does_not_come_does_not_cost_the_table(
    world: World, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes to the other table is not kept waiting for long; the statement is told."""

    @asynccontextmanager
    async def impatient(*args: Any, **options: Any) -> AsyncIterator[AsyncConnection[Any]]:
        async with connect(*args, **options) as connection:
            await connection.execute("SET lock_timeout = '100ms'")
            yield connection

    monkeypatch.setattr(tables, "connect", impatient)
    await filled(postgres_url, TABLES)
    await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, "DROP TABLE orders CASCADE")
    async with session(postgres_url, "BEGIN", "UPDATE users SET name = ''"):
        done = await world.act("postgres.restore", "db", tables=["orders"], database=own(postgres_url))

    assert "lock timeout" in done.warnings[0]
    assert statement_of(done.warnings[0]).startswith("ALTER TABLE ONLY public.orders ADD CONSTRAINT")
    assert await seen(postgres_url, "SELECT count(*) FROM orders") == [(20,)]


async def test_a_server_that_is_gone_after_the_rows_does_not_hide_that_they_are_there(
    world: World, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each key is told, with the reason."""

    @asynccontextmanager
    async def gone(*args: Any, **options: Any) -> AsyncIterator[AsyncConnection[Any]]:
        async with connect(*args, **options) as connection:
            if not options.get("read_only"):
                raise StepError("the server is gone")
            yield connection

    monkeypatch.setattr(tables, "connect", gone)
    await filled(postgres_url, TABLES)
    await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, "DROP TABLE orders CASCADE")
    done = await world.act("postgres.restore", "db", tables=["orders"], database=own(postgres_url))

    assert [each.partition(":")[0] for each in done.warnings[:3]] == ["not made, for the server is gone"] * 3
    assert await seen(postgres_url, "SELECT count(*) FROM orders") == [(20,)]


@pytest.mark.parametrize("format_", ["custom", "directory"])
async def test_a_damaged_backup_brings_no_part_of_a_table(
    world: World, postgres_url: str, tmp_path: Path, format_: str
) -> None:
    """Its list can be read, its rows cannot."""
    world.targets["vault"] = vault(tmp_path / "vault")
    await filled(
        postgres_url,
        f"{TABLES} INSERT INTO orders (name) SELECT md5(n::text) FROM generate_series(1, 50000) n",
    )
    await world.act("postgres.backup", "db", store="vault", format=format_)
    (kept,) = world.kept.rows.values()
    path = tmp_path / "vault" / kept.name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    await filled(postgres_url, "DROP TABLE orders CASCADE")

    with pytest.raises(StepError):
        await world.act("postgres.restore", "db", tables=["orders"], database=own(postgres_url))
    assert await seen(postgres_url, "SELECT to_regclass('orders'), to_regclass('orders_id_seq')") == [
        (None, None)
    ]
