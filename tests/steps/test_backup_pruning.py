"""What goes is shown first, and nothing else is removed; and how old the backups are."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from runbooks.engine.previews import spoken
from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.action import Failed
from tests.backups.making import NOON, make_backup
from tests.steps.backup_world import World, database, files, vault

DAY = timedelta(days=1)
TIGHT = {"daily": 2, "weekly": 0, "monthly": 0, "yearly": 0}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Five daily backups, of which two would be kept, and a file that Maint does not know."""
    place = vault(tmp_path)
    world = World({"db": database("postgresql://nowhere.invalid/shop"), "vault": place})
    for number in range(5):
        backup = make_backup(f"b{number}", taken_at=NOON - number * DAY, bytes=10)
        world.kept.rows[backup.id] = backup
        path = tmp_path / backup.name
        path.parent.mkdir(exist_ok=True)
        path.write_text("0123456789")
        path.with_name(f"{path.name}.json").write_text(f'{{"sha256": "{backup.sha256}"}}')
    (tmp_path / "db" / "shop-full-of-somebody-else.dump").write_text("precious")
    return world


async def test_what_was_shown_goes_and_nothing_else(world: World, tmp_path: Path) -> None:
    """Files, manifests and rows of the three oldest; a file that nobody knows is not touched."""
    look = await world.act("backup.preview", "vault", keep=TIGHT)
    before = files(tmp_path)
    done = await world.act("backup.prune", "vault", keep=TIGHT, shown=str(look.values["ids"]))

    assert look.values["ids"] == "b4 b3 b2"
    assert "GOES" in look.output
    assert "daily 1 of 2" in look.output
    assert done.values == {"count": 3, "bytes": 30}
    assert set(before) - set(files(tmp_path)) == {
        f"db/shop-full-b{number}.dump{ending}" for number in (2, 3, 4) for ending in ("", ".json")
    }
    assert {id_ for id_, each in world.kept.rows.items() if each.removed_at} == {"b2", "b3", "b4"}


async def test_nothing_to_go_is_nothing_removed(world: World, tmp_path: Path) -> None:
    """A preview of nothing is not a preview of everything."""
    before = files(tmp_path)
    look = await world.act("backup.preview", "vault")
    done = await world.act("backup.prune", "vault", shown=str(look.values["ids"]))

    assert look.values == {"count": 0, "bytes": 0, "kept": 5, "ids": "none"}
    assert done.values["count"] == 0
    assert files(tmp_path) == before


async def test_what_is_kept_by_now_stops_all_of_it(world: World, tmp_path: Path) -> None:
    """A backup that was put on hold after it was shown: nothing is removed, not even the others."""
    look = await world.act("backup.preview", "vault", keep=TIGHT)
    world.kept.rows["b3"] = replace(world.kept.rows["b3"], hold="a lawsuit")
    before = files(tmp_path)

    with pytest.raises(StepError, match=r"on hold: a lawsuit.*nothing was removed"):
        await world.act("backup.prune", "vault", keep=TIGHT, shown=str(look.values["ids"]))
    assert files(tmp_path) == before


async def test_what_became_removable_since_stays_and_is_named(world: World, tmp_path: Path) -> None:
    """People have said yes to what they saw: a shorter retention takes no more than that."""
    look = await world.act("backup.preview", "vault", keep={**TIGHT, "daily": 3})
    seen = await world.foresee("backup.prune", "vault", keep=TIGHT, shown=str(look.values["ids"]))
    done = await world.act("backup.prune", "vault", keep=TIGHT, shown=str(look.values["ids"]))

    assert seen.lines[0] == "removes 2 of 5, 20 B"
    assert [line.partition(" (")[2].partition(")")[0] for line in seen.lines[1:3]] == ["b4", "b3"]
    assert seen.lines[3].startswith("stays, as it was not shown: db/shop-full-b2")
    assert done.values["count"] == 2
    assert "stays, as it was not shown: db/shop-full-b2" in done.output
    assert (tmp_path / "db" / "shop-full-b2.dump").exists()


async def test_a_gate_names_every_id_however_many_they_are(world: World) -> None:
    """Those that go at a time are whole on its card, which takes 2,000 characters."""
    for number in range(5, 100):
        backup = make_backup(f"01m{number:023}", taken_at=NOON - number * DAY, bytes=10)
        world.kept.rows[backup.id] = backup
    look = await world.act("backup.preview", "vault", keep=TIGHT)
    ids = str(look.values["ids"])
    seen = await world.foresee("backup.prune", "vault", keep=TIGHT, shown=ids)
    card = "\n".join(spoken({"prune": seen}))

    assert len(ids.split()) == 50
    assert all(id_ in card for id_ in ids.split())
    assert len(card) < 1700


async def test_a_gate_says_when_what_was_shown_is_kept_by_now(world: World) -> None:
    """Before anybody says yes to what would be refused."""
    look = await world.act("backup.preview", "vault", keep=TIGHT)
    world.kept.rows["b3"] = replace(world.kept.rows["b3"], hold="a lawsuit")
    seen = await world.foresee("backup.prune", "vault", keep=TIGHT, shown=str(look.values["ids"]))

    assert "on hold: a lawsuit" in seen.refused


@pytest.mark.parametrize("shown", ["b0", "b4 b1", "nix", "b4 ../../etc"])
async def test_ids_that_were_not_to_go_are_refused(world: World, tmp_path: Path, shown: str) -> None:
    """Whatever is handed to it: the newest, one that is kept, one that there is not."""
    before = files(tmp_path)
    with pytest.raises(StepError, match="nothing was removed"):
        await world.act("backup.prune", "vault", keep=TIGHT, shown=shown)
    assert files(tmp_path) == before


async def test_a_repetition_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    """What a process that died has removed already is no surprise to the next."""
    look = await world.act("backup.preview", "vault", keep=TIGHT)
    await world.kept.removed("b4")
    (tmp_path / "db" / "shop-full-b3.dump").unlink()

    done = await world.act("backup.prune", "vault", keep=TIGHT, shown=str(look.values["ids"]))
    assert done.values["count"] == 2
    assert "db/shop-full-b3.dump.json" not in files(tmp_path)


async def test_another_file_under_the_name_is_not_removed(world: World, tmp_path: Path) -> None:
    """Somebody put something else there: it stays, and so does its row."""
    (tmp_path / "db" / "shop-full-b4.dump.json").write_text('{"sha256": "of something else"}')

    with pytest.raises(Failed, match=r"1 of 3 could not be removed.*it was not removed"):
        await world.act("backup.prune", "vault", keep=TIGHT, shown="b4 b3 b2")
    assert "db/shop-full-b4.dump" in files(tmp_path)
    assert world.kept.rows["b4"].removed_at is None
    assert world.kept.rows["b3"].removed_at is not None


async def test_a_store_removes_nothing_of_another(world: World) -> None:
    """What is in two stores, or in another one, is not this one's to remove."""
    other = {"store": "attic", "kind": "folder", "where": "/attic"}
    for id_ in ("b3", "b4"):
        row = world.kept.rows[id_]
        world.kept.rows[id_] = replace(row, places=(*row.places, other) if id_ == "b3" else (other,))

    assert (await world.act("backup.preview", "vault", keep=TIGHT)).values["ids"] == "b2"


async def test_how_old_and_how_proven(world: World) -> None:
    """`last proven restore: 3 d` stands beside the age; both can have thresholds."""
    world.ahead = NOON - world.now()
    world.kept.now = lambda: NOON - 3 * DAY
    await world.kept.proven("b3")
    age = await world.measure("backup.age", "db")
    proven = await world.measure("backup.proven", "db")

    assert round(float(str(age.values["age_s"]))) == 0
    assert round(float(str(proven.values["proven_s"]))) == 3 * 86400
    assert "last proven restore: 3 d" in age.summary
    assert age.findings == proven.findings == ()


async def test_no_backup_and_no_proof_are_critical(world: World) -> None:
    """Unknown is not OK, and neither is nothing."""
    ((status, said),) = (await world.measure("backup.proven", "db")).findings
    assert (status, said) == (Status.CRITICAL, "no backup of it was ever restored for a proof")
    assert (await world.measure("backup.age", "db")).findings == ((Status.WARNING, said),)

    world.kept.rows.clear()
    for kind in ("backup.age", "backup.proven"):
        ((status, said),) = (await world.measure(kind, "db")).findings
        assert (status, said) == (Status.CRITICAL, "there is no backup of it")


async def test_a_backup_of_the_future_is_told(world: World) -> None:
    """Somebody's clock is wrong."""
    world.ahead = NOON - DAY - world.now()
    await world.kept.proven("b3")
    ((status, said),) = (await world.measure("backup.age", "db")).findings

    assert status is Status.WARNING
    assert "look at the clocks" in said
