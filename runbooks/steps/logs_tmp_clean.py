"""`logs.tmp_clean`: deletes what nobody has used for long, as systemd-tmpfiles does."""

from typing import ClassVar

from runbooks.steps.log_sweep import Deletion


class TmpClean(Deletion):
    """Deletes what was not read, written to or changed for `older_than`, in the folder and below."""

    kind: ClassVar[str] = "logs.tmp_clean"
    title: ClassVar[str] = "Clean up temporary files"
    by_use: ClassVar[bool] = True

    recursive: bool = True
