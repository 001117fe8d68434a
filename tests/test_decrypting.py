"""`maint decrypt-backup`: a file and its key are enough."""

from pathlib import Path

from click.testing import CliRunner, Result

from bot.__main__ import main
from runbooks.backups.encryption import Encrypter

KEY = "the-key-of-the-backups-which-is-long"


def sealed(folder: Path) -> Path:
    """An encrypted file."""
    path = folder / "shop.dump.enc"
    with path.open("wb") as file:
        box = Encrypter(file.write, KEY)
        box.write(b"PGDMP and so on" * 100_000)
        box.close()
    return path


def run(file: Path, to: Path, key: str) -> Result:
    """What the program does with that key."""
    return CliRunner().invoke(main, ["decrypt-backup", str(file), str(to)], env={"MAINT_BACKUP_KEY": key})


def test_a_file_and_its_key_give_the_dump(tmp_path: Path) -> None:
    """Also by an earlier key in a further line; for its reader alone, and never over another file."""
    to = tmp_path / "shop.dump"
    done = run(sealed(tmp_path), to, f"another-key-that-is-not-the-one-of-it\n{KEY}")

    assert done.exit_code == 0, done.output
    assert to.read_bytes() == b"PGDMP and so on" * 100_000
    assert to.stat().st_mode & 0o777 == 0o600
    again = run(sealed(tmp_path), to, KEY)
    assert again.exit_code != 0
    assert "not overwritten" in again.output


def test_what_cannot_be_decrypted_leaves_nothing(tmp_path: Path) -> None:
    """Another key, none, a file that is cut off, and one that is not encrypted."""
    whole, to = sealed(tmp_path), tmp_path / "shop.dump"
    cut, plain = tmp_path / "cut", tmp_path / "plain"
    cut.write_bytes(whole.read_bytes()[:-1])
    plain.write_bytes(b"PGDMP")
    for file, key, said in (
        (whole, "x" * 32, "none of the store's keys fits"),
        (whole, "", "MAINT_BACKUP_KEY"),
        (cut, KEY, "damaged or cut off"),
        (plain, KEY, "pg_restore reads a dump as it is"),
    ):
        done = run(file, to, key)
        assert done.exit_code != 0
        assert said in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "plain", "shop.dump.enc"]
