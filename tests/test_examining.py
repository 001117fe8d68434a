"""`maint doctor TARGET`: what is missing for backups is said before it is needed."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot.__main__ import main
from bot.examining import examine_targets
from bot.settings import load_settings
from runbooks.errors import UsageError
from runbooks.status import Status
from tests.steps.backup_world import KEY, filled
from tests.steps.postgres_servers import BINARIES, make_login


def settings(folder: Path, **targets: Any) -> Path:
    """A maint.yaml with those targets."""
    path = folder / "maint.yaml"
    path.write_text(json.dumps({"targets": targets}))
    return path


async def found(path: Path, *names: str) -> dict[str, tuple[Status, str]]:
    """What is found there, and what to do, by what was looked at."""
    return {
        each.what: (each.status, f"{each.found} {each.do}")
        for each in await examine_targets(load_settings(path, {}), names)
    }


async def test_all_is_well_where_everything_is_there(postgres_url: str, tmp_path: Path) -> None:
    """The superuser of the tests, programs of its version, and a folder with a key."""
    path = settings(
        tmp_path,
        db={"type": "postgres", "url": postgres_url, "bin": str(BINARIES)},
        vault={"type": "backups", "folder": "vault", "key": KEY},
    )
    looked = await found(path, "db", "vault")

    # What each kind of step needs beside is told by its name.
    looked = {what: said for what, said in looked.items() if ": postgres." not in what}
    assert set(looked) == {
        *("db: pg_dump", "db: reading everything", "db: making databases"),
        *("vault: encryption", "vault: room"),
    }
    assert {status for status, _ in looked.values()} == {Status.OK}
    assert KEY not in str(looked)


async def test_what_a_login_lacks_is_named_with_what_to_grant(postgres_url: str, tmp_path: Path) -> None:
    """Each right, and pg_dump of another version."""
    await filled(postgres_url, "CREATE TABLE secret (x int); ALTER TABLE secret ENABLE ROW LEVEL SECURITY")
    with make_login(postgres_url, "examined") as url:
        path = settings(tmp_path, db={"type": "postgres", "url": url, "bin": str(tmp_path)})
        looked = await found(path, "db")

    assert looked["db: pg_dump"][0] is Status.CRITICAL
    assert "GRANT pg_read_all_data TO examined" in looked["db: reading everything"][1]
    assert "ALTER ROLE examined CREATEDB" in looked["db: making databases"][1]
    assert "ALTER ROLE examined BYPASSRLS" in looked["db: row-level security"][1]


async def test_places_that_cannot_be_used_are_critical(tmp_path: Path) -> None:
    """A folder that is none, a bucket that does not answer; and backups in clear are worth a look."""
    (tmp_path / "file").write_text("")
    bucket = {"bucket": "nowhere", "endpoint": "http://127.0.0.1:9", "region": "us-east-1"}
    keys = {"access_key": "id", "secret_key": "secret-of-ours"}
    path = settings(tmp_path, vault={"type": "backups", "folder": "file/vault", "s3": {**bucket, **keys}})
    looked = await found(path, "vault")

    assert looked["vault: encryption"][0] is Status.WARNING
    assert looked["vault: folder"][0] is Status.CRITICAL
    assert looked["vault: bucket"][0] is Status.CRITICAL
    assert "secret-of-ours" not in str(looked)


async def test_a_target_that_is_away_is_unknown(tmp_path: Path) -> None:
    """Unknown is not OK; and of a kind that needs nothing more that is said."""
    path = settings(
        tmp_path,
        db={"type": "postgres", "url": "postgresql://127.0.0.1:9/shop"},
        app={"type": "http", "url": "http://127.0.0.1:9"},
    )
    looked = await found(path, "db", "app")

    assert looked["db"][0] is Status.UNKNOWN
    assert "nothing listens there" in looked["db"][1]
    assert looked["app"][0] is Status.SKIPPED
    with pytest.raises(UsageError, match="Did you mean db"):
        await found(path, "dbb")


def test_the_program_looks_at_targets_alone(tmp_path: Path) -> None:
    """No token of Slack is needed for it, and the exit code is the worst of what was found."""
    path = settings(tmp_path, vault={"type": "backups", "folder": "vault"})
    done = CliRunner().invoke(main, ["--config", str(path), "doctor", "vault"])

    assert done.exit_code == 1, done.output
    assert "vault: encryption: backups are stored in clear" in done.output


async def test_folders_that_runbooks_name_are_looked_at(tmp_path: Path) -> None:
    """Those in which a step deletes or packs, by their whole path: one is there, one is not."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "own").mkdir()

    def prune(id_: str, folder: str, **fields: Any) -> dict[str, Any]:
        rule = {"target": "here", "folder": folder, "match": ["*.gz"], "older_than": "30d", "shown": "x"}
        return {"id": id_, "title": id_, "logs.prune": {**rule, **fields}}

    steps = [
        prune("there", str(tmp_path / "logs")),
        {"id": "both", "title": "both", "parallel": [prune("gone", str(tmp_path / "gone"))]},
        prune("shown", str(tmp_path / "shown"), show_only=True),
        prune("asked", "{{ params.folder }}"),
    ]
    text = {"name": "clean", "title": "Clean", "purpose": "Disks.", "owner": "ops", "steps": steps}
    folder = {"type": "string", "pattern": "/[a-z]+/[a-z]+", "max": 50, "prompt": "Which"}
    (tmp_path / "own" / "clean.yaml").write_text(json.dumps({**text, "params": {"folder": folder}}))
    path = tmp_path / "maint.yaml"
    path.write_text(json.dumps({"runbooks": "own", "targets": {"here": {"type": "host"}}}))

    looked = {what: said[0] for what, said in (await found(path, "here")).items() if "folder" in what}

    assert looked == {
        f"here: the folder {tmp_path / 'logs'}": Status.OK,
        f"here: the folder {tmp_path / 'gone'}": Status.WARNING,
    }
