"""`maint audit export --to FOLDER`: the log as files, with what proves that nothing of them is missing."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from commands.audit.filters import Filters, parse
from commands.audit.new_file import NewFile, new_folder
from commands.audit.options import Options, options
from commands.audit.resolve import resolve
from commands.audit.sheet import COLUMNS, csv_rows
from commands.audit.sight import Sight
from commands.audit.sub_word import SubWord
from commands.audit.times import written
from commands.command import Progress, Request, Services
from commands.happened import happened
from commands.needs import Needs
from commands.reply import Fields, Note, Paragraph, Reply, Text, code
from commands.words import counted, quoted
from runbooks.errors import UsageError
from runbooks.records import audit, export, search
from runbooks.records.audit import Event, Outcome, Recorded
from runbooks.records.export import Listed, Piece, Written
from runbooks.records.search import Wanted, Window

FORMATS = ("jsonl", "csv")


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What was written: so many events, the first and the last of them."""

    count: int
    first: Recorded | None
    last: Recorded | None


class Export(SubWord):
    """Writes what fits, oldest first, and a manifest beside it."""

    word = "export"
    summary = (
        "Writes events into a new folder, as JSON lines or CSV, with a manifest of how many there are, from "
        "which to which; the filters are those of audit"
    )
    usage = "--to FOLDER [--format jsonl|csv] [since WHEN] [until WHEN]"
    examples = (("export --to november since 2026-11-01 until 2026-11-30", "a month of the log"),)
    needs = Needs.WORD
    everywhere = True
    terminal_only = True

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The files."""
        given = options(words, values=("to", "format"))
        filters = parse(given.rest, services.now())
        if filters.before or filters.after:
            raise UsageError("before and after are for pages: an export takes since and until.")
        folder, form = _folder(given), _format(given)
        wanted = await resolve(request, services, filters, Sight(request, services))
        await asyncio.to_thread(new_folder, folder)
        with await asyncio.to_thread(NewFile, folder / f"events.{form}") as file:
            made = await _write(services, wanted, file, progress)
            await asyncio.to_thread(file.flush)
            manifest = _manifest(request, services, filters, file, made)
            text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
            with await asyncio.to_thread(NewFile, folder / "manifest.json") as beside:
                beside.write(text.encode())
                await asyncio.to_thread(beside.flush)
                # Who took what out of the log stands in it, or nothing was taken out.
                await services.records.write(partial(_record, event=_event(request, services, manifest)))
                await asyncio.to_thread(file.keep)
                await asyncio.to_thread(beside.keep)
        return _told(file, made, manifest)


def _folder(given: Options) -> Path:
    if "to" not in given.values:
        raise UsageError("Where to? For example: maint audit export --to november since 2026-11-01.")
    return Path(given.values["to"]).expanduser()


def _format(given: Options) -> str:
    form = given.values.get("format", FORMATS[0]).casefold()
    if form not in FORMATS:
        raise UsageError(f"--format is {' or '.join(FORMATS)}, not {quoted(form)}.")
    return form


async def _write(services: Services, wanted: Wanted, file: NewFile, progress: Progress) -> _Made:
    """Writes piece by piece: what is appended in the meantime is left for the next export."""
    records, as_csv = services.records, file.path.suffix == ".csv"
    left = await records.read(partial(search.window, wanted=wanted))
    if as_csv:
        file.write(csv_rows([COLUMNS]).encode())
    count, first, last = 0, 0, 0
    while not left.empty:
        piece = await records.read(partial(_PIECES[as_csv], wanted=wanted, within=left))
        if not piece.count:
            break
        await asyncio.to_thread(_append, file, piece)
        count, first, last = count + piece.count, first or piece.first, piece.last
        left = Window(piece.last + 1, left.last)
        progress(_under_way(count))
    return _Made(
        count=count,
        first=await records.read(partial(search.at, seq=first)) if count else None,
        last=await records.read(partial(search.at, seq=last)) if count else None,
    )


_PIECES = (export.json_lines, export.listed)


def _append(file: NewFile, piece: Piece) -> None:
    if isinstance(piece, Listed):
        file.write(csv_rows(piece.rows).encode())
    elif isinstance(piece, Written):
        file.write(piece.text.encode())


def _manifest(
    request: Request, services: Services, filters: Filters, file: NewFile, made: _Made
) -> dict[str, Any]:
    return {
        "file": file.path.name,
        "sha256": file.digest,
        "bytes": file.size,
        "events": made.count,
        "columns": list(COLUMNS),
        "first": _end(made.first),
        "last": _end(made.last),
        "filters": filters.line(),
        "by": {"kind": str(request.actor.kind), "id": request.actor.id, "name": request.actor.name},
        "at": written(services.now()),
        "correlation": request.correlation,
    }


def _end(recorded: Recorded | None) -> dict[str, Any] | None:
    if recorded is None:
        return None
    return {
        "seq": recorded.seq,
        "at": written(recorded.event.at),
        "prev": recorded.prev,
        "hash": recorded.hash,
    }


def _event(request: Request, services: Services, manifest: Mapping[str, Any]) -> Event:
    told = {name: manifest[name] for name in ("sha256", "bytes", "events", "first", "last", "filters")}
    subject = str(manifest["file"])
    return happened(request, "audit.exported", Outcome.OK, services.now(), object=subject, details=told)


def _record(connection: Any, event: Event) -> None:
    audit.append(connection, event)


def _under_way(count: int) -> Reply:
    text = f"{count:,} events written"
    return Reply(title="Export", fallback=text, elements=(Paragraph(text),), done=False)


def _told(file: NewFile, made: _Made, manifest: Mapping[str, Any]) -> Reply:
    pairs: list[tuple[str, Text]] = [
        ("File", (code(str(file.path)),)),
        ("Events", f"{made.count:,}"),
        ("SHA-256", (code(file.digest),)),
    ]
    for name, end in (("First", made.first), ("Last", made.last)):
        if end is not None:
            pairs.append((name, f"no. {end.seq}, {written(end.event.at)}, hash {end.hash}"))
    return Reply(
        title="Exported",
        fallback=f"Exported {counted(made.count, 'event')} to {file.path}",
        elements=(
            Fields(tuple(pairs)),
            Note("manifest.json beside it has the same; the export itself is an event of the log."),
        ),
        data=dict(manifest),
    )
