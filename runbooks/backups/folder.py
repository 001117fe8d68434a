"""A folder as a place for backups: written under another name, on the disk, and then renamed."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runbooks.backups.encryption import Reader
from runbooks.backups.manifest import sha256_in
from runbooks.backups.naming import is_of, manifest_of
from runbooks.backups.part import BLOCK, is_leftover, make_folder, open_part, synced, told
from runbooks.backups.place import PlaceError, Progress


class FolderPlace:
    """A folder on this machine. Files in it are for Maint's user alone (mode 600, folders 700)."""

    kind = "folder"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def where(self, name: str) -> str:
        """Its path."""
        return str(self.folder / name)

    def put(self, file: Path, name: str, sha256: str, manifest: bytes, progress: Progress) -> None:
        """Copies the file, unless it can take it over: a part of this very folder is renamed."""
        final = self.folder / name
        with told(final, "stored"):
            make_folder(final.parent)
            with open_part(self.folder / manifest_of(name)) as beside:
                beside.write(manifest)
                beside.becomes(self.folder / manifest_of(name))
            if file.parent == final.parent:
                file.replace(final)
                synced(final.parent)
            else:
                _copy(file, final, sha256, progress)

    def manifest(self, name: str) -> bytes | None:
        """That of a file whose checksum it has."""
        final, beside = self.folder / name, self.folder / manifest_of(name)
        with told(final, "read"):
            if not (final.is_file() and beside.is_file()):
                return None
            said = beside.read_bytes()
            with final.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == sha256_in(said)
        return said if whole else None

    @contextmanager
    def read(self, name: str) -> Iterator[Reader]:
        """The file, opened."""
        path = self.folder / name
        with told(path, "read"):
            file = path.open("rb")
        with file:
            yield file

    def remove(self, name: str, sha256: str) -> bool:
        """Removes both. A file whose manifest is about another one is not ours to remove."""
        final, beside = self.folder / name, self.folder / manifest_of(name)
        with told(final, "removed"):
            there = final.exists()
            if there and beside.exists() and sha256_in(beside.read_bytes()) != sha256:
                raise PlaceError(f"{final} is not the file that Maint stored there: it was not removed")
            final.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)
            if there:
                synced(final.parent)
        return there

    def sweep(self, folder: str, token: str, known: frozenset[str]) -> Iterator[str]:
        """A part that nobody holds is of a process that died; all of that token is of an earlier try."""
        place = self.folder / folder
        with told(place, "looked through"):
            for path in sorted(place.iterdir()) if place.is_dir() else ():
                name = f"{folder}/{path.name.removesuffix('.json')}"
                ours = is_of(path.name, token) and not path.name.startswith(".") and name not in known
                if ours or is_leftover(path):
                    # A folder is what pg_dump writes in its directory format.
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    yield str(path)

    def free(self) -> int:
        """What the file system says."""
        with told(self.folder, "measured"):
            make_folder(self.folder)
            return shutil.disk_usage(self.folder).free


def _copy(file: Path, final: Path, sha256: str, progress: Progress) -> None:
    digest = hashlib.sha256()
    with file.open("rb") as source, open_part(final) as part:
        while block := source.read(BLOCK):
            part.write(block)
            digest.update(block)
            progress(len(block))
        if digest.hexdigest() != sha256:
            raise PlaceError(f"{file} was changed while it was copied to {final}")
        part.becomes(final)
