"""The bytes of logs, cut into lines: plain files in ranges that several processes share, and gzipped ones.

A line is as long as it likes; what is longer than LONGEST is counted, and not understood.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from runbooks.steps.there.access_counts import Counts
from runbooks.steps.there.gunzip import GZIP, unpacked

LONGEST = 64 * 1024
#: Bytes that are read at once, and that are counted at once.
READ, BLOCK = 1024 * 1024, 64 * 1024


class Source(NamedTuple):
    """An opened file, as large as it was then: what is written to it meanwhile is for the next time."""

    file: int
    size: int
    packed: bool
    name: str


class Lines:
    """Takes bytes in pieces of any size, and hands whole lines on, a block at a time."""

    def __init__(self, counts: Counts, rules: Any) -> None:
        self._counts = counts
        self._rules = rules
        self._rest = b""
        self._passing = False

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if self._passing:
            at = piece.find(b"\n")
            if at < 0:
                return
            self._counts.add_unread(self._rest)
            self._passing, self._rest, piece = False, b"", piece[at + 1 :]
        data = self._rest + piece
        end = data.rfind(b"\n")
        self._rest = data[end + 1 :]
        if end >= 0:
            self._blocks(data, end)
        if len(self._rest) > LONGEST:
            self._passing, self._rest = True, self._rest[:1000]

    def finish(self) -> None:
        """There are no more; the last line may lack its end."""
        if self._passing:
            self._counts.add_unread(self._rest)
        elif self._rest:
            self._rules.block(self._rest)
        self._passing, self._rest = False, b""

    def _blocks(self, data: bytes, end: int) -> None:
        """Counts the lines up to that line break."""
        at = 0
        while at <= end:
            stop = data.rfind(b"\n", at, min(at + BLOCK, end) + 1)
            if stop < 0:  # one line is longer than a block
                stop = data.index(b"\n", at)
                self._counts.add_unread(data[at : at + 1000])
            else:
                self._rules.block(data[at:stop])
            at = stop + 1


def line_start(source: Source, offset: int) -> int:
    """Where the first line begins that begins at `offset` or after it; the size when none does."""
    if offset <= 0:
        return 0
    at = offset - 1
    while at < source.size:
        piece = os.pread(source.file, min(BLOCK, source.size - at), at)
        if not piece:
            break
        found = piece.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(piece)
    return source.size


def read_range(source: Source, start: int, end: int, lines: Lines, told: Callable[[int], None]) -> bool:
    """Reads the lines that begin in that range; whether the file still had them all."""
    at, stop = line_start(source, start), line_start(source, end) if end < source.size else source.size
    while at < stop:
        piece = os.pread(source.file, min(READ, stop - at), at)
        if not piece:
            return False
        at += len(piece)
        lines.feed(piece)
        told(len(piece))
    lines.finish()
    return True


def read_packed(source: Source, lines: Lines, told: Callable[[int], None]) -> bool:
    """Reads a gzipped file, and what was joined to it; whether it is whole."""
    whole = True
    member: Any = None
    for packed in _pieces(source, told):
        data = packed
        while data:
            if member is None:
                data = data.lstrip(b"\0")  # padded
                if not data:
                    break
                member, whole = zlib.decompressobj(wbits=GZIP), False
            try:
                for piece in unpacked(member, data, READ):
                    lines.feed(piece)
            except zlib.error:
                lines.finish()
                return False
            data = member.unused_data
            if member.eof:
                member, whole = None, True
    lines.finish()
    return whole


def _pieces(source: Source, told: Callable[[int], None]) -> Iterator[bytes]:
    at = 0
    while at < source.size:
        piece = os.pread(source.file, min(READ, source.size - at), at)
        if not piece:
            return
        at += len(piece)
        told(len(piece))
        yield piece
