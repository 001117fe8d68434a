"""`python -m tests.faults.mortal MAINT.YAML CLOCK`: `maint serve` that dies at a rename if it is told.

Its uploads have small parts, so that little data has several.
"""

import os
import signal
import sys
from datetime import timedelta

from runbooks.backups import s3
from tests.scenario import serving

#: Names the file whose rename, to a name that ends like what stands in it, is death. It goes with it.
DEATH = "MORTAL_AT"


def _watch(file: str) -> None:
    def heard(event: str, arguments: tuple[object, ...]) -> None:
        if event != "os.rename" or not os.path.exists(file):  # noqa: PTH110 - without a sound of its own
            return
        with open(file) as said:  # noqa: PTH123
            ending = said.read()
        if str(arguments[1]).endswith(ending):
            os.unlink(file)  # noqa: PTH108
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)


if __name__ == "__main__":
    s3.PART = 5 * 1024 * 1024
    # The S3 of the tests has begun every upload in 2010: none is nobody's only for its age.
    s3.DEAD_AFTER = timedelta(days=36500)
    _watch(os.environ[DEATH])
    serving.main()
