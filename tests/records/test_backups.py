"""The list of backups: kept alike on both databases, and what was removed is still known."""

from datetime import timedelta

from sqlalchemy import Engine

from runbooks.engine.catalogue import KeptCatalogue
from runbooks.records import backups
from runbooks.records.records import Records
from tests.backups.making import NOON, make_backup

DAY = timedelta(days=1)


def test_what_was_added_comes_back_as_it_was(engine: Engine) -> None:
    """Every field, on both databases; a size beyond 2 GB too. Added twice is added once."""
    backup = make_backup(
        bytes=5_000_000_000,
        facts={"tables": {"public.orders": {"rows": 3_000_000_000, "checksum": "-12"}}},
        places=({"store": "vault", "kind": "s3", "where": "s3://b/x"},),
    )
    with engine.begin() as connection:
        backups.add(connection, backup)
        backups.add(connection, make_backup(bytes=1))
        found = backups.get(connection, "b1")
        nothing = backups.get(connection, "b2")

    assert found == backup
    assert nothing is None


async def test_what_is_present_is_newest_first_and_by_target(records: Records) -> None:
    """What was removed is not among them, and still known by its id."""
    catalogue = KeptCatalogue(records, lambda: NOON)
    for number in (2, 0, 1):
        await catalogue.add(make_backup(f"b{number}", taken_at=NOON - number * DAY))
    await catalogue.add(make_backup("other", target="users", taken_at=NOON + DAY))
    await catalogue.removed("b1")
    await catalogue.removed("b1")
    gone = await catalogue.get("b1")

    assert [each.id for each in await catalogue.present("db")] == ["b0", "b2"]
    assert [each.id for each in await catalogue.present()] == ["other", "b0", "b2"]
    assert gone is not None
    assert gone.removed_at == NOON


async def test_proofs_restores_places_and_holds_are_noted(records: Records) -> None:
    """Each of them, and nothing else."""
    catalogue = KeptCatalogue(records, lambda: NOON)
    place = {"store": "vault", "kind": "folder", "where": "/b"}
    await catalogue.add(make_backup(places=()))
    await catalogue.stored("b1", [place])
    await catalogue.proven("b1")
    await catalogue.restored("b1")
    changed = [
        await records.write(lambda connection, reason=reason: backups.hold(connection, "b1", reason))
        for reason in ("a lawsuit", "a lawsuit", "")
    ]

    assert changed == [True, False, True]
    assert await catalogue.get("b1") == make_backup(places=(place,), proven_at=NOON, restored_at=NOON)


def test_what_is_removed_cannot_be_held(engine: Engine) -> None:
    """There is nothing left to keep."""
    with engine.begin() as connection:
        backups.add(connection, make_backup())
        backups.removed(connection, "b1", NOON)
        assert backups.hold(connection, "b1", "too late") is False
