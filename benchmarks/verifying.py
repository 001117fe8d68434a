"""A verification in a process of its own: `python -m benchmarks.verifying URL PROCESSES`.

It prints how many events, the seconds, and the megabytes that the largest of its processes held.
"""

import resource
import sys
import time

from runbooks.records.database import open_database
from runbooks.records.verify import verify


def main() -> None:
    """Once, from the first row to the last."""
    engine = open_database(sys.argv[1])
    begun = time.perf_counter()
    found = verify(engine, processes=int(sys.argv[2]))
    seconds = time.perf_counter() - begun
    assert found.fits, found.misfits
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(found.events, seconds, most / 1024)


if __name__ == "__main__":
    main()
