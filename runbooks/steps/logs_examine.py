"""What the steps for logs need on a machine, for `maint doctor TARGET`: Python, logrotate, and to see who has
files open."""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta

from runbooks.errors import StepError
from runbooks.status import Status
from runbooks.steps.examined import Examined
from runbooks.steps.machine import find_machine
from runbooks.steps.reach import Reach
from runbooks.steps.sent import OLDEST_PYTHON
from runbooks.targets import HostTarget
from runbooks.visible import one_line

_TIMEOUT = timedelta(seconds=20)
#: Says what there is, in any Python 3.
_LOOK = """
import json, os, shutil, sys
def blind(name):
    try:
        os.listdir("/proc/" + name + "/fd")
    except PermissionError:
        return 1
    except OSError:
        pass
    return 0
proc = [name for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc/self") else None
places = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin"
print(json.dumps([list(sys.version_info[:2]), shutil.which("logrotate", path=places),
                  None if proc is None else sum(map(blind, proc))]))
"""
#: Says of each folder that is named whether it is one, and may be listed and written to.
_LOOK_AT_FOLDERS = """
import json, os, sys
print(json.dumps([[os.path.isdir(each), os.access(each, os.R_OK | os.X_OK), os.access(each, os.W_OK)]
                  for each in sys.argv[1:]]))
"""


async def examine_host(target: HostTarget, reach: Reach) -> tuple[Examined, ...]:
    """What is there. Raises StepError when the machine cannot be reached."""
    machine = await find_machine(target, reach)
    python = sys.executable if target.ssh is None else "python3"
    answer = await machine.run([python, "-I", "-c", _LOOK], _TIMEOUT)
    if answer.code:
        return (
            Examined(
                what="Python",
                status=Status.CRITICAL,
                found=f"{python} does not run: {answer.errors}",
                do="The steps for logs send their program there: install Python 3.9 or newer.",
            ),
        )
    version, logrotate, blind = json.loads(answer.output)
    return (_python(tuple(version)), _logrotate(logrotate), _sight(blind))


async def examine_folders(target: HostTarget, folders: Sequence[str], reach: Reach) -> tuple[Examined, ...]:
    """Whether those that steps delete or pack in are there, and may be written to. Raises StepError."""
    if not folders:
        return ()
    machine = await find_machine(target, reach)
    python = sys.executable if target.ssh is None else "python3"
    answer = await machine.run([python, "-I", "-c", _LOOK_AT_FOLDERS, *folders], _TIMEOUT)
    if answer.code:
        raise StepError(f"{', '.join(folders)} cannot be looked at: {answer.errors}")
    return tuple(map(_folder, folders, json.loads(answer.output)))


def _folder(path: str, said: Sequence[bool]) -> Examined:
    there, readable, writable = said
    what = f"the folder {one_line(path, 200)}"
    if there and readable and writable:
        return Examined(what=what, status=Status.OK, found="it may be listed and written to")
    if not there:
        return Examined(
            what=what,
            status=Status.WARNING,
            found="there is none, or it may not be seen",
            do="Make it, or correct `folder:` in the runbook: its step fails there.",
        )
    return Examined(
        what=what,
        status=Status.CRITICAL,
        found="it may not be written to" if readable else "it may not be listed",
        do=f"setfacl -m u:USER:rwx {one_line(path, 200)}, with the user that Maint logs in as.",
    )


def _python(version: tuple[int, ...]) -> Examined:
    said = ".".join(map(str, version))
    if version >= OLDEST_PYTHON:
        return Examined(what="Python", status=Status.OK, found=said)
    return Examined(
        what="Python",
        status=Status.CRITICAL,
        found=f"{said} is too old for the steps for logs",
        do="Install Python 3.9 or newer there, as python3.",
    )


def _logrotate(path: str | None) -> Examined:
    if path:
        return Examined(what="logrotate", status=Status.OK, found=path)
    return Examined(
        what="logrotate",
        status=Status.WARNING,
        found="it is not there: logs.rotate cannot run",
        do="apt-get install logrotate, or your system's package; disable its own timer for the same logs.",
    )


def _sight(blind: int | None) -> Examined:
    if blind == 0:
        return Examined(what="open files", status=Status.OK, found="those of every process can be seen")
    seen = "there is no /proc" if blind is None else f"{blind:,} processes are other users'"
    return Examined(
        what="open files",
        status=Status.WARNING,
        found=f"{seen}: of files that its user does not own, nobody can tell whether they are open",
        do="Such files are left by logs.prune and logs.archive. Let its user own the logs.",
    )
