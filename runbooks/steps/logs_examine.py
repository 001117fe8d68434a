"""What the steps for logs need on a machine, for `maint doctor TARGET`: Python, logrotate, and to see who has
files open."""

import json
import sys
from datetime import timedelta

from runbooks.status import Status
from runbooks.steps.examined import Examined
from runbooks.steps.machine import find_machine
from runbooks.steps.reach import Reach
from runbooks.steps.sent import OLDEST_PYTHON
from runbooks.targets import HostTarget

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
