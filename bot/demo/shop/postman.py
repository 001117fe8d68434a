"""The shop's postman: a process of its own that carries parcels, and that people can restart.

`python -m bot.demo.shop.postman run|status|restart FOLDER`. Whoever keeps it running starts another one when
it ends; `restart` ends it, and waits for the next.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import click

#: Seconds between two parcels, and seconds that the next postman has to come.
ROUND, PATIENCE = 2.0, 20.0
#: Where a postman says who he is.
_FILE = "postman.json"


def carry(folder: Path) -> None:
    """Carries parcels until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    new = folder / f"{_FILE}.new"
    new.write_text(json.dumps({"pid": os.getpid(), "since": time.time()}))
    new.replace(folder / _FILE)
    parcels = 0
    while True:
        time.sleep(ROUND)
        parcels += 1
        click.echo(f"{time.strftime('%H:%M:%S')} parcel {parcels} delivered")


def who(folder: Path) -> int:
    """The id of the postman's process; 0 while there is none."""
    try:
        pid = int(json.loads((folder / _FILE).read_text())["pid"])
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pid


def restart(folder: Path) -> int:
    """Ends the postman and waits for the next one; his process, or 0 when none came in time."""
    before = who(folder)
    if before:
        click.echo(f"postman {before} is asked to end")
        os.kill(before, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        now = who(folder)
        if now not in (0, before):
            return now
        time.sleep(0.05)
    return 0


def main(what: str, folder: Path) -> int:
    """Does that and returns the exit code: 1 when there is no postman."""
    if what == "run":
        carry(folder)
    pid = restart(folder) if what == "restart" else who(folder)
    click.echo(f"PID={pid}" if pid else "there is no postman")
    return 0 if pid else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
