"""The folder for sockets: private, short enough, and gone in the end."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from runbooks.steps.socket_folder import PREFIX, socket_folder

HOLDER = """
import time
from runbooks.steps.socket_folder import socket_folder
with socket_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def grow_old(folder: Path) -> None:
    """As if it was made two minutes ago."""
    then = folder.stat().st_mtime - 120
    os.utime(folder, (then, then))


def test_nobody_else_may_look_into_it(temporary: Path) -> None:
    """It is its owner's alone, and goes with all that is in it."""
    with socket_folder() as folder:
        (folder / "0").mkdir()
        assert folder.parent == temporary
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next(temporary: Path) -> None:
    """As long as its maker lives it stays, however old it is."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        grow_old(theirs)
        with socket_folder():
            assert theirs.is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait()

    grow_old(theirs)
    with socket_folder():
        assert not theirs.exists()


def test_what_may_be_just_made_stays(temporary: Path) -> None:
    """Its maker may not have come to hold it yet."""
    young = temporary / f"{PREFIX}young"
    young.mkdir()

    with socket_folder():
        assert young.is_dir()


def test_a_link_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    """Whoever puts a link of that name there has nothing removed at its end."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    link = temporary / f"{PREFIX}link"
    link.symlink_to(tmp_path / "precious")
    os.utime(link, (0, 0), follow_symlinks=False)

    with socket_folder():
        pass

    assert (tmp_path / "precious" / "file").exists()
