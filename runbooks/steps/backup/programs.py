"""pg_dump and pg_restore of the server's version, wherever they are."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from runbooks.errors import StepError
from runbooks.steps.machine import ThisMachine
from runbooks.targets import PostgresTarget

#: Where packages put the programs of each version.
_PLACES = (
    "/usr/lib/postgresql/{}/bin",  # Debian
    "/usr/pgsql-{}/bin",  # PGDG for Red Hat
    "/usr/libexec/postgresql{}",  # Alpine
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.\S+)?")
_TIME = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The two, of one version."""

    dump: Path
    restore: Path
    version: str  # as pg_dump says it


async def find_programs(target: PostgresTarget, major: int) -> Programs:
    """The programs of that version. Raises StepError that says which there are, and what to install."""
    seen: dict[str, str] = {}
    for folder in await asyncio.to_thread(lambda: [*_folders(target, major)]):
        version = await _version(folder / "pg_dump")
        found = _VERSION.search(version)
        if found is None:
            continue
        if int(found[1]) == major and (folder / "pg_restore").exists():
            return Programs(dump=folder / "pg_dump", restore=folder / "pg_restore", version=version)
        seen.setdefault(str(folder), found[1])
    there = ", ".join(f"{version} in {folder}" for folder, version in seen.items()) or "none at all"
    raise StepError(
        f"{target.name} needs pg_dump and pg_restore of version {major}, as its server is; here there is "
        f"{there}. Install postgresql-client-{major} where Maint runs, or name their folder in the target's "
        "`bin:`"
    )


def _folders(target: PostgresTarget, major: int) -> Iterator[Path]:
    if target.bin is not None:
        yield Path(target.bin)
        return
    for place in _PLACES:
        if (folder := Path(place.format(major))).is_dir():
            yield folder
    if found := shutil.which("pg_dump"):
        yield Path(found).parent


async def _version(program: Path) -> str:
    try:
        said = await ThisMachine().run([str(program), "--version"], _TIME)
    except StepError:
        return ""
    return said.output.strip()
