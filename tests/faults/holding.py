"""pg_dump and pg_restore that wait in the middle of what they do, for as long as they are told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.steps.postgres_servers import BINARIES

#: Bytes that go through before a program waits.
SOME = 1_000_000

# The real program does the work. What it writes or reads passes by here, and stops where a file says so.
_WAIT = 'wait_here() { : > "HERE/$1.reached"; while [ -e "HERE/$1" ]; do sleep 0.05; done; }'
_DUMP = """#!/bin/sh
{wait}
case " $* " in *" --version "*) exec REAL/pg_dump "$@";; esac
[ -e HERE/dump ] || exec REAL/pg_dump "$@"
{{ REAL/pg_dump "$@"; echo $? > HERE/code; }} | {{ head -c {some}; wait_here dump; cat; }}
exit $(cat HERE/code)
"""
_RESTORE = """#!/bin/sh
{wait}
case " $* " in *" --list "*) [ -e HERE/list ] && wait_here list; exec REAL/pg_restore "$@";; esac
if [ -e HERE/restore ]; then
  {{ head -c {some}; wait_here restore; cat; }} | REAL/pg_restore "$@"
else
  REAL/pg_restore "$@" || exit
  [ -e HERE/restored ] && wait_here restored
  exit 0
fi
"""


class Programs:
    """The two, in a folder for a target's `bin:`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self) -> "Programs":
        """Makes them."""
        folder = self.folder
        folder.mkdir()
        for name, text in (("pg_dump", _DUMP), ("pg_restore", _RESTORE)):
            program = folder / name
            text = text.format(wait=_WAIT, some=SOME)
            program.write_text(text.replace("HERE", str(folder)).replace("REAL", str(BINARIES)))
            program.chmod(0o755)
        return self

    @asynccontextmanager
    async def held(self, moment: str) -> AsyncIterator["Held"]:
        """They wait at that moment (`dump`, `list`, `restore`, `restored`) until the block is over."""
        hold = self.folder / moment
        hold.touch()
        try:
            yield Held(hold, self.folder / f"{moment}.reached")
        finally:
            hold.unlink(missing_ok=True)


class Held:
    """A moment that is waited at."""

    def __init__(self, hold: Path, mark: Path) -> None:
        self._hold = hold
        self._mark = mark

    def let_go(self) -> None:
        """It goes on."""
        self._hold.unlink()

    async def reached(self) -> None:
        """Returns when a program has come to it."""
        async with asyncio.timeout(40):
            while not self._mark.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
        self._mark.unlink()
