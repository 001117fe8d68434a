"""The part of a log that lies in a window of time: its end, and what was rotated away from it meanwhile."""

import asyncio
import re
import zlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath

from runbooks.errors import StepError
from runbooks.steps.log_formats import Format
from runbooks.steps.log_tally import LONGEST_LINE, LineReader, Tally
from runbooks.steps.machine import Files, FileState, OpenFile

#: Bytes (unpacked) that a window is read for; a longer one is cut, and says so.
MOST_BYTES = 512 * 1024 * 1024
#: Bytes that are read at once: a tenth of a second of counting.
PIECE = 1024 * 1024
#: Bytes in which a line with a time is looked for.
_PROBE = 64 * 1024
_LONGEST_PROBE = 16 * _PROBE
#: Seconds by which lines may be out of order: threads and workers write a little late.
_DISORDER = 60.0
#: A log may be rotated while its files are looked up; nobody rotates that often.
_TRIES = 3

# app.log.1, app.log-20261120, app.log.2026-11-20_09; app-20261120.log, app.2026-11-20.log
_TURN = r"[.-]\d[\dT._-]*"
_DATED = r"[.-]\d{4}[\dT._-]*"
_PACKED = r"(?P<packed>\.(?:gz|bz2|xz|zst|lz4|Z))?"


@dataclass(kw_only=True)
class Window:
    """What was read. `cut`: the window was longer than MOST_BYTES. `unread`: rotated files in the window
    that are packed in a way that cannot be read."""

    tally: Tally
    files: int = 0
    cut: bool = False
    unread: tuple[str, ...] = ()


async def read_window(files: Files, path: str, format_: Format, since: float) -> Window:
    """Reads the log's lines from `since` (seconds since the epoch) on, newest file first.

    Raises StepError when a file in the window cannot be read.
    """
    failure = StepError(f"{path} is being rotated again and again: it cannot be read in peace")
    for _ in range(_TRIES):
        before = await _in_window(files, path, since)
        async with AsyncExitStack() as stack:
            window = Window(tally=Tally(since=since))
            window.unread = tuple(state.path for state in before if _is_packed(state) and not _is_gzip(state))
            states = [state for state in before if state.path not in window.unread]
            try:
                opened = [await stack.enter_async_context(files.open(state.path)) for state in states]
            except StepError as error:
                failure = error  # gone since it was listed, perhaps
                continue
            # A name may have come to mean another file between the listing and the opening.
            if _was_rotated(before, await _in_window(files, path, since)):
                continue
            budget = MOST_BYTES
            for state, file in zip(states, opened, strict=True):
                if budget <= 0 and state.size:
                    window.cut = True
                    break
                window.files += 1
                reading = _read_packed if _is_gzip(state) else _read_plain
                read = await reading(file, state, format_, window.tally, budget)
                window.cut = window.cut or read.cut
                budget -= read.bytes
            return window
    raise failure


@dataclass(frozen=True)
class _Read:
    bytes: int
    cut: bool


async def _in_window(files: Files, path: str, since: float) -> list[FileState]:
    """The log and those of its rotated files that were written to after `since`, newest first."""
    current = await files.state(path)
    if not current.regular:
        raise StepError(f"{path} is no regular file, so it has no past that could be read")
    name = PurePosixPath(path)
    rotated = re.compile(rotated_names(path), re.ASCII)
    found = {}
    for state in await files.folder(str(name.parent)):
        match = rotated.fullmatch(PurePosixPath(state.path).name)
        if match and state.regular and state.modified >= since:
            found[state.path] = state
    # While a file is packed there are both; the packed one is not whole yet.
    whole = [state for state in found.values() if not (_is_packed(state) and _unpacked(state) in found)]
    return [current, *sorted(whole, key=lambda state: (-state.modified, state.path))]


def rotated_names(path: str) -> str:
    """A regular expression for the names of the files that the log was rotated into."""
    name = PurePosixPath(path)
    patterns = [re.escape(name.name) + _TURN]
    if name.suffix:
        patterns.append(re.escape(name.stem) + _DATED + re.escape(name.suffix))
    return f"(?:{'|'.join(patterns)}){_PACKED}"


def _is_gzip(state: FileState) -> bool:
    return state.path.endswith(".gz")


def _is_packed(state: FileState) -> bool:
    return PurePosixPath(state.path).suffix in (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")


def _unpacked(state: FileState) -> str:
    return state.path.rpartition(".")[0]


def _was_rotated(before: Sequence[FileState], after: Sequence[FileState]) -> bool:
    now = {state.path: state for state in after}
    return now.keys() != {state.path for state in before} or any(
        now[state.path].identity != state.identity or now[state.path].size < state.size for state in before
    )


async def _read_plain(file: OpenFile, state: FileState, format_: Format, tally: Tally, budget: int) -> _Read:
    start = await _find_start(file, state.size, format_, tally.since)
    cut = state.size - start > budget
    if cut:
        start = state.size - budget
    reader = LineReader(format_, tally, middle=start > 0)
    offset = start
    while offset < state.size:
        piece = await file.read(offset, min(PIECE, state.size - offset))
        if not piece:
            break  # cut short by its writer
        offset += len(piece)
        await asyncio.to_thread(reader.feed, piece)
    await asyncio.to_thread(reader.finish)
    return _Read(offset - start, cut)


async def _find_start(file: OpenFile, size: int, format_: Format, since: float) -> int:
    """An offset before the window, and not far before it. Lines are in order of time, but for _DISORDER."""
    tail = max(0, size - _LONGEST_PROBE)
    if await _first_time(file, tail, size, format_) is None:
        return tail  # not in this format: enough to say so
    low, high = 0, size
    while high - low > PIECE:
        middle = (low + high) // 2
        at = await _first_time(file, middle, high, format_)
        if at is None or at >= since - _DISORDER:
            high = middle
        else:
            low = middle
    return low


async def _first_time(file: OpenFile, offset: int, end: int, format_: Format) -> float | None:
    """The time of the first line with one that starts after `offset`; None when it is not near."""
    end = min(end, offset + _LONGEST_PROBE)
    middle, rest = offset > 0, b""
    while offset < end:
        piece = await file.read(offset, min(_PROBE, end - offset))
        if not piece:
            break
        offset += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        if offset >= end:
            lines.append(rest)
        if lines and middle:
            del lines[0]
            middle = False
        at = await asyncio.to_thread(_first_time_of, lines, format_)
        if at is not None:
            return at
    return None


def _first_time_of(lines: Sequence[bytes], format_: Format) -> float | None:
    for raw in lines:
        line = format_.read(raw[:LONGEST_LINE].decode(errors="replace").rstrip("\r"))
        if line is not None:
            return line.at
    return None


async def _read_packed(file: OpenFile, state: FileState, format_: Format, tally: Tally, budget: int) -> _Read:
    reader = LineReader(format_, tally)
    gunzip = _Gunzip(state.path)
    offset, unpacked = 0, 0
    while offset < state.size and unpacked < budget:
        packed = await file.read(offset, min(PIECE, state.size - offset))
        if not packed:
            break
        offset += len(packed)
        gunzip.feed(packed)
        while unpacked < budget and (piece := await asyncio.to_thread(gunzip.piece)):
            unpacked += len(piece)
            await asyncio.to_thread(reader.feed, piece)
    await asyncio.to_thread(reader.finish)
    cut = unpacked >= budget
    if not cut and not gunzip.whole:
        raise gunzip.damaged()
    return _Read(unpacked, cut)


class _Gunzip:
    """Unpacks gzip in pieces: a small file may unpack to a huge one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._packed = b""
        self._more = False
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self.whole = False

    def feed(self, packed: bytes) -> None:
        self._packed += packed

    def piece(self) -> bytes:
        """Up to PIECE bytes; none when more must be fed. Raises StepError when it is damaged."""
        while self._packed or self._more:
            if self.whole:  # gzip files may be joined, and padded with zeros
                self._packed = self._packed.lstrip(b"\0")
                if not self._packed:
                    break
                self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                self.whole = False
            try:
                piece = self._member.decompress(self._packed, PIECE)
            except zlib.error as error:
                raise self.damaged() from error
            self.whole = self._member.eof
            self._packed = self._member.unused_data if self.whole else self._member.unconsumed_tail
            self._more = len(piece) == PIECE and not self.whole
            if piece:
                return piece
        return b""

    def damaged(self) -> StepError:
        """The error for a file that is not whole."""
        return StepError(f"{self._path} is damaged, or not written to its end: gunzip -t tells more")
