"""A backup comes back: proven in a scratch database, as a new database, and in the place of one."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runbooks.backups.naming import SCRATCH, token_of
from runbooks.errors import StepError
from runbooks.steps.action import Failed
from runbooks.steps.backup import replacing
from runbooks.steps.backup.server import lock_of
from tests.steps.backup_world import KEY, World, database, files, fill, filled, names_of, seen, vault
from tests.steps.postgres_servers import make_login, session


def at(url: str, name: str) -> str:
    """The same server's database of that name."""
    before, _, rest = url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}?{rest}"


def own(url: str) -> str:
    """The name of the test's database."""
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> Iterator[World]:
    """A shop with something in it, and an empty folder; what is restored beside it is dropped at the end."""
    fill(postgres_url)
    yield World({"db": database(postgres_url), "vault": vault(tmp_path / "vault", key=KEY)})
    with psycopg.connect(at(postgres_url, "postgres"), autocommit=True) as admin:
        for name in names_of(postgres_url, f"{own(postgres_url)[:40]}\\_%"):
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def scratches(url: str) -> list[str]:
    """What is left of scratch and coming databases."""
    return names_of(url, "maint\\_%")


@pytest.mark.parametrize("format_", ["custom", "directory"])
@pytest.mark.parametrize("key", [KEY, None])
async def test_a_backup_is_proven_by_a_restore(
    world: World, postgres_url: str, tmp_path: Path, format_: str, key: str | None
) -> None:
    """Dumped, encrypted, stored, read, decrypted, restored, equal; and nothing is left of the restore."""
    world.targets["vault"] = vault(tmp_path / "vault", key=key)
    await world.act("postgres.backup", "db", store="vault", format=format_, checksums=["orders", "users"])
    await filled(postgres_url, "DELETE FROM orders")  # the source goes on: it is held against the snapshot

    done = await world.act(
        "postgres.verify_backup", "db", assertions=["SELECT count(*) = 500 FROM orders", "SELECT true"]
    )
    (kept,) = world.kept.rows.values()

    assert kept.proven_at is not None
    assert done.values["rows"] == 554
    assert "and 2 demands are as they were" in done.summary
    assert scratches(postgres_url) == []
    assert len(files(tmp_path / "vault")) == 2


async def test_a_backup_with_other_rows_than_its_snapshot_is_not_proven(
    world: World, postgres_url: str
) -> None:
    """Every difference is told: rows, checksums, tables."""
    await world.act("postgres.backup", "db", store="vault", checksums=["orders"])
    (kept,) = world.kept.rows.values()
    kept.facts["tables"]["public.users"]["rows"] = 51
    kept.facts["tables"]["public.orders"]["checksum"] = "1"
    kept.facts["tables"]["public.gone"] = {"rows": 1}

    with pytest.raises(Failed) as caught:
        await world.act("postgres.verify_backup", "db")
    said = str(caught.value)

    assert "public.users has 50 rows instead of 51" in said
    assert "public.orders has as many rows, but not the same" in said
    assert "public.gone is missing" in said
    assert world.kept.rows[kept.id].proven_at is None
    assert scratches(postgres_url) == []


@pytest.mark.parametrize(
    ("assertion", "said"),
    [
        ("SELECT count(*) > 1000 FROM orders", "it gives (False,)"),
        ("SELECT 1 FROM orders WHERE false", "it gives no rows"),
        ("SELECT broken", "column"),
        ("DELETE FROM orders", "read-only"),
    ],
)
async def test_what_the_runbook_demands_must_be_true(
    world: World, postgres_url: str, assertion: str, said: str
) -> None:
    """Only true is true, and it may only look."""
    await world.act("postgres.backup", "db", store="vault")

    with pytest.raises(StepError) as caught:
        await world.act("postgres.verify_backup", "db", assertions=[assertion])
    assert said in str(caught.value)
    assert scratches(postgres_url) == []


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
@pytest.mark.parametrize("key", [KEY, None])
async def test_a_damaged_file_is_not_proven(
    world: World, postgres_url: str, tmp_path: Path, damage: str, key: str | None
) -> None:
    """Cut off, changed in the middle, or not there: with the file's name, and nothing left of the restore."""
    world.targets["vault"] = vault(tmp_path / "vault", key=key)
    await world.act("postgres.backup", "db", store="vault")
    (kept,) = world.kept.rows.values()
    path = tmp_path / "vault" / kept.name
    data = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(data[:-100])
        case "changed":
            path.write_bytes(data[: len(data) // 2] + b"\0\0\0\0" + data[len(data) // 2 + 4 :])
        case _:
            path.unlink()

    with pytest.raises(StepError):
        await world.act("postgres.verify_backup", "db")
    assert world.kept.rows[kept.id].proven_at is None
    assert scratches(postgres_url) == []


async def test_another_key_does_not_open_it_and_an_old_one_does(world: World, tmp_path: Path) -> None:
    """A key that was replaced stays in `old_keys`."""
    await world.act("postgres.backup", "db", store="vault")
    other = "another-key-that-is-just-as-long-as-it"
    world.targets["vault"] = vault(tmp_path / "vault", key=other)
    with pytest.raises(StepError, match="none of the store's keys fits"):
        await world.act("postgres.verify_backup", "db")

    world.targets["vault"] = vault(tmp_path / "vault", key=other, old_keys=[KEY])
    assert (await world.act("postgres.verify_backup", "db")).values["rows"] == 554


async def test_a_scratch_database_of_a_dead_process_is_dropped_by_the_next(
    world: World, postgres_url: str
) -> None:
    """One that nobody holds goes; one that a living process holds stays."""
    beginning = f"{SCRATCH}{token_of(own(postgres_url))[:8]}_"
    dead, living = f"{beginning}{'0' * 16}", f"{beginning}{'1' * 16}"
    await world.act("postgres.backup", "db", store="vault")
    for name in (dead, living):
        await filled(postgres_url, f"CREATE DATABASE {name}")
    async with session(postgres_url) as holder:
        await holder.execute("SELECT pg_advisory_lock(%s)", [lock_of(living)])
        await world.act("postgres.verify_backup", "db")
        left = scratches(postgres_url)
    await filled(postgres_url, f"DROP DATABASE {living}")

    assert left == [living]


async def test_a_proof_may_be_made_on_another_server(world: World, postgres_url: str) -> None:
    """`scratch` names the target; the backup stays the one of `target`."""
    world.targets["spare"] = database(at(postgres_url, "postgres"), "spare")
    await world.act("postgres.backup", "db", store="vault")

    assert (await world.act("postgres.verify_backup", "db", scratch="spare")).values["tables"] == 3
    assert scratches(postgres_url) == []


async def test_without_the_right_to_make_databases_it_is_said_what_to_grant(
    world: World, postgres_url: str
) -> None:
    """CREATEDB is all that it takes beside reading."""
    await world.act("postgres.backup", "db", store="vault")
    with make_login(postgres_url, "reader") as url:
        world.targets["db"] = database(url)
        with pytest.raises(StepError, match="ALTER ROLE … CREATEDB"):
            await world.act("postgres.verify_backup", "db")


async def test_a_restore_makes_a_new_database(world: World, postgres_url: str) -> None:
    """With a name of its own, and everything in it, also what depends on owners; the old one is untouched."""
    await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, "DELETE FROM orders")
    look = await world.act("postgres.restore_preview", "db")
    done = await world.act("postgres.restore", "db")
    new = at(postgres_url, str(done.values["database"]))

    assert look.values["lost"] == "nothing: it is a new database"
    assert "never restored" in look.warnings[0]
    assert await seen(new, "SELECT count(*) FROM orders") == [(500,)]
    assert await seen(new, "SELECT nextval(pg_get_serial_sequence('orders', 'id'))") == [(501,)]
    assert await seen(postgres_url, "SELECT count(*) FROM orders") == [(0,)]
    (kept,) = world.kept.rows.values()
    assert kept.restored_at is not None


async def test_a_restore_over_a_database_needs_its_name_typed(world: World, postgres_url: str) -> None:
    """Anything else touches nothing."""
    await world.act("postgres.backup", "db", store="vault")
    name = own(postgres_url)
    for confirm in ("", "yes", name.upper()):
        with pytest.raises(StepError, match="nothing was touched"):
            await world.act("postgres.restore", "db", database=name, replace=True, confirm=confirm)
    with pytest.raises(StepError, match="already: name another"):
        await world.act("postgres.restore", "db", database=name)

    assert await seen(postgres_url, "SELECT count(*) FROM orders") == [(500,)]


async def test_what_is_replaced_stays_under_another_name(world: World, postgres_url: str) -> None:
    """Sessions in it are ended, its owner owns the new one, and what was lost can still be read."""
    name = own(postgres_url)
    await filled(postgres_url, f"ALTER DATABASE {name} SET work_mem = '9MB'")
    await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, "INSERT INTO users VALUES (1000, 'since then')")
    look = await world.act("postgres.restore_preview", "db", database=name)
    async with session(postgres_url) as bystander:
        done = await world.act("postgres.restore", "db", database=name, replace=True, confirm=name)
        with pytest.raises(psycopg.OperationalError):
            await bystander.execute("SELECT 1")
    before = at(postgres_url, str(done.values["previous"]))

    assert f"all that was written to {name}" in str(look.values["lost"])
    assert "555" in str(look.values["lost"])
    assert await seen(postgres_url, "SELECT count(*) FROM users") == [(50,)]
    assert await seen(before, "SELECT count(*) FROM users") == [(51,)]
    assert any("work_mem=9MB" in warning for warning in done.warnings)
    assert scratches(postgres_url) == []


async def test_a_pool_that_comes_back_at_once_does_not_keep_a_name(world: World, postgres_url: str) -> None:
    """Whoever connects meanwhile waits, and has the restored database then."""
    await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, "INSERT INTO users VALUES (1000, 'since then')")
    name, seen_rows = own(postgres_url), set[int]()

    async def come_back() -> None:
        while True:
            with suppress(psycopg.OperationalError):
                async with session(postgres_url) as client:
                    while row := await (await client.execute("SELECT count(*) FROM users")).fetchone():
                        seen_rows.add(row[0])

    pool = [asyncio.create_task(come_back()) for _ in range(4)]
    try:
        async with asyncio.timeout(50):
            while 51 not in seen_rows:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await world.act("postgres.restore", "db", database=name, replace=True, confirm=name)
            while 50 not in seen_rows:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        for client in pool:
            client.cancel()
        await asyncio.gather(*pool, return_exceptions=True)

    assert seen_rows == {50, 51}


async def test_a_failed_replacement_leaves_all_as_it_was(
    world: World, postgres_url: str, tmp_path: Path
) -> None:
    """A damaged backup is found before anybody's session is ended."""
    await world.act("postgres.backup", "db", store="vault")
    (kept,) = world.kept.rows.values()
    path = tmp_path / "vault" / kept.name
    path.write_bytes(path.read_bytes()[:-10])
    name = own(postgres_url)
    async with session(postgres_url) as bystander:
        with pytest.raises(StepError):
            await world.act("postgres.restore", "db", database=name, replace=True, confirm=name)
        assert await (await bystander.execute("SELECT count(*) FROM users")).fetchone() == (50,)

    assert scratches(postgres_url) == []


async def test_a_name_that_cannot_be_given_puts_the_old_one_back(
    world: World, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault between the two renames is undone."""

    async def broken(*_: Any) -> None:
        raise StepError("the owner is gone")

    monkeypatch.setattr(replacing, "_owned_alike", broken)
    await world.act("postgres.backup", "db", store="vault")
    name = own(postgres_url)
    with pytest.raises(StepError, match="the owner is gone"):
        await world.act("postgres.restore", "db", database=name, replace=True, confirm=name)

    assert await seen(postgres_url, "SELECT count(*) FROM users") == [(50,)]
    assert scratches(postgres_url) == []


async def test_one_table_comes_back_beside_or_where_it_is_missing(world: World, postgres_url: str) -> None:
    """Into a new database, or into the one that has lost it; never over one that is there."""
    await world.act("postgres.backup", "db", store="vault")
    beside = await world.act("postgres.restore", "db", tables=["users"])
    new = at(postgres_url, str(beside.values["database"]))
    name = own(postgres_url)
    with pytest.raises(StepError, match=r"has a table public\.users.*Nothing was touched"):
        await world.act("postgres.restore", "db", tables=["users"], database=name)
    await filled(postgres_url, "DROP TABLE users CASCADE")
    await world.act("postgres.restore", "db", tables=["users"], database=name)

    assert await seen(new, "SELECT count(*) FROM users") == [(50,)]
    assert await seen(postgres_url, "SELECT count(*) FROM users") == [(50,)]
    assert await seen(new, "SELECT to_regclass('orders')") == [(None,)]


async def test_a_backup_that_is_not_there_is_told(world: World, tmp_path: Path) -> None:
    """No backup at all, none of that id, none of a kind that can be restored alone, and no store any more."""
    with pytest.raises(StepError, match="no full or schema backup of db"):
        await world.act("postgres.verify_backup", "db")
    await world.act("postgres.backup", "db", store="vault", data_only=True)
    with pytest.raises(StepError, match="no full or schema backup of db"):
        await world.act("postgres.restore", "db")
    await world.act("postgres.backup", "db", store="vault")
    with pytest.raises(StepError, match="backup 'nix' of db"):
        await world.act("postgres.restore", "db", backup="nix")
    del world.targets["vault"]
    shutil.rmtree(tmp_path / "vault")
    with pytest.raises(StepError, match=r"maint.yaml has no store for that"):
        await world.act("postgres.restore", "db")
