"""`python -m tests.faults`: the torture. Workers import the program that starts them, but no `__main__`."""

import sys

from tests.faults.torture import main

sys.exit(main())
