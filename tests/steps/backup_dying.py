"""A step in a process of its own, which kills itself at a named moment."""

import asyncio
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from runbooks.backups.backup import Backup
from tests.steps.backup_world import World, database, vault


async def main(moment: str, url: str, folder: str, fields: dict[str, Any]) -> None:
    """Carries out one step, and dies by SIGKILL when it says that it has come so far; prints how it ended."""
    world = World({"db": database(url), "vault": vault(Path(folder), **fields.pop("place", {}))})
    for backup in fields.pop("backups", ()):
        known = {**backup, "taken_at": datetime.fromisoformat(backup["taken_at"])}
        world.kept.rows[backup["id"]] = Backup(**known)

    class Told(list[str]):
        def append(self, line: str) -> None:
            # With bytes behind it where it is a transfer: it is in the middle of it then.
            if moment in line and ("s3" not in moment or "MiB" in line):
                os.kill(os.getpid(), signal.SIGKILL)

    world.told = Told()
    kind = fields.pop("kind")
    done = await world.act(kind, "db", **fields)
    print(json.dumps(dict(done.values)))  # noqa: T201 - for the test


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
