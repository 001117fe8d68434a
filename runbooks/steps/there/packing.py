"""Packs a file with gzip beside itself. The original goes when its copy is whole, on the disk, and read back;
whatever ends this before, the original is as it was, and what was begun is removed by the next run."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Callable

from runbooks.steps.there.gunzip import GZIP, unpacked
from runbooks.steps.there.sweep_listing import Found, opened

_PIECE = 1024 * 1024
_LEFTOVER = re.compile(r"\.maint-[0-9a-f]{16}\.tmp")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Full(Exception):
    """There is no room for the copy."""


def pack(each: Found, folder: int, check: Callable[[int], None]) -> int:
    """Makes `NAME.gz` of the file and removes it; the bytes that this frees. `check` raises when the file is
    not any more as it was listed. Raises Full and OSError."""
    final = f"{each.name}.gz"
    source = os.open(each.name, _READ, dir_fd=folder)
    try:
        if _exists(final, folder):
            # Of a run that was killed between the two: it is whole, as it has its name.
            if _unpacked_sum(final, folder) != _sum(source):
                raise OSError(errno.EEXIST, f"there is another {final}")
            size = os.stat(final, dir_fd=folder, follow_symlinks=False).st_size
        else:
            size = _copy(source, final, folder, check)
        check(source)
        os.unlink(each.name, dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(source)
    return each.size - size


def _copy(source: int, final: str, folder: int, check: Callable[[int], None]) -> int:
    name = f".maint-{secrets.token_hex(8)}.tmp"
    made = os.open(
        name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        fcntl.flock(made, fcntl.LOCK_EX)  # it is ours: who cleans up leaves it alone
        digest = _write_packed(source, made)
        os.fsync(made)
        if _unpacked_sum(name, folder) != digest:
            raise OSError(errno.EIO, "what was packed does not unpack to what it was")
        _dress(source, made)
        check(source)
        # Never over a file that is there.
        os.link(name, final, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        os.fsync(folder)
        return os.fstat(made).st_size
    except OSError as error:
        if error.errno in _FULL:
            raise Full from error
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        os.close(made)


def _write_packed(source: int, into: int) -> bytes:
    digest, packer = hashlib.sha256(), zlib.compressobj(6, zlib.DEFLATED, GZIP)
    at = 0
    while piece := os.pread(source, _PIECE, at):
        at += len(piece)
        digest.update(piece)
        _write(into, packer.compress(piece))
    _write(into, packer.flush())
    return digest.digest()


def _write(into: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(into, view) :]


def _dress(source: int, made: int) -> None:
    """Gives the copy the original's owner, rights and time."""
    status = os.fstat(source)
    mode = status.st_mode & 0o777
    try:
        os.fchown(made, status.st_uid, status.st_gid)
    except PermissionError:
        # Nobody may read the copy who could not read the original.
        mode &= 0o700
        with contextlib.suppress(PermissionError):
            os.fchown(made, -1, status.st_gid)
            mode = status.st_mode & 0o770
    os.fchmod(made, mode)
    os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))


def _sum(file: int) -> bytes:
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(file, _PIECE, at):
        at += len(piece)
        digest.update(piece)
    return digest.digest()


def _unpacked_sum(name: str, folder: int) -> bytes:
    """The sum of what is in a packed file; of nothing when it is not whole."""
    file = os.open(name, _READ, dir_fd=folder)
    digest, unpacker, at = hashlib.sha256(), zlib.decompressobj(wbits=GZIP), 0
    try:
        while piece := os.pread(file, _PIECE, at):
            at += len(piece)
            for data in unpacked(unpacker, piece, _PIECE):
                digest.update(data)
    except zlib.error:
        return b""
    finally:
        os.close(file)
    return digest.digest() if unpacker.eof and not unpacker.unused_data else b""


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def remove_leftovers(top: int, folders: set[tuple[str, ...]]) -> None:
    """Removes what a run left that was killed; what another one is at work on is locked."""
    for each in {(), *folders}:
        with contextlib.suppress(OSError), opened(top, each) as folder:
            for name in os.listdir(folder):
                if _LEFTOVER.fullmatch(name):
                    _remove_leftover(name, folder)


def _remove_leftover(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        file = os.open(name, _READ, dir_fd=folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
        finally:
            os.close(file)
