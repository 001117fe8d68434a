"""Deletes or packs the old files of a folder: those that nobody has open, and none that was not shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from typing import Any

from runbooks.steps.there.open_files import OPEN, UNKNOWN, OpenFiles
from runbooks.steps.there.packing import Full, pack, remove_leftovers
from runbooks.steps.there.sweep_listing import Found, Listing, mark_of, opened, top_folder
from runbooks.steps.there.telling import Teller

#: Names that are said.
_SAID = 30


class _Skipped(Exception):
    """This file is left as it is, and why."""


class Sweeping:
    """What one run came to, by what became of each file."""

    def __init__(self, asked: dict[str, Any], teller: Teller) -> None:
        self._asked = asked
        self._teller = teller
        self.done: list[Found] = []
        self.open: list[str] = []
        self.unknown: list[str] = []
        self.left: list[str] = []
        self.failed: list[str] = []
        self.freed = 0

    def look(self, found: list[Found], top: int) -> list[Found]:
        """Those that may be taken: closed, and among those that were shown."""
        only = None if self._asked["only"] is None else set(self._asked["only"])
        whose = OpenFiles()
        self.blind = whose.blind
        taken = []
        for each in found:
            if only is not None and each.mark not in only:
                self.left.append(f"{each.path}: it was not shown, or has changed since")
                continue
            try:
                with opened(top, each.folder) as folder:
                    state = whose.look(each.name, folder)
            except OSError:
                continue  # it has gone meanwhile
            if state == OPEN:
                self.open.append(each.path)
            elif state == UNKNOWN:
                self.unknown.append(each.path)
            else:
                taken.append(each)
        return taken

    def take(
        self, taken: list[Found], top: int, act: Callable[[Found, int, Callable[[int], None]], int]
    ) -> None:
        """Does it with each that is still as it was, and open to nobody."""
        whose = OpenFiles()
        for number, each in enumerate(taken, 1):
            try:
                with opened(top, each.folder) as folder:
                    check = partial(_still, each, folder, whose)
                    check(-1)
                    self.freed += act(each, folder, check)
                self.done.append(each)
            except _Skipped as skipped:
                self.left.append(f"{each.path}: {skipped}")
            except FileNotFoundError:
                self.left.append(f"{each.path}: it has gone meanwhile")
            except Full:
                self.failed.append(f"{each.path}: the disk is full; it is as it was")
                break
            except OSError as error:
                self.failed.append(f"{each.path}: {error.strerror}")
            self._teller.say(f"{number:,} of {len(taken):,} files")


def _still(each: Found, folder: int, whose: OpenFiles, ours: int) -> None:
    """Raises _Skipped when it is not as it was. `ours`: the descriptor that we have of it, if any."""
    status = os.stat(each.name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode) or mark_of(status) != each.mark:
        raise _Skipped("it has changed meanwhile")
    if whose.look(each.name, folder, ours) == OPEN:
        raise _Skipped("it was opened meanwhile")


def main(asked: dict[str, Any], teller: Teller) -> dict[str, Any]:
    """Lists what the rule is about, and unless it is a preview, does it."""
    sweep = Sweeping(asked, teller)
    listing = Listing(asked)
    with top_folder(asked["folder"]) as top:
        listing.walk(top)
        taken = sweep.look(listing.found, top)
        teller.say(f"{len(taken):,} files")
        if not asked["preview"]:
            if asked["task"] == "pack":
                remove_leftovers(top, {each.folder for each in listing.found})
                sweep.take(taken, top, pack)
            else:
                sweep.take(taken, top, _remove)
    counted = taken if asked["preview"] else sweep.done
    return {
        "files": len(counted),
        "bytes": sum(each.size for each in counted),
        "freed": sweep.freed,
        "names": [[each.path, each.size, each.modified] for each in counted[:_SAID]],
        "marks": [each.mark for each in taken],
        "made": [f"{each.path}.gz" for each in sweep.done] if asked["task"] == "pack" else [],
        "held": listing.held,
        "blind": sweep.blind,
        "closed": listing.closed[:_SAID],
        **{name: _some(getattr(sweep, name)) for name in ("open", "unknown", "left", "failed")},
    }


def _some(names: list[str]) -> dict[str, Any]:
    return {"count": len(names), "names": names[:_SAID]}


def _remove(each: Found, folder: int, _check: Callable[[int], None]) -> int:
    os.unlink(each.name, dir_fd=folder)
    return each.size
