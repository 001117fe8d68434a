"""`logs.prune`: deletes old files of a folder."""

from typing import ClassVar

from runbooks.steps.log_sweep import Deletion


class Prune(Deletion):
    """Deletes what was not written to for `older_than`."""

    kind: ClassVar[str] = "logs.prune"
    title: ClassVar[str] = "Delete old logs"
