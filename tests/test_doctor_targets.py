"""`maint doctor TARGET`: what a login lacks on a real database for what the runbooks do there."""

import json
from pathlib import Path

import pytest

from bot.doctor_targets import target_findings
from bot.settings import load_settings
from runbooks.errors import UsageError
from runbooks.status import Status
from tests.steps.maintaining import execute
from tests.steps.postgres_servers import make_login
from tests.test_doctor import run


def maint_yaml(folder: Path, url: str) -> Path:
    """Settings that look after that database."""
    path = folder / "maint.yaml"
    targets = {
        "db": {"type": "postgres", "url": url},
        "web": {"type": "http", "url": "http://localhost:1"},
        "cache": {"type": "redis", "url": "redis://127.0.0.1:1"},
    }
    path.write_text(json.dumps({"targets": targets}))
    return path


async def test_what_the_login_lacks_is_told_with_what_to_grant(tmp_path: Path, postgres_url: str) -> None:
    """For each kind of step that a runbook has there; and nothing any more once it is granted."""
    execute(postgres_url, "CREATE TABLE orders (id int)")
    with make_login(postgres_url, "reader") as url:
        loaded = load_settings(maint_yaml(tmp_path, url), {})
        before = {each.what: each for each in await target_findings(loaded, ["db"])}
        execute(postgres_url, "GRANT pg_monitor, pg_maintain TO reader")
        after = {each.what: each for each in await target_findings(loaded, ["db"])}

    lacks = before["db, postgres.reindex"]
    assert lacks.status is Status.WARNING
    assert "GRANT pg_maintain TO reader" in lacks.found
    assert "GRANT pg_monitor TO reader" in before["db, postgres.vitals"].found
    assert "CREATEROLE" in before["db, postgres.rotate_password"].found
    assert "CREATE EXTENSION pg_stat_statements" in before["db, postgres.slow_queries"].found
    assert after["db, postgres.reindex"].status is Status.OK
    assert after["db, postgres.vitals"].status is Status.OK
    assert "db, postgres.set" not in before  # no runbook that ships sets anything


async def test_a_target_that_is_away_is_unknown(tmp_path: Path) -> None:
    """Nobody knows then what its login may do."""
    loaded = load_settings(maint_yaml(tmp_path, "postgresql:///x?host=/nowhere"), {})

    found = await target_findings(loaded, ["db"])

    assert {each.status for each in found} == {Status.UNKNOWN}
    assert all(each.do for each in found)


async def test_a_target_without_such_steps_is_skipped(tmp_path: Path) -> None:
    """There is nothing to look at."""
    loaded = load_settings(maint_yaml(tmp_path, "postgresql:///x"), {})

    (found,) = await target_findings(loaded, ["web"])

    assert found.status is Status.SKIPPED


async def test_a_target_that_is_not_there_is_a_wrong_word(tmp_path: Path) -> None:
    """With the nearest one."""
    loaded = load_settings(maint_yaml(tmp_path, "postgresql:///x"), {})

    with pytest.raises(UsageError, match="did you mean `cache`"):
        await target_findings(loaded, ["cash"])


def test_the_program_looks_at_targets_only(tmp_path: Path) -> None:
    """And ends with how it is."""
    ended = run(maint_yaml(tmp_path, "postgresql:///x?host=/nowhere"), {}, "db")

    assert ended.exit_code == 2
    assert "unknown   db, postgres." in ended.output
    assert "SLACK" not in ended.output
