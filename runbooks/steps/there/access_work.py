"""Shares the reading of logs out to processes, and adds up what they counted."""

from __future__ import annotations

import json
import os
import select
import struct
from collections.abc import Callable
from typing import Any

from runbooks.steps.there.access_counts import Counts, counts_from
from runbooks.steps.there.access_json import JsonLines
from runbooks.steps.there.access_nginx import NginxLines
from runbooks.steps.there.access_reading import Lines, Source, read_packed, read_range
from runbooks.steps.there.telling import Trouble

#: Bytes of a plain file that one process reads at a time, at least; and pieces, at most, as a pipe holds
#: their numbers.
_PIECE, _MOST_PIECES = 16 * 1024 * 1024, 8000
#: Bytes for which a second process is worth its start.
_WORTH_IT = 8 * 1024 * 1024
_NUMBER = struct.Struct("=I")

#: A source, and the range of it.
Piece = "tuple[int, int, int]"


class Found:
    """What was counted, and the names of files that were cut short meanwhile or are damaged. `rules` read the
    lines of one process: what they have learnt of one piece is good for the next."""

    rules: Any = None

    def __init__(self) -> None:
        self.counts = Counts()
        self.cut: set[str] = set()
        self.damaged: set[str] = set()


def rules_for(counts: Counts, asked: dict[str, Any]) -> Any:
    """What reads the lines of the format that was asked for."""
    return JsonLines(counts, asked) if asked["format"] == "json" else NginxLines(counts, asked)


def count(sources: list[Source], asked: dict[str, Any], told: Callable[[int], None], found: Found) -> None:
    """Reads all of the sources. Raises Trouble when a process of ours dies."""
    pieces = _pieces(sources)
    large = sum(source.size for source in sources) >= _WORTH_IT
    workers = min(asked["workers"], len(pieces), os.cpu_count() or 1) if large else 1
    if workers <= 1:
        for piece in pieces:
            _read(sources, piece, asked, told, found)
        return
    _share(sources, pieces, asked, told, found, workers)


def _pieces(sources: list[Source]) -> list[tuple[int, int, int]]:
    plain = sum(source.size for source in sources if not source.packed)
    step = max(_PIECE, plain // _MOST_PIECES + 1)
    pieces = []
    # Packed files cannot be divided: who takes one last is waited for.
    for index in sorted(range(len(sources)), key=lambda each: not sources[each].packed):
        source = sources[index]
        if source.packed:
            pieces.append((index, 0, source.size))
        else:
            pieces += [(index, at, min(at + step, source.size)) for at in range(0, source.size, step)]
    return pieces


def _read(
    sources: list[Source],
    piece: tuple[int, int, int],
    asked: dict[str, Any],
    told: Callable[[int], None],
    found: Found,
) -> None:
    index, start, end = piece
    source = sources[index]
    if found.rules is None:
        found.rules = rules_for(found.counts, asked)
    lines = Lines(found.counts, found.rules)
    if source.packed:
        if not read_packed(source, lines, told):
            found.damaged.add(source.name)
    elif not read_range(source, start, end, lines, told):
        found.cut.add(source.name)
    found.rules.finish()


def _share(
    sources: list[Source],
    pieces: list[tuple[int, int, int]],
    asked: dict[str, Any],
    told: Callable[[int], None],
    found: Found,
    workers: int,
) -> None:
    todo, fill = os.pipe()
    os.write(fill, b"".join(map(_NUMBER.pack, range(len(pieces)))))
    os.close(fill)
    reading = {}
    for _ in range(workers):
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            _work(sources, pieces, asked, todo, into)
        os.close(into)
        reading[out] = child
    os.close(todo)
    said = {out: bytearray() for out in reading}
    while reading:
        for out in select.select(list(reading), [], [])[0]:
            data = os.read(out, 1 << 20)
            if data:
                _hear(said[out], data, told)
                continue
            _, status = os.waitpid(reading.pop(out), 0)
            os.close(out)
            _add(bytes(said.pop(out)), status, found)


def _work(
    sources: list[Source],
    pieces: list[tuple[int, int, int]],
    asked: dict[str, Any],
    todo: int,
    into: int,
) -> None:
    """What a process of ours does: it never returns."""
    code = 1
    try:
        found = Found()
        while number := os.read(todo, _NUMBER.size):
            piece = pieces[_NUMBER.unpack(number)[0]]
            _read(sources, piece, asked, lambda size: _write(into, b"%d\n" % size), found)
        result = {
            "counts": found.counts.as_json(),
            "cut": sorted(found.cut),
            "damaged": sorted(found.damaged),
        }
        _write(into, json.dumps(result).encode() + b"\n")
        code = 0
    except OSError as error:
        _write(into, json.dumps({"trouble": error.strerror}).encode() + b"\n")
    finally:
        os._exit(code)


def _write(into: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(into, view) :]


def _hear(said: bytearray, data: bytes, told: Callable[[int], None]) -> None:
    """Takes the numbers of bytes out of what was said, and leaves the rest."""
    said += data
    while not said.startswith(b"{") and (at := said.find(b"\n")) >= 0:
        told(int(said[:at]))
        del said[: at + 1]


def _add(said: bytes, status: int, found: Found) -> None:
    result = json.loads(said) if said.startswith(b"{") and said.endswith(b"\n") else {}
    if status or "counts" not in result:
        why = (
            result.get("trouble") or f"one of its processes ended with {status}: was there too little memory?"
        )
        raise Trouble(f"the log could not be read to its end: {why}")
    # JSON has made texts of the numbers that are keys.
    found.counts.take(counts_from(result["counts"]))
    found.cut.update(result["cut"])
    found.damaged.update(result["damaged"])
