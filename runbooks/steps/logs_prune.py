"""`logs.prune`: deletes old files of a folder."""

from typing import ClassVar

from runbooks.steps.log_sweep import Sweep


class Prune(Sweep):
    """Deletes what was not written to for `older_than`."""

    kind: ClassVar[str] = "logs.prune"
    title: ClassVar[str] = "Delete old logs"
    does: ClassVar[str] = "deletes"
    did: ClassVar[str] = "deleted"
    task: ClassVar[str] = "remove"
