"""Events of the audit log that are verified in a second, at a million of them, and the memory for that."""

import asyncio
import hashlib
import sys
import time

from benchmarks import million
from benchmarks.databases import KINDS, fresh
from benchmarks.figure import Figure
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate

#: Each is measured that often, and the best counts: others use this machine too.
ROUNDS = 3
#: Events a second, and megabytes of one process.
LEAST, MOST = 200_000, 150


async def measure() -> list[Figure]:
    """Beside the limit of it: sha256 over as many bytes, in memory, in this process."""
    figures = []
    for kind in KINDS:
        with fresh(kind) as url:
            engine = open_database(url)
            await asyncio.to_thread(migrate, engine)
            await asyncio.to_thread(million.load, engine)
            engine.dispose()
            rounds = [await _verify(url, processes) for _ in range(ROUNDS) for processes in (1, 2)]
        for processes in (1, 2):
            best = max(rate for count, rate, _ in rounds if count == processes)
            said = f"events verified a second, {kind}, {processes} process{'es' if processes > 1 else ''}"
            # The command of a person uses two when there are many.
            limit = LEAST if processes == 2 else None
            figures.append(Figure(what=said, value=best, unit="/s", limit=limit, least=True))
        memory = max(megabytes for _, _, megabytes in rounds)
        figures.append(Figure(what=f"memory of that, {kind}", value=memory, unit="MB", limit=MOST))
    figures.append(Figure(what="sha256 of such bytes alone", value=_limit(), unit="/s"))
    return figures


async def _verify(url: str, processes: int) -> tuple[int, float, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.verifying", url, str(processes), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    count, seconds, megabytes = out.split()
    return processes, int(count) / float(seconds), float(megabytes)


def _limit() -> float:
    texts = [":".join(map(str, row)).encode() for row in million.events(20_000)]
    begun = time.perf_counter()
    for text in texts:
        hashlib.sha256(text).hexdigest()
    return len(texts) / (time.perf_counter() - begun)
