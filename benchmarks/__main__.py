"""`python -m benchmarks [acknowledge] [checks] …`: runs all, or those named, and prints a table."""

import asyncio
import logging
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import (
    access_review,
    acknowledge,
    audit,
    backup,
    checks,
    publisher,
    runs,
    search,
    start,
    takeover,
    verify,
    waiting,
)
from benchmarks.figure import Figure

BENCHMARKS = {
    "acknowledge": acknowledge.measure,
    "audit": audit.measure,
    "backup": backup.measure,
    "checks": checks.measure,
    "start": start.measure,
    "runs": runs.measure,
    "waiting": waiting.measure,
    "takeover": takeover.measure,
    "publisher": publisher.measure,
    "search": search.measure,
    "verify": verify.measure,
    "access_review": access_review.measure,
}


async def run(names: list[str]) -> list[Figure]:
    """The figures of those benchmarks."""
    return [figure for name in names for figure in await BENCHMARKS[name]()]


def main() -> int:
    """Exit code 1 when a figure is beyond its limit."""
    logging.basicConfig(level=logging.ERROR)
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}\n")
        return 2
    figures = asyncio.run(run(names))
    table = Table("what", "measured", "beside", "ratio", "limit", "kept")
    for figure in figures:
        table.add_row(*figure.cells())
    Console(width=140).print(table)
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
