"""A target of the type `backups`, with its places; and a backup's bytes on their way there and back."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from runbooks.backups.backup import Backup
from runbooks.backups.encryption import Encrypter, Reader, decrypted, key_id
from runbooks.backups.folder import FolderPlace
from runbooks.backups.part import BLOCK, Part
from runbooks.backups.place import Place, PlaceError
from runbooks.backups.s3 import S3Options, S3Place
from runbooks.errors import MaintError, StepError
from runbooks.targets import BackupsTarget, Bucket, TargetBase


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where backups are kept. `staging`: where files are made, the folder itself if there is one."""

    name: str
    places: tuple[Place, ...]
    staging: FolderPlace
    key: str
    keys: tuple[str, ...]

    @property
    def key_id(self) -> str:
        """What its key is known by; empty when it has none."""
        return key_id(self.key) if self.key else ""

    def noted(self, place: Place, name: str) -> dict[str, str]:
        """How the catalogue has it that a file is there."""
        return {"store": self.name, "kind": place.kind, "where": place.where(name)}

    def has(self, place: Place, backup: Backup) -> bool:
        """Whether a backup is in that place of it."""
        return any(noted["store"] == self.name and noted["kind"] == place.kind for noted in backup.places)

    def pieces(self, backup: Backup) -> Iterator[bytes]:
        """What pg_dump wrote, decrypted. Blocks. Raises PlaceError and NotOurs; what came out until then is
        not to be trusted, as the checksum of all of it is known only at the end."""
        with ExitStack() as stack:
            place, reader = self._open(stack, backup)
            hashing = _Hashing(reader)
            try:
                if backup.encrypted:
                    yield from decrypted(hashing, self.keys)
                else:
                    yield from iter(lambda: hashing.read(BLOCK), b"")
            except PlaceError:
                raise
            except MaintError as error:
                raise PlaceError(f"{place.where(backup.name)} cannot be decrypted: {error}") from error
            if hashing.sha256 != backup.sha256:
                raise PlaceError(
                    f"{place.where(backup.name)} is not what was stored there: its checksum is another one"
                )

    def _open(self, stack: ExitStack, backup: Backup) -> tuple[Place, Reader]:
        """From the first place that has it and lets us read it."""
        faults = []
        for place in self.places:
            if not self.has(place, backup):
                continue
            try:
                return place, stack.enter_context(place.read(backup.name))
            except PlaceError as error:
                faults.append(str(error))
        raise PlaceError("; ".join(faults) or f"{self.name} does not have {backup.name}")


class _Hashing:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._reader.read(size)
        self._digest.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class Sink:
    """Takes what pg_dump writes, and puts it into a part: encrypted, if there is a key."""

    def __init__(self, part: Part, key: str) -> None:
        self._part = part
        self._digest = hashlib.sha256()
        #: Bytes that came in, and that are in the file.
        self.taken = self.bytes = 0
        self._encrypter = Encrypter(self._store, key) if key else None

    def write(self, data: bytes) -> int:
        """The next bytes."""
        self.taken += len(data)
        if self._encrypter:
            self._encrypter.write(data)
        else:
            self._store(data)
        return len(data)

    def flush(self) -> None:
        """Does nothing: `close` does."""

    def close(self) -> None:
        """All of it is on the disk."""
        if self._encrypter:
            self._encrypter.close()
        self._part.sync()

    def _store(self, data: bytes) -> None:
        self._part.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    @property
    def sha256(self) -> str:
        """The checksum of the file."""
        return self._digest.hexdigest()


def store_named(name: str, targets: Mapping[str, TargetBase]) -> Store:
    """The store of that name. Raises StepError when there is none, or when it cannot be used."""
    target = targets.get(name)
    if not isinstance(target, BackupsTarget):
        raise StepError(f"there is no target {name} of the type backups")
    return store_of(target)


def store_of(target: BackupsTarget) -> Store:
    """The store that a target describes."""
    folder = FolderPlace(Path(target.folder)) if target.folder else None
    bucket = S3Place(options_of(target.s3)) if target.s3 else None
    named = target.staging or target.folder or str(Path(tempfile.gettempdir(), "maint-backups"))
    keys = [key.get_secret_value() for key in (target.key, *target.old_keys) if key is not None]
    return Store(
        name=target.name,
        places=tuple(place for place in (folder, bucket) if place is not None),
        staging=FolderPlace(Path(named)),
        key=target.key.get_secret_value() if target.key else "",
        keys=tuple(keys),
    )


def options_of(bucket: Bucket) -> S3Options:
    """The bucket as S3 has it."""
    return S3Options(
        bucket=bucket.bucket,
        prefix=bucket.prefix,
        endpoint=bucket.endpoint,
        region=bucket.region,
        key_id=bucket.access_key.get_secret_value() if bucket.access_key else None,
        secret=bucket.secret_key.get_secret_value() if bucket.secret_key else None,
        encryption=bucket.encryption,
        kms_key=bucket.kms_key,
        storage_class=bucket.storage_class,
        lock_days=bucket.lock_days,
        lock_mode=bucket.lock_mode,
        ca_file=bucket.ca_file,
    )
