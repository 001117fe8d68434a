"""One process serves a SQLite file; the lock dies with it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runbooks.errors import RecordsError
from runbooks.records.database import open_database
from runbooks.records.only_process import only_process

HOLD = """
import sys, time
from runbooks.records.only_process import only_process
with only_process(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_serves(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """While another process holds the file, the error has its pid and the two ways out."""
    url = f"sqlite:///{tmp_path}/maint.db"
    other = spawn(HOLD, url)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"

    with pytest.raises(RecordsError) as refused, only_process(url):
        pass

    assert str(refused.value) == (
        f"Another maint (pid {other.pid}) is serving the database {tmp_path}/maint.db. "
        "SQLite is for one process: stop it, or use PostgreSQL."
    )


def test_a_killed_process_leaves_no_lock(tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]) -> None:
    """After kill -9 of the holder, the next process gets the lock at once."""
    url = f"sqlite:///{tmp_path}/maint.db"
    other = spawn(HOLD, url)
    assert other.stdout is not None
    other.stdout.readline()
    other.kill()
    other.wait()

    with only_process(url):
        assert (tmp_path / "maint.db.lock").read_text() == str(os.getpid())


def test_another_name_of_the_file_is_the_same_lock(tmp_path: Path) -> None:
    """A symbolic link to the file does not get round the lock."""
    (tmp_path / "maint.db").touch()
    (tmp_path / "alias.db").symlink_to(tmp_path / "maint.db")

    with (
        only_process(f"sqlite:///{tmp_path}/maint.db"),
        pytest.raises(RecordsError),
        only_process(f"sqlite:///{tmp_path}/alias.db"),
    ):
        pass


def test_the_lock_is_free_after_use(tmp_path: Path) -> None:
    """A process that has left can come back."""
    url = f"sqlite:///{tmp_path}/maint.db"
    with only_process(url):
        pass
    with only_process(url):
        pass


def test_commands_at_the_terminal_need_no_lock(tmp_path: Path) -> None:
    """While the file is served, another opens it."""
    url = f"sqlite:///{tmp_path}/maint.db"
    with only_process(url):
        open_database(url).dispose()


def test_postgres_may_be_served_twice(postgres_url: str) -> None:
    """On PostgreSQL there is nothing to lock."""
    with only_process(postgres_url), only_process(postgres_url):
        pass


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A lock that cannot be made is an error with its place."""
    with (
        pytest.raises(RecordsError, match=r"absent/maint\.db\.lock cannot be made"),
        only_process(f"sqlite:///{tmp_path}/absent/maint.db"),
    ):
        pass
