"""`logs.tmp_clean`: deletes what nobody has used for long, as systemd-tmpfiles does."""

from typing import ClassVar

from runbooks.steps.log_sweep import Sweep


class TmpClean(Sweep):
    """Deletes what was not read, written to or changed for `older_than`, in the folder and below."""

    kind: ClassVar[str] = "logs.tmp_clean"
    title: ClassVar[str] = "Clean up temporary files"
    does: ClassVar[str] = "deletes"
    did: ClassVar[str] = "deleted"
    task: ClassVar[str] = "remove"
    by_use: ClassVar[bool] = True

    recursive: bool = True
