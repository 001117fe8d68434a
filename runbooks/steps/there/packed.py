"""The packed files of a folder that a rule is about, with their checksums; and the bytes of one of them."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from typing import Any

from runbooks.steps.there.sweep import Sweeping
from runbooks.steps.there.sweep_listing import Found, Listing, mark_of, opened, top_folder
from runbooks.steps.there.telling import Teller, Trouble

_PIECE = 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def main(asked: dict[str, Any], teller: Teller) -> dict[str, Any]:
    """Lists them, or writes the bytes of `file` to standard output, and then every word to standard error."""
    with top_folder(asked["folder"]) as top:
        if asked["task"] == "bytes":
            return _write_bytes(asked["file"], top)
        return _listed(asked, top, teller)


def _listed(asked: dict[str, Any], top: int, teller: Teller) -> dict[str, Any]:
    listing = Listing(asked)
    listing.walk(top)
    found = listing.found
    if asked["only"] is not None:
        shown, made = set(asked["only"]), set(asked["made"])
        found = [each for each in found if each.mark in shown or each.path in made]
    sweeping = Sweeping({**asked, "only": None}, teller)
    files: list[tuple[str, int, int, str]] = []
    for each in sweeping.look(found, top):
        digest = _sum(each, top)
        teller.say(f"{len(files) + 1:,} packed files looked at")
        if digest:
            files.append((each.path, each.size, each.mark, digest))
    return {"files": files, "unsure": len(sweeping.open) + len(sweeping.unknown)}


def _sum(each: Found, top: int) -> str:
    """Its checksum; empty when it is not any more what was listed."""
    digest, at = hashlib.sha256(), 0
    try:
        with opened(top, each.folder) as folder:
            file = os.open(each.name, _READ, dir_fd=folder)
    except FileNotFoundError:
        return ""
    try:
        while piece := os.pread(file, _PIECE, at):
            at += len(piece)
            digest.update(piece)
        status = os.fstat(file)
        return digest.hexdigest() if mark_of(status) == each.mark else ""
    finally:
        os.close(file)


def _write_bytes(path: str, top: int) -> dict[str, Any]:
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    *folders, name = path.split("/")
    with opened(top, tuple(folders)) as folder:
        file = os.open(name, _READ, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Trouble(f"{path} is no file any more")
        at = 0
        while piece := os.pread(file, _PIECE, at):
            at += len(piece)
            out.write(piece)
        out.flush()
    finally:
        os.close(file)
    return {"bytes": at}
