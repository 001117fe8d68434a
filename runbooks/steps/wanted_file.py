"""A file with what is wanted: on this machine, in a working copy of git whose state is told with it."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from runbooks.errors import StepError
from runbooks.steps.machine import ThisMachine
from runbooks.visible import one_line

#: Bytes that such a file has at most; Redis' own, with all its comments, has 110,000.
LARGEST = 2 * 1024 * 1024
_GIT = timedelta(seconds=5)


def _whole_path(value: str) -> str:
    if not value.startswith(("/", "~/")):
        raise ValueError("write the whole path, as in /srv/infra/shop.conf or ~/infra/shop.conf")
    return value


WantedPath = Annotated[str, AfterValidator(_whole_path)]


@dataclass(frozen=True)
class WantedFile:
    """Its text, and of which commit it is: `shop.conf at 1a2b3c4 of 2026-05-01`."""

    text: str
    version: str
    changed: bool  # it is not as it was committed


async def read_wanted(path: str) -> WantedFile:
    """The file. Raises StepError when it cannot be read."""
    try:
        file, text = await asyncio.to_thread(_read, path)
    except OSError as error:
        raise StepError(f"{one_line(path)} cannot be read where Maint runs: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StepError(f"{one_line(path)} is no text in UTF-8") from error
    said = await _git(file, "log", "-1", "--format=%h of %cs", "--", file.name)
    if not said:
        return WantedFile(text, f"{one_line(file.name)}, not in git", changed=False)
    changed = await _git(file, "status", "--porcelain", "--", file.name)
    return WantedFile(text, f"{one_line(file.name)} at {one_line(said)}", changed=bool(changed))


def _read(path: str) -> tuple[Path, str]:
    file = Path(path).expanduser()
    with file.open("rb") as opened:
        found = opened.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise OSError(0, f"it has more than {LARGEST:,} bytes")
    return file, found.decode("utf-8")


async def _git(file: Path, *words: str) -> str:
    try:
        answer = await ThisMachine().run(["git", "-C", str(file.parent), *words], _GIT)
    except StepError:
        return ""  # no git here: nobody knows of a commit
    return answer.output.strip() if answer.code == 0 else ""
