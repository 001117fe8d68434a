"""`postgres.backup` on a real PostgreSQL, into a folder."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps import ACTIONS
from runbooks.steps.action import Failed
from tests.steps.backup_world import KEY, World, database, files, fill, filled, vault
from tests.steps.postgres_servers import BINARIES, make_login


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> World:
    """A shop with something in it, and an empty folder."""
    fill(postgres_url)
    return World({"db": database(postgres_url), "vault": vault(tmp_path / "vault")})


def listed(dump: Path) -> str:
    """What pg_restore finds in it."""
    command = [BINARIES / "pg_restore", "--list", dump]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


async def test_a_backup_is_a_file_for_pg_restore_with_its_manifest(world: World, tmp_path: Path) -> None:
    """Under its final name, for Maint's user alone, with what the snapshot had; and nothing else is there."""
    done = await world.act("postgres.backup", "db", store="vault", checksums=["orders"])
    (kept,) = world.kept.rows.values()
    path = tmp_path / "vault" / kept.name
    manifest = json.loads((tmp_path / "vault" / f"{kept.name}.json").read_text())

    assert files(tmp_path / "vault") == sorted([kept.name, f"{kept.name}.json"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(path.read_bytes()).hexdigest() == kept.sha256 == done.values["sha256"]
    assert path.stat().st_size == kept.bytes == done.values["bytes"] == manifest["bytes"]
    assert done.values["tables"] == 3
    assert done.values["rows"] == 554
    assert manifest["tables"]["public.users"] == {"rows": 50}
    assert manifest["tables"]["public.orders"]["checksum"]
    assert manifest["tables"]['odd one.Some "Table" here'] == {"rows": 4}
    assert "TABLE DATA public orders" in listed(path)
    assert "554 rows" in done.summary


@pytest.mark.parametrize("format_", ["custom", "directory"])
async def test_an_encrypted_backup_shows_nothing(world: World, tmp_path: Path, format_: str) -> None:
    """Neither file has a name of a table or a row in clear, and pg_restore cannot read it."""
    world.targets["vault"] = vault(tmp_path / "vault", key=KEY)
    jobs = 2 if format_ == "directory" else 1
    await world.act("postgres.backup", "db", store="vault", format=format_, jobs=jobs, compress=0)
    (kept,) = world.kept.rows.values()
    data = (tmp_path / "vault" / kept.name).read_bytes()

    assert kept.encrypted
    assert b"orders" not in data
    assert b"name 7" not in data
    assert KEY not in (tmp_path / "vault" / f"{kept.name}.json").read_text()
    assert len(files(tmp_path / "vault")) == 2


async def test_the_size_is_held_against_the_usual_one(world: World, postgres_url: str) -> None:
    """The first has nothing beside it; one that is much smaller than the median is worth a look."""
    first = await world.act("postgres.backup", "db", store="vault")
    second = await world.act("postgres.backup", "db", store="vault")
    await filled(postgres_url, "DELETE FROM orders")
    third = await world.act("postgres.backup", "db", store="vault")

    assert first.values["percent_of_usual"] is None
    assert 95 < float(str(second.values["percent_of_usual"])) < 105
    assert "of the usual" in second.summary
    assert "much smaller than usual" in third.warnings[0]


async def test_a_schema_alone_has_no_rows(world: World) -> None:
    """It is of another kind, and counts nothing."""
    done = await world.act("postgres.backup", "db", store="vault", schema_only=True)
    (kept,) = world.kept.rows.values()

    assert kept.kind == "schema"
    assert kept.facts["tables"]["public.orders"] == {}
    assert done.values["rows"] == 0


async def test_the_same_effect_twice_is_one_backup(world: World, tmp_path: Path) -> None:
    """A repetition after a crash finds what was done, and does not do it again."""
    first = await world.act("postgres.backup", "db", key="run1/a/act", store="vault")
    again = await world.act("postgres.backup", "db", key="run1/a/act", store="vault")

    assert again.values["id"] == first.values["id"]
    assert len(files(tmp_path / "vault")) == 2


async def test_rows_written_meanwhile_are_in_neither(world: World, postgres_url: str) -> None:
    """Counts and dump are of one snapshot: what comes later is in none of them."""
    writing: list[Any] = []

    def write(line: str) -> None:
        if not writing and "left over" in line:
            writing.append(fill(postgres_url, "INSERT INTO users VALUES (1000, 'late')"))

    world.told = type("Told", (list,), {"append": lambda _, line: write(line)})()
    await world.act("postgres.backup", "db", store="vault")
    (kept,) = world.kept.rows.values()

    assert writing
    assert kept.facts["tables"]["public.users"] == {"rows": 50}


async def test_a_login_that_may_not_read_everything_makes_no_backup(
    world: World, postgres_url: str, tmp_path: Path
) -> None:
    """It is said what to grant, and nothing is left behind."""
    with make_login(postgres_url, "half") as url:
        await filled(postgres_url, "GRANT SELECT ON users TO half")
        world.targets["db"] = database(url)
        try:
            with pytest.raises(StepError, match=r"permission denied|does not allow that"):
                await world.act("postgres.backup", "db", store="vault")
        finally:
            await filled(postgres_url, "DROP OWNED BY half")

    assert files(tmp_path / "vault") == []
    assert world.kept.rows == {}


async def test_another_version_of_pg_dump_is_refused(world: World, tmp_path: Path, postgres_url: str) -> None:
    """With what there is, and what to install."""
    old = tmp_path / "old"
    old.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (old / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
        (old / name).chmod(0o755)
    world.targets["db"] = database(postgres_url, bin=str(old))

    with pytest.raises(StepError, match=r"here there is 9 in .*Install postgresql-client-\d+"):
        await world.act("postgres.backup", "db", store="vault")


async def test_no_room_is_found_before_anything_is_begun(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """How much there is, how much is wanted, and what to do."""
    monkeypatch.setattr("runbooks.backups.folder.FolderPlace.free", lambda _: 1000)

    with pytest.raises(StepError, match=r"1,000 B free, and .* are wanted.*Nothing was begun"):
        await world.act("postgres.backup", "db", store="vault")
    assert files(tmp_path / "vault") == []


async def test_a_dump_below_the_floor_is_not_stored(world: World, tmp_path: Path) -> None:
    """A dump of a few bytes is no backup, whatever pg_dump says."""
    with pytest.raises(Failed, match=r"less than `at_least: 100000000`. Nothing was stored"):
        await world.act("postgres.backup", "db", store="vault", at_least=100_000_000)
    assert files(tmp_path / "vault") == []


async def test_a_wrong_password_and_a_wrong_database_are_told(world: World, postgres_url: str) -> None:
    """By the words of the connection, which has no secret in it."""
    world.targets["db"] = database(postgres_url.replace("//postgres:@", "//nobody:hush-hush@"))
    with pytest.raises(StepError, match="login refused") as caught:
        await world.act("postgres.backup", "db", store="vault")

    assert "hush" not in str(caught.value)


#: Writes down what any other user of the machine could read of the program, and what only it is told.
_NOTES = """#!/bin/sh
echo "$*" >> {folder}/{name}.arguments
echo "${{PGPASSWORD:-none}}" >> {folder}/{name}.told
exec {real}/{name} "$@"
"""


async def test_no_argument_list_has_a_password(world: World, postgres_url: str, tmp_path: Path) -> None:
    """pg_dump and pg_restore are told it in their environment, for a backup, its proof and a restore."""
    for name in ("pg_dump", "pg_restore"):
        program = tmp_path / name
        program.write_text(_NOTES.format(folder=tmp_path, name=name, real=BINARIES))
        program.chmod(0o755)
    url = postgres_url.replace("//postgres:@", "//postgres:hush-hush@")
    world.targets["db"] = database(url, bin=str(tmp_path))
    await world.act("postgres.backup", "db", store="vault")
    await world.act("postgres.verify_backup", "db")
    restored = await world.act("postgres.restore", "db", key="restore")
    await filled(postgres_url, f'DROP DATABASE "{restored.values["database"]}"')

    for name, logins in (("pg_dump", 1), ("pg_restore", 2)):
        assert "hush" not in (tmp_path / f"{name}.arguments").read_text()
        assert (tmp_path / f"{name}.told").read_text().split().count("hush-hush") >= logins


@pytest.mark.parametrize(
    "fields",
    [
        {"schema_only": True, "data_only": True},
        {"jobs": 2},
        {"schema_only": True, "checksums": ["orders"]},
        {"compress": 10},
        {"at_least": 0},
    ],
)
def test_what_does_not_fit_together_is_refused_when_it_is_read(fields: dict[str, Any]) -> None:
    """Nothing of it waits for the night."""
    with pytest.raises(ValidationError):
        ACTIONS["postgres.backup"].model_validate({"target": "db", "store": "vault", **fields})
