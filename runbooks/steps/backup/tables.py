"""Single tables of a backup, whole: with their keys, indexes, sequences, triggers and rows."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from runbooks.errors import StepError
from runbooks.steps.backup.archive import Archive
from runbooks.steps.backup.contents import (
    TABLES,
    Chosen,
    Entry,
    choose,
    entries,
    named,
    with_what_is_about,
)
from runbooks.steps.backup.present import has_relation, missing
from runbooks.steps.backup.restoring import Restore, opened, restore_from
from runbooks.steps.backup.script import statements
from runbooks.steps.backup.server import connect
from runbooks.steps.postgres_session import words
from runbooks.visible import one_line

#: Warnings of one kind, and characters of a statement in one.
_TOLD = 20
_LONG = 1000


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that somebody asked for."""

    schema: str
    name: str

    @classmethod
    def named(cls, text: str) -> "Table":
        """`sales.orders`, or `orders` of the schema public."""
        schema, _, name = text.rpartition(".")
        return cls(schema=schema or "public", name=name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


async def restore_tables(what: Restore, tables: Sequence[Table], *, lived_in: bool) -> tuple[str, ...]:
    """Restores those tables in one transaction, and then makes what connects them with others; what could not
    be made, or is to be done by somebody, in words. `lived_in`: the database is nobody's new one.

    Raises StepError, PlaceError: none of the tables is there then, unless the backup is found to be another
    one than was stored behind the last row that was needed.
    """
    what.progress.begin(f"looking into {what.backup.name}")
    if lived_in:
        await _refuse_present(what, tables)
    async with opened(what) as archive:
        contents = await asyncio.to_thread(entries, await archive.read("--list", "--verbose"))
        found = [await _find(archive, contents, table) for table in tables]
        chosen = await asyncio.to_thread(choose, contents, [*itertools.chain(*found)])
        needed = await _needed(what, chosen, lived_in=lived_in)
        later = await _statements(archive, [*chosen.after, *(chosen.others if lived_in else ())])
        ids = {*chosen.own, *with_what_is_about(contents, [each.id for each in needed])}
        what.progress.begin(f"restoring {', '.join(map(str, tables))} of {what.backup.name}")
        async with _listed([each.id for each in contents if each.id in ids]) as path:
            await restore_from(archive, what, "--single-transaction", f"--use-list={path}")
    what.progress.begin("connecting it with other tables")
    failed = await _connected(what, [later[id_] for id_ in chosen.after if id_ in later])
    others = [
        f"a foreign key of another table was not restored: {_shown(later[id_])}"
        for id_ in chosen.others
        if id_ in later
    ]
    told = _told_of(chosen, needed, lived_in=lived_in)
    return (*_some(failed), *_some(others), *told)


async def _refuse_present(what: Restore, tables: Sequence[Table]) -> None:
    async with connect(what.target, what.reach, what.database, read_only=True) as connection:
        for table in tables:
            if await has_relation(connection, table.schema, table.name):
                raise StepError(
                    f"{what.database} has a table {table}: restore it into a new database, look at both, and"
                    " copy what is missing. Nothing was touched"
                )


async def _find(archive: Archive, contents: Sequence[Entry], table: Table) -> tuple[int, ...]:
    found = await asyncio.to_thread(named, contents, table.schema, table.name)
    if len(found) > 1:  # a name with a space in it begins alike: pg_restore knows where it ends
        exactly = await archive.read("--list", f"--schema={table.schema}", f"--table={table.name}")
        found = tuple(each.id for each in entries(exactly) if each.id in found)
    if not found:
        raise StepError(f"{archive.backup.name} has no table {table}: nothing was touched")
    return found


async def _needed(what: Restore, chosen: Chosen, *, lived_in: bool) -> tuple[Entry, ...]:
    """What must be made too: in a new database all, for it has nothing. Raises StepError for a table."""
    if not lived_in:
        return chosen.needs
    async with connect(what.target, what.reach, what.database, read_only=True) as connection:
        gone = await missing(connection, chosen.needs)
    for each in gone:
        if each.kind in TABLES:
            raise StepError(
                f"what is to be restored needs {one_line(str(each))}, which {what.database} does not have:"
                " name it in `tables` too, or restore into a new database. Nothing was touched"
            )
    return gone


async def _statements(archive: Archive, ids: Collection[int]) -> Mapping[int, str]:
    if not ids:
        return {}
    async with _listed(ids) as path:
        return statements(await archive.read("--file=-", "--verbose", "--no-owner", f"--use-list={path}"))


@asynccontextmanager
async def _listed(ids: Collection[int]) -> AsyncIterator[Path]:
    """A file that has pg_restore take these, while the block runs."""
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="maint-")
    try:
        path = Path(folder.name, "list")
        await asyncio.to_thread(path.write_text, "".join(f"{id_};\n" for id_ in ids))
        yield path
    finally:
        folder.cleanup()


async def _connected(what: Restore, wanted: Sequence[str]) -> list[str]:
    """Carries out each by itself: rows that point nowhere by now, or a table that is gone, must not cost the
    table that came back. Returns what failed, in words."""
    failed: list[str] = []
    done = 0
    if not wanted:
        return failed
    try:
        async with connect(what.target, what.reach, what.database) as connection:
            for statement in wanted:
                try:
                    await connection.execute(statement.encode(connection.info.encoding))
                except psycopg.Error as error:
                    failed.append(_not_made(statement, words(error, what.target)))
                done += 1
    except StepError as error:
        failed += [_not_made(statement, str(error)) for statement in wanted[done:]]
    return failed


def _not_made(statement: str, why: str) -> str:
    return f"not made, for {one_line(why)}: {_shown(statement)}"


def _shown(statement: str) -> str:
    return one_line(f"{statement.replace(chr(10) + '    ', ' ')};", _LONG)


def _told_of(chosen: Chosen, needed: Sequence[Entry], *, lived_in: bool) -> Iterator[str]:
    if bare := [str(each) for each in needed if each.kind in TABLES]:
        yield f"made too, without rows, for it is needed: {_names(bare)}"
    if lived_in and chosen.left:
        yield f"needs it and was not restored, as the backup has it: {_names(list(map(str, chosen.left)))}"


def _names(names: Sequence[str]) -> str:
    return one_line("; ".join(_some(names)), _LONG)


def _some(lines: Sequence[str]) -> tuple[str, ...]:
    rest = len(lines) - _TOLD
    return (*lines[:_TOLD], *([f"and {rest} more"] if rest > 0 else []))
