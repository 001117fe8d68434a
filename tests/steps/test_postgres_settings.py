"""`postgres.settings` against a real server and a file in a working copy."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import ValidationError

from runbooks.errors import StepError
from runbooks.steps.postgres_settings import PostgresSettings
from tests.steps.maintaining import execute
from tests.steps.postgres_servers import make_login, measure, run_server


def git(folder: Path, *words: str) -> None:
    """Runs git there as somebody."""
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", folder, *person, *words], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A committed file that says less than the server knows."""
    file = tmp_path / "shop.conf"
    file.write_text("work_mem = 4MB\nlog_min_duration_statement = 1s\nno_such_thing = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "As it is meant")
    return file


@pytest.fixture
def own() -> Iterator[str]:
    """A server of its own: one on which a restart is due stays so until then."""
    with TemporaryDirectory(prefix="pg") as folder, run_server(Path(folder)) as server:
        yield server.url


async def test_what_differs_from_the_file_is_told(own: str, conf: Path) -> None:
    """Beside what the server does not know, and what was changed past the file; with the commit."""
    changes = ("maintenance_work_mem = '48MB'", "max_wal_senders = 9")
    execute(own, *(f"ALTER SYSTEM SET {change}" for change in changes))
    execute(own, "SELECT pg_reload_conf()", "SELECT pg_sleep(0.3)")

    measured = await measure(PostgresSettings(file=str(conf)), own)

    assert measured.values["different"] == 1
    assert measured.values["unknown"] == 1
    assert measured.values["pending_restart"] == 1
    assert measured.details[0] == "log_min_duration_statement: -1, wanted 1s"
    assert "not in the file: maintenance_work_mem: 48MB, by ALTER SYSTEM" in measured.details
    assert "waits for a restart: max_wal_senders" in measured.details
    assert "not known there, or not shown to postgres: no_such_thing" in measured.details
    assert measured.summary.startswith("from shop.conf at ")
    assert not measured.findings


@pytest.fixture
def changed(conf: Path) -> Path:
    """The same file, with another value that nobody committed."""
    conf.write_text("work_mem = 5MB\n")
    return conf


async def test_a_file_that_was_changed_since_is_told(postgres_url: str, changed: Path) -> None:
    """What nobody has committed, nobody has agreed to."""
    measured = await measure(PostgresSettings(file=str(changed)), postgres_url)

    assert measured.values["different"] == 1
    assert "has changes that are not committed" in measured.findings[0][1]


async def test_what_is_wanted_may_stand_in_the_runbook(postgres_url: str) -> None:
    """Numbers and switches as YAML has them."""
    settings = {"work_mem": "4MB", "jit": True, "max_connections": 7}
    step = PostgresSettings.model_validate({"settings": settings})

    measured = await measure(step, postgres_url)

    assert any(line.startswith("max_connections: ") for line in measured.details)
    assert measured.values["unlisted"] == 0


async def test_a_value_with_a_secret_is_never_shown(postgres_url: str, tmp_path: Path) -> None:
    """A standby's connection has a password."""
    (tmp_path / "a.conf").write_text("primary_conninfo = 'host=x password=hunter22'\n")

    measured = await measure(PostgresSettings(file=str(tmp_path / "a.conf")), postgres_url)

    assert measured.details[0] == "primary_conninfo: (not shown), wanted (not shown)"
    assert "not in git" in measured.summary


async def test_a_login_that_is_not_shown_a_setting_is_told(postgres_url: str) -> None:
    """Unknown is told; with pg_monitor it is seen."""
    step = PostgresSettings.model_validate({"settings": {"data_directory": "/x"}})
    with make_login(postgres_url, "nobody") as url:
        measured = await measure(step, url)

    assert measured.values["unknown"] == 1
    assert "not shown to nobody: data_directory" in measured.details[0]


@pytest.mark.parametrize("text", [None, "include 'other'\n"])
async def test_a_file_that_says_nothing_is_an_error(
    postgres_url: str, tmp_path: Path, text: str | None
) -> None:
    """No file is not the same as nothing wanted."""
    file = tmp_path / "a.conf"
    if text is not None:
        file.write_text(text)

    with pytest.raises(StepError, match=r"a\.conf"):
        await measure(PostgresSettings(file=str(file)), postgres_url)


def test_a_file_has_a_whole_path() -> None:
    """A relative one would depend on where Maint was started."""
    with pytest.raises(ValidationError, match="whole path"):
        PostgresSettings(file="shop.conf")
