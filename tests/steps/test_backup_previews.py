"""What plans say of backups: lines that touch nothing, what it would reach now, and who must agree."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runbooks.errors import ConfigError, StepError, UsageError
from runbooks.spec.plan import make_plan
from runbooks.spec.runbook import from_source
from runbooks.steps import ACTIONS, KINDS
from runbooks.steps.action import Preview
from runbooks.steps.reach import Connections, Reach
from runbooks.targets import BackupsTarget, PostgresTarget
from tests.backups.making import NOON, make_backup
from tests.steps.backup_world import World, database, fill, vault

HEAD = "name: a\ntitle: A\nsteps:\n"
REPLACE = "  - id: over\n    postgres.restore: {target: db, database: shop, replace: true, confirm: shop}\n"


async def preview(world: World, kind: str, target: str, **fields: Any) -> Preview:
    """What a step of that kind would reach now."""
    action = ACTIONS[kind].model_validate({"target": target, **fields})
    async with Connections() as connections:
        reach = Reach(targets=world.targets, connections=connections, now=world.now, backups=world.kept)
        found = await action.preview(world.targets[target], reach)
        assert found is not None
        return found


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> World:
    """A shop and a store, and two backups that somebody took."""
    fill(postgres_url)
    world = World({"db": database(postgres_url), "vault": vault(tmp_path / "vault")})
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    for number in range(2):
        backup = make_backup(f"b{number}", database=name, bytes=2_000_000, taken_at=NOON - timedelta(number))
        world.kept.rows[backup.id] = backup
    world.ahead = NOON - world.now()
    return world


async def test_a_backup_says_how_much_it_would_be(world: World, tmp_path: Path) -> None:
    """The database's size, what is usual, and the room; without pg_dump it would be refused."""
    found = await preview(world, "postgres.backup", "db", store="vault")
    assert "on a server of version" in found.lines[0]
    assert found.lines[1] == "usually 1.9 MiB in 2 s"
    assert "free" in found.lines[2]
    assert found.refused == ""

    world.targets["db"] = world.targets["db"].model_copy(update={"bin": str(tmp_path)})
    assert (
        "Install postgresql-client" in (await preview(world, "postgres.backup", "db", store="vault")).refused
    )


async def test_a_retention_says_what_would_go(world: World) -> None:
    """Each by its name, before anybody is asked."""
    keep = {"daily": 1, "weekly": 0, "monthly": 0, "yearly": 0}
    found = await preview(world, "backup.preview", "vault", keep=keep)

    assert found.lines == ("1 of 2 would go, 1.9 MiB", "db/shop-full-b1.dump, 1.9 MiB")


async def test_a_restore_says_what_would_be_lost(world: World) -> None:
    """The backup's age and proof, and the size of what is there; without `replace` it would be refused."""
    name = world.kept.rows["b0"].database
    world.kept.rows["b0"] = replace(world.kept.rows["b0"], proven_at=NOON)
    over = await preview(world, "postgres.restore", "db", database=name, replace=True, confirm=name)
    beside = await preview(world, "postgres.restore", "db", database=name)
    older = await preview(world, "postgres.restore", "db", backup="b1")

    assert "proven" in over.lines[0]
    assert f"{name} has " in over.lines[1]
    assert over.refused == ""
    assert "already" in beside.refused
    assert "24 h old" in older.lines[0]
    assert "never restored for a proof" in older.lines[0]
    world.kept.rows.clear()
    with pytest.raises(StepError, match="no full or schema backup"):
        await preview(world, "postgres.restore", "db")


@pytest.mark.parametrize("quorum", [0, 1, 2])
def test_a_plan_that_replaces_a_database_needs_two_people(world: World, quorum: int) -> None:
    """One, or none, and there is no plan: nothing of it can begin."""
    gate = f"  - id: go\n    gate: {{approvers: [sre], quorum: {quorum}}}\n" if quorum else ""
    book = from_source("a.yaml", HEAD + gate + REPLACE, KINDS)
    if quorum == 2:
        plan = make_plan(book, {}, world.targets)
        assert plan.steps[1].risk == "high"
        assert "stays, as shop_before_…" in " ".join(plan.steps[1].lines)
        return
    with pytest.raises(UsageError, match="2 people have to approve it"):
        make_plan(book, {}, world.targets)


def test_plans_name_the_store_and_show_no_key(world: World, tmp_path: Path) -> None:
    """Where a backup goes is in the plan, and so in what people approve."""
    world.targets["vault"] = vault(tmp_path / "vault", key="a-key-that-nobody-must-ever-see-here")
    text = HEAD + "  - id: take\n    postgres.backup: {target: db, store: vault, checksums: [orders]}\n"
    plan = make_plan(from_source("a.yaml", text, KINDS), {}, world.targets)

    assert str(tmp_path / "vault") in plan.targets["vault"]
    assert "checksums of orders" in " ".join(plan.steps[0].lines)
    assert "nobody-must-ever" not in str(plan.as_json())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("store: nowhere", "there is no target `nowhere`"),
        ("store: db", "`db` is a postgres target; postgres.backup needs a backups target"),
        ("store: valt", "did you mean `vault`"),
        (
            "store: '{{ params.where }}'",
            "`params.where` is a postgres target; postgres.backup needs a backups",
        ),
    ],
)
def test_a_store_that_is_none_is_a_fault_of_the_file(fields: str, said: str) -> None:
    """Not one of the night in which it is needed."""
    params = "params: {where: {type: target, of: postgres}}\n"
    text = f"name: a\ntitle: A\n{params}steps:\n  - id: take\n    postgres.backup: {{target: db, {fields}}}\n"
    types = {"db": PostgresTarget, "vault": BackupsTarget}
    with pytest.raises(ConfigError) as caught:
        from_source("a.yaml", text, KINDS, types)
    assert said in str(caught.value)
