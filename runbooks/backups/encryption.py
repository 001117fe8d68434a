"""Encrypts backups on their way: AES-256-GCM in chunks, so that a file of any size needs a few megabytes.

A file is MAGIC, a salt of 32 bytes, and chunks of CHUNK bytes, each with its tag; the last may be shorter, or
empty. The key of a file is HKDF-SHA256 of the key and the salt. A chunk's nonce is its number and whether it
is the last one, as in the STREAM construction: what is cut off, put in another order or added is found.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from runbooks.errors import MaintError

if TYPE_CHECKING:  # slow to import, and most processes never need it
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"maint-backup-1\n"
#: Bytes of a salt, of what is encrypted at a time, and of what that gets longer by.
SALT, CHUNK, TAG = 32, 1024 * 1024, 16
#: Characters that a key has at least.
SHORTEST_KEY = 32

_INFO, _ID = b"maint backup file", b"maint backup key id"


class NotOurs(MaintError):
    """A file cannot be decrypted: it is damaged, cut off, or was encrypted with another key."""


class Reader(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most so many; none at the end."""


def key_id(key: str) -> str:
    """What a key is known by, and which says nothing about it: 12 characters."""
    return _derive(key, b"", _ID).hex()[:12]


class Encrypter:
    """Takes bytes, and writes them encrypted. `close` writes the last chunk: without it, it is cut off."""

    def __init__(self, write: Callable[[bytes], object], key: str) -> None:
        """`key`: any text of at least SHORTEST_KEY characters."""
        salt = os.urandom(SALT)
        self._seal = _cipher(key, salt).encrypt
        self._write = write
        self._rest = bytearray()
        self._number = 0
        self._header = MAGIC + salt
        write(self._header)

    def write(self, data: bytes) -> None:
        """The next bytes."""
        self._rest += data
        # One byte is kept back: what is left at the end is the last chunk, however it falls.
        while len(self._rest) > CHUNK:
            self._chunk(bytes(self._rest[:CHUNK]), last=False)
            del self._rest[:CHUNK]

    def close(self) -> None:
        """There are no more."""
        self._chunk(bytes(self._rest), last=True)
        self._rest.clear()

    def _chunk(self, data: bytes, *, last: bool) -> None:
        self._write(self._seal(_nonce(self._number, last), data, self._header))
        self._number += 1


def decrypted(source: Reader, keys: Sequence[str]) -> Iterator[bytes]:
    """The bytes in it, in pieces; `keys`: the one in use and earlier ones.

    Raises NotOurs as soon as a piece is not what was encrypted: nothing of that piece comes out.
    """
    from cryptography.exceptions import InvalidTag

    header = _exactly(source, len(MAGIC) + SALT)
    if not header.startswith(MAGIC) or len(header) < len(MAGIC) + SALT:
        raise NotOurs("it does not begin as an encrypted backup of Maint does")
    opens = [_cipher(key, header[len(MAGIC) :]).decrypt for key in keys]
    piece, number = _exactly(source, CHUNK + TAG), 0
    while True:
        following = _exactly(source, CHUNK + TAG)
        last = not following
        for open_ in opens:
            try:
                plain = open_(_nonce(number, last), piece, header)
            except InvalidTag:
                continue
            opens = [open_]
            break
        else:
            raise NotOurs(_why(number))
        yield plain
        if last:
            return
        piece, number = following, number + 1


def _why(number: int) -> str:
    if number == 0:
        return "none of the store's keys fits, or its beginning is damaged"
    return f"it is damaged or cut off behind {number} MiB"


def _exactly(source: Reader, size: int) -> bytes:
    pieces, missing = [], size
    while missing and (data := source.read(missing)):
        pieces.append(data)
        missing -= len(data)
    return b"".join(pieces)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")


def _cipher(key: str, salt: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derive(key, salt, _INFO))


def _derive(key: str, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) of 32 bytes."""
    secret = hmac.digest(salt or bytes(32), key.encode(), hashlib.sha256)
    return hmac.digest(secret, info + b"\1", hashlib.sha256)
