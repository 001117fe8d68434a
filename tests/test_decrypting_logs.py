"""`maint decrypt-backup` by hand: a log out of a store, and files that are not as they were."""

import asyncio
import gzip
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.__main__ import main
from runbooks.backups.encryption import Encrypter
from tests.steps.acting import HERE
from tests.steps.backup_world import KEY, vault
from tests.steps.test_log_store import archive

ROOT = Path(__file__).parents[1]
LINES = b"".join(b"%08d a line\n" % number for number in range(200_000))


def decrypt(file: Path, to: Path, limit: int | None = None) -> "subprocess.CompletedProcess[str]":
    """The program, in a folder without settings; it may write no file of more than `limit` bytes."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "bot", "decrypt-backup", file, to],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MAINT_BACKUP_KEY": KEY},
        cwd=file.parent,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def ended_with_1(file: Path, to: Path) -> str:
    """What the program says that cannot do it: the same in this process, as starting one takes a second."""
    ended = CliRunner().invoke(main, ["decrypt-backup", str(file), str(to)], env={"MAINT_BACKUP_KEY": KEY})
    assert isinstance(ended.exception, SystemExit), ended.exception
    assert ended.exit_code == 1
    return ended.output


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A file of several pieces."""
    path = tmp_path / "app.log.gz.enc"
    with path.open("wb") as file:
        box = Encrypter(file.write, KEY)
        box.write(os.urandom(3_000_000))
        box.close()
    return path


async def test_a_log_comes_out_of_the_store_as_it_was_packed(tmp_path: Path) -> None:
    """From the file that `logs.archive` stored, and its key, alone."""
    logs = tmp_path / "app"
    logs.mkdir()
    (logs / "a.log").write_bytes(LINES)
    os.utime(logs / "a.log", (0, 0))
    await archive(HERE, logs, vault(tmp_path / "vault", key=KEY), remove=True)
    (stored,) = (tmp_path / "vault").rglob("*.gz.enc")
    to = tmp_path / "a.log.gz"

    ended = await asyncio.to_thread(decrypt, stored, to)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"Wrote {to}, {to.stat().st_size:,} bytes.\n"
    assert gzip.decompress(to.read_bytes()) == LINES


def _cut(data: bytes) -> bytes:
    return data[:1_500_000]


def _cut_after_a_piece(data: bytes) -> bytes:
    return data[: -(len(data) % (1024 * 1024))]


def _changed(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _longer(data: bytes) -> bytes:
    return data + b"more"


@pytest.mark.parametrize("damage", [_cut, _cut_after_a_piece, _changed, _longer])
def test_a_damaged_file_leaves_nothing_and_says_so(sealed: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever came out of it before the damage is removed again."""
    sealed.write_bytes(damage(sealed.read_bytes()))

    said = ended_with_1(sealed, sealed.with_suffix(""))

    assert f"{sealed} cannot be decrypted: it is damaged or cut off" in said
    assert [each.name for each in sealed.parent.iterdir()] == [sealed.name]


def test_a_full_disk_leaves_nothing_and_says_so(sealed: Path) -> None:
    """In the middle of it."""
    to = sealed.with_suffix("")

    ended = decrypt(sealed, to, limit=1_500_000)

    assert ended.returncode == 1, ended
    assert f"{to} cannot be written: files there may not become so large" in ended.stderr
    assert [each.name for each in sealed.parent.iterdir()] == [sealed.name]


def test_a_log_that_is_not_encrypted_is_read_as_it_is(tmp_path: Path) -> None:
    """It need not be a dump."""
    plain = tmp_path / "a.log.gz"
    plain.write_bytes(gzip.compress(LINES))

    said = ended_with_1(plain, tmp_path / "out")

    assert "is not encrypted by Maint" in said
    assert "zcat a log" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_named(sealed: Path) -> None:
    """It is not the encrypted file that is missing."""
    to = sealed.parent / "none" / "app.log.gz"

    assert f"{to} cannot be written: there is no such file" in ended_with_1(sealed, to)
