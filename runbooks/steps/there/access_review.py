"""Reviews an access log with its rotated files: opens them so that a rotation does no harm, and counts."""

from __future__ import annotations

import os
import re
import stat
from typing import Any

from runbooks.steps.there.access_duckdb import count
from runbooks.steps.there.access_reading import Source
from runbooks.steps.there.access_summary import summary
from runbooks.steps.there.access_work import Found
from runbooks.steps.there.telling import Teller, Trouble

_TRIES = 5
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")


def main(asked: dict[str, Any], teller: Teller) -> dict[str, Any]:
    """What the lines of the days that are asked for add up to."""
    sources, unread = _open(asked)
    found = Found()
    total = sum(source.size for source in sources)
    done = 0

    def told(size: int) -> None:
        nonlocal done
        done += size
        teller.say(f"{100 * done // max(total, 1)} % of {total >> 20:,} MiB are read")

    try:
        engine, why = count(sources, asked, told, found)
    finally:
        for source in sources:
            os.close(source.file)
    return {
        **summary(found.counts),
        "engine": engine,
        "why": why,
        "files": len(sources),
        "bytes": total,
        "cut": sorted(found.cut),
        "damaged": sorted(found.damaged),
        "unread_files": unread,
    }


def _open(asked: dict[str, Any]) -> tuple[list[Source], list[str]]:
    """The log and its rotated files that were written to since the first day, all of them opened.

    Once opened, a file stays what it was when the log is rotated.
    """
    folder, name = os.path.split(asked["path"])
    rotated = re.compile(asked["rotated"])
    for _ in range(_TRIES):
        sources: list[Source] = []
        try:
            before = _listed(folder or ".", name, rotated, asked["since"])
            sources = [_source(os.path.join(folder, each), each) for each in before if not _unread(each)]
            now = {(os.fstat(each.file).st_dev, os.fstat(each.file).st_ino) for each in sources}
            # A name may have come to mean another file between the listing and the opening.
            after = _listed(folder or ".", name, rotated, asked["since"])
            if after == before and now == {after[each] for each in after if not _unread(each)}:
                return sources, [each for each in before if _unread(each)]
        except FileNotFoundError:
            if not os.path.exists(asked["path"]):
                raise Trouble(f"{asked['path']} does not exist") from None
        except PermissionError as error:
            raise Trouble(
                f"{error.filename} may not be read by who runs this: give them the file's group (often `adm`)"
            ) from None
        for source in sources:
            os.close(source.file)
    raise Trouble(f"{asked['path']} is being rotated again and again: it cannot be read in peace")


def _listed(folder: str, name: str, rotated: re.Pattern[str], since: float) -> dict[str, tuple[int, int]]:
    found = {}
    for each in os.listdir(folder):
        if each != name and not rotated.fullmatch(each):
            continue
        # The log itself may be a symbolic link; what lies beside it may not.
        status = os.stat(os.path.join(folder, each), follow_symlinks=each == name)
        if stat.S_ISREG(status.st_mode) and (each == name or status.st_mtime >= since):
            found[each] = (status.st_dev, status.st_ino)
    if name not in found:
        raise FileNotFoundError(os.path.join(folder, name))
    # While a file is packed there are both; the packed one is not whole yet.
    return {
        each: identity
        for each, identity in sorted(found.items())
        if not (each.endswith(_PACKED) and each.rpartition(".")[0] in found)
    }


def _unread(name: str) -> bool:
    return name.endswith(_PACKED) and not name.endswith(".gz")


def _source(path: str, name: str) -> Source:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        os.close(file)
        raise FileNotFoundError(path)
    return Source(file, status.st_size, name.endswith(".gz"), name)
